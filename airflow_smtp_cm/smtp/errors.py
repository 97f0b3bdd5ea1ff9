"""The errors of the SMTP conversation.

    SmtpError
    |-- SettingsError (ValueError)          the settings of the connection are invalid; nothing was sent
    |-- MessageError (ValueError)           the message cannot be sent to this server; nothing was sent
    |-- ConnectError (ConnectionError)      no TCP connection to the server
    |-- Disconnected (ConnectionError)      the connection was closed or lost
    |-- TimedOut (TimeoutError)             the server did not reply in time
    |-- ProtocolError                       the server violated the SMTP protocol
    |-- TlsError
    |   |-- StartTlsNotOffered              STARTTLS is required, and the server does not offer it
    |   `-- CertificateError                the server's certificate is not accepted
    |-- AuthenticationError
    |   |-- CredentialError                 the credentials failed before the server was asked
    |   |-- AuthenticationNotOffered        the server offers no mechanism that the settings allow
    |   `-- AuthenticationRefused           the server refused the login
    |-- Refused                             the server refused a command or the content
    |   `-- RecipientsRefused               some or all recipients were refused
    |-- RecordError                         the record of what was sent cannot be accessed; nothing more was sent
    |-- DeliveryIncomplete                  some recipients have the message, then an error ended the rest
    `-- DeliveryUncertain                   the content was sent, and no final reply arrived

Every error has ``transient``, whether the same attempt may succeed later, and the phase, command, reply and recipient
that it is about, if there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.problems import InvalidInput
from airflow_smtp_cm.shortening import listed
from airflow_smtp_cm.smtp.phase import Phase
from airflow_smtp_cm.smtp.result import listed_refusals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.result import Refusal, SendResult

__all__ = [
    "AuthenticationError",
    "AuthenticationNotOffered",
    "AuthenticationRefused",
    "CertificateError",
    "ConnectError",
    "CredentialError",
    "DeliveryIncomplete",
    "DeliveryUncertain",
    "Disconnected",
    "MessageError",
    "Phase",
    "ProtocolError",
    "RecipientsRefused",
    "RecordError",
    "Refused",
    "SettingsError",
    "SmtpError",
    "StartTlsNotOffered",
    "TimedOut",
    "TlsError",
]


class SmtpError(Exception):
    """Base of all errors of the SMTP conversation.

    Attributes:
        phase: the phase of the session, if it had started.
        command: the command, without secrets.
        reply: the server's reply, if there was one; ``code``, ``enhanced_code`` and ``text`` are read from it.
        recipient: the address that the error is about, if it is about one.
        transient: whether the same attempt may succeed later.
        explanation: the end of the message that says what the reply means on this kind of server, or what to do.
        is_last: whether there is no later attempt, as in the last try of a task; set by code that knows it.
    """

    transient = False
    explanation = ""
    is_last = False

    def __init__(
        self,
        message: str,
        *,
        phase: Phase | None = None,
        command: str | None = None,
        reply: Reply | None = None,
        recipient: str | None = None,
        transient: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.phase = phase
        self.command = command
        self.reply = reply
        self.recipient = recipient
        if transient is not None:
            self.transient = transient
        elif reply is not None:
            self.transient = reply.transient

    @property
    def code(self) -> int | None:
        """The reply code, if the server replied."""
        return self.reply.code if self.reply else None

    @property
    def enhanced_code(self) -> str | None:
        """The enhanced status code of the reply, if it has one."""
        return self.reply.enhanced_code if self.reply else None

    @property
    def text(self) -> str | None:
        """The text of the reply, if the server replied."""
        return self.reply.text if self.reply else None

    @property
    def without_explanation(self) -> str:
        """The message up to the explanation, without the period at its end."""
        return str(self).removesuffix(self.explanation).rstrip(" .")


class SettingsError(SmtpError, InvalidInput):
    """The settings of the connection are invalid for any server; nothing was sent.

    Attributes:
        problems: all problems, one sentence each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class MessageError(SmtpError, ValueError):
    """The message cannot be sent, or not to this server; nothing was sent."""


class ConnectError(SmtpError, ConnectionError):
    """No TCP connection to the server could be made."""

    transient = True


class Disconnected(SmtpError, ConnectionError):
    """The connection ended before all of the content was sent: nothing was delivered."""

    transient = True


class TimedOut(SmtpError, TimeoutError):
    """The server did not reply completely within the timeout of the phase; nothing was delivered."""

    transient = True


class ProtocolError(SmtpError):
    """The server violated the SMTP protocol; its replies are not reliable, and the connection is closed."""


class TlsError(SmtpError):
    """No TLS session could be established."""


class StartTlsNotOffered(TlsError):
    """STARTTLS is required and the server does not offer it; there is no fallback to plain text (RFC 3207)."""


class CertificateError(TlsError):
    """The server's certificate is not trusted, not valid now, or for another name."""


class AuthenticationError(SmtpError):
    """Windows authentication failed; there is no fallback to an anonymous session."""


class CredentialError(AuthenticationError):
    """The credentials failed before the server was asked: no ticket, wrong password at the KDC, ...

    Attributes:
        account_refused: whether the KDC refused the account, or has its password and did not answer; the password
            must then not be tried with NTLM.
    """

    account_refused = False


class AuthenticationNotOffered(AuthenticationError):
    """The server offers no mechanism that the settings allow."""


class AuthenticationRefused(AuthenticationError):
    """The server refused the login."""


class Refused(SmtpError):
    """The server refused a command or the content; the message was not delivered."""


_NAMED_REFUSED = 20  # recipients with the same reply in an error message; the attribute ``refused`` has all


