"""What can go wrong, and for whom it is worded.

    SmtpError
    |-- SettingsError (ValueError)          the connection's settings cannot work; nothing was sent
    |-- MessageError (ValueError)           this message cannot go to this server; nothing was sent
    |-- ConnectError (ConnectionError)      no TCP connection to the server
    |-- Disconnected (ConnectionError)      the server closed the connection, or the network did
    |-- TimedOut (TimeoutError)             the server did not answer in time
    |-- ProtocolError                       the server broke the rules of SMTP
    |-- TlsError
    |   |-- StartTlsNotOffered              TLS is asked for, and the server does not offer it
    |   `-- CertificateError                the server's certificate is not to be trusted
    |-- AuthenticationError
    |   |-- CredentialError                 the identity did not get as far as the server
    |   |-- AuthenticationNotOffered        the server offers no Windows mechanism
    |   `-- AuthenticationRefused           the server said no
    |-- Refused                             the server refused a command or the content
    |   `-- RecipientsRefused               some or all recipients were refused
    `-- DeliveryUncertain                   the content went out and no reply came back

Every error says whether the same attempt may succeed later (``transient``) and, where a command was answered, which
phase, command, reply and recipient it was about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.problems import InvalidInput
from airflow_smtp_cm.smtp.phase import Phase

if TYPE_CHECKING:
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
    "DeliveryUncertain",
    "Disconnected",
    "MessageError",
    "Phase",
    "ProtocolError",
    "RecipientsRefused",
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
        phase: where in the conversation it happened, if it had begun.
        command: the command that was being answered, without secrets.
        reply: the server's reply, if there was one; ``code``, ``enhanced_code`` and ``text`` are read from it.
        recipient: the address it is about, if it is about one.
        transient: whether the same attempt may succeed later.
    """

    transient = False

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
        """The reply's enhanced status code, if it had one."""
        return self.reply.enhanced_code if self.reply else None

    @property
    def text(self) -> str | None:
        """The reply's text, if the server replied."""
        return self.reply.text if self.reply else None


class SettingsError(SmtpError, InvalidInput):
    """The connection's settings cannot work, whoever the server is; nothing was sent.

    Attributes:
        problems: everything that is wrong, one sentence each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class MessageError(SmtpError, ValueError):
    """This message cannot be sent, or not to this server; nothing of it was sent."""


class ConnectError(SmtpError, ConnectionError):
    """No TCP connection to the server could be made."""

    transient = True


class Disconnected(SmtpError, ConnectionError):
    """The connection ended before the last octet of the content had left: nothing was delivered."""

    transient = True


class TimedOut(SmtpError, TimeoutError):
    """The server did not answer, or not to the end, in the time that the phase allows; nothing was delivered."""

    transient = True


class ProtocolError(SmtpError):
    """The server broke the rules of SMTP, so what it says cannot be relied on; the connection is closed."""


class TlsError(SmtpError):
    """No TLS session could be made."""


class StartTlsNotOffered(TlsError):
    """TLS is asked for and the server does not offer STARTTLS; nothing is ever sent in clear instead (RFC 3207)."""


class CertificateError(TlsError):
    """The server's certificate is not trusted, not valid now, or not the server's."""


class AuthenticationError(SmtpError):
    """Windows authentication was not possible; the message is never sent anonymously instead."""


class CredentialError(AuthenticationError):
    """The identity could not be proved before the server was asked: no ticket, wrong password at the KDC, ...

    Attributes:
        account_refused: whether the KDC refused the account itself; its password must not be tried elsewhere then.
    """

    account_refused = False


class AuthenticationNotOffered(AuthenticationError):
    """The server offers no mechanism that the settings allow."""


class AuthenticationRefused(AuthenticationError):
    """The server refused the identity."""


class Refused(SmtpError):
    """The server refused a command or the content; the message was not delivered."""


class RecipientsRefused(Refused):
    """The server refused recipients: an error, though the others may have the message (System.Net.Mail's semantics).

    Attributes:
        refused: each refused address with its reply.
        result: what happened to the message: None if nobody got it, else who did.
    """

    def __init__(
        self, server: str, *, refused: tuple[Refusal, ...], accepted: int = 0, result: SendResult | None = None
    ) -> None:
        first = refused[0]
        if result is not None:
            rest = f"The message {result.message_id} was delivered to the other {accepted}."
        elif accepted:
            rest = "Nothing was sent to anybody, as all_or_nothing demands."
        else:
            rest = "Nobody got the message."
        super().__init__(
            f"{server} refused {len(refused)} of {accepted + len(refused)} recipients: "
            f"{'; '.join(map(str, refused))}. {rest}",
            phase=Phase.RCPT,
            reply=first.reply,
            recipient=first.address,
            # Trying again is of use, and does no harm, only if nobody has the message yet. What keeps a record of who
            # has it may set this.
            transient=result is None and all(refusal.reply.transient for refusal in refused),
        )
        self.refused = refused
        self.result = result

    @classmethod
    def in_result(cls, result: SendResult, server: str = "The server") -> Self | None:
        """Return the error that a result is if recipients were refused; the one place that makes it an error."""
        if not result.refused:
            return None
        return cls(server, refused=result.refused, accepted=len(result.accepted), result=result)

    def __str__(self) -> str:
        again = self.transient and self.result is not None
        return super().__str__() + (" A retry sends it only to those who may be accepted later." if again else "")


class DeliveryUncertain(SmtpError):
    """The whole content left and no reply came back: the server may have the message, or not.

    Never retried by itself: the message may arrive twice. The person who reads this must decide.
    """