class RecipientsRefused(Refused):
    """The server refused recipients; the message may be delivered to the others (as with System.Net.Mail).

    Attributes:
        refused: each refused recipient with its reply.
        result: the result of the message for the accepted recipients; None if it was not sent.
    """

    def __init__(
        self,
        server: str,
        *,
        refused: tuple[Refusal, ...],
        accepted: int = 0,
        result: SendResult | None = None,
        over_limit: bool = False,
        unsent: int = 0,
        explanation: str = "",
    ) -> None:
        first = refused[0]
        uncertain = len(result.uncertain) if result is not None else 0
        if result is not None:
            rest = f"The message {result.message_id} was delivered to the other {accepted}."
            if result.uncertain:
                rest += f" Delivery is uncertain for {', '.join(result.uncertain)}."
        elif over_limit:
            rest = (
                f"The message was not sent to anybody, since all_or_nothing is set, and the server accepts only "
                f"{accepted} recipients at once. Set all_or_nothing to false"
                + ("." if explanation else ", or send to a distribution group.")
            )
        elif accepted:
            rest = "The message was not sent to anybody, since all_or_nothing is set."
        else:
            rest = "The message was not delivered to anybody."
        super().__init__(
            f"{server} refused {len(refused)} of {accepted + len(refused) + uncertain + unsent} recipients: "
            f"{listed_refusals(refused, _NAMED_REFUSED)}. {explanation}{' ' if explanation else ''}{rest}",
            phase=Phase.RCPT,
            reply=first.reply,
            recipient=first.address,
            # A retry is safe only if nobody has the message. Code that keeps a record of who has it may set this.
            transient=result is None and not over_limit and all(refusal.reply.transient for refusal in refused),
        )
        self.refused = refused
        self.result = result
        self.explanation = explanation

    @classmethod
    def in_result(cls, result: SendResult, server: str = "The server", *, explanation: str = "") -> Self | None:
        """Return the error for a result with refused recipients, else None; only this decides it for results."""
        if not result.refused:
            return None
        return cls(
            server,
            refused=result.refused,
            accepted=len(result.accepted),
            result=result,
            explanation=explanation,
        )

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.result is None else text + _outlook(self, "recipients who may be accepted later")


class RecordError(SmtpError):
    """The record of what was sent cannot be read or written, so that nothing more was sent; see ``recorded``."""

    transient = True


_NAMED = 10  # recipients in an error message
_OTHERS = "recipients to whom it was not sent"


def _outlook(error: SmtpError, others: str) -> str:
    """Return what a retry does for the recipients who do not have the message; empty if there should be none."""
    if not error.transient:
        return ""
    if error.is_last:
        return " No automatic retry follows. If the task is cleared, the message is sent to all recipients again."
    return f" A retry sends it only to {others}."


class DeliveryIncomplete(SmtpError):
    """An error before a further transaction of a message ended: some recipients have it, and others do not.

    A message is sent in several transactions if the server does not accept all of its recipients at once, and in
    several tries if it deferred some. The error is not transient, since a retry would send the message to all
    recipients again. Code that keeps a record of who has it may set ``transient``.

    Attributes:
        result: the result for those who have the message.
        remaining: the recipients to whom it was not sent.
        cause: the error that ended the transaction.
    """

    def __init__(self, *, result: SendResult, remaining: Sequence[str], cause: SmtpError) -> None:
        accepted, uncertain = result.accepted, result.uncertain
        super().__init__(
            f"The message {result.message_id} was delivered to {len(accepted):,} of "
            f"{_count(result) + len(remaining):,} recipients, and not sent to {len(remaining):,}, because an error "
            f"followed: {str(cause).rstrip('.')}. "
            + (f"It was delivered to {listed(accepted, _NAMED)}. " if accepted else "")
            + (f"Delivery is uncertain for {listed(uncertain, _NAMED)}. " if uncertain else "")
            + f"It was not sent to {listed(remaining, _NAMED)}.",
            phase=cause.phase,
            command=cause.command,
            reply=cause.reply,
            transient=False,
        )
        self.result = result
        self.remaining = tuple(remaining)
        self.cause = cause

    def __str__(self) -> str:
        return super().__str__() + _outlook(self, _OTHERS)


class DeliveryUncertain(SmtpError):
    """The whole content was sent, and no final reply arrived: the server may have accepted the message or not.

    There is no automatic retry, since the message could be delivered twice. A person must decide.

    Attributes:
        result: the recipients for whom delivery is uncertain, and those who have the message if earlier transactions
            delivered it to others; None if this is not known.
        unsent: the number of recipients to whom the message was not sent yet, since the server did not accept all at
            once.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: Phase | None = Phase.FINAL,
        reply: Reply | None = None,
        result: SendResult | None = None,
        unsent: int = 0,
    ) -> None:
        super().__init__(message, phase=phase, reply=reply, transient=False)
        self.result = result
        self.unsent = unsent

    def with_result(self, result: SendResult, unsent: int) -> Self:
        """Return the error with the result of all transactions of the message."""
        error = type(self)(*self.args, phase=self.phase, reply=self.reply, result=result, unsent=unsent)
        error.explanation = self.explanation
        return error

    def __str__(self) -> str:
        text, result = super().__str__(), self.result
        if result is None or not (result.accepted or self.unsent):
            return text
        total = _count(result) + self.unsent
        return (
            f"{text} Delivery is uncertain for {len(result.uncertain):,} of {total:,} recipients: "
            f"{', '.join(result.uncertain)}. The message was delivered to {len(result.accepted):,}"
            + (f", and not sent to {self.unsent:,}." if self.unsent else ".")
            + (_outlook(self, _OTHERS) if self.unsent else "")
        )


def _count(result: SendResult) -> int:
    return len(result.accepted) + len(result.refused) + len(result.uncertain)
