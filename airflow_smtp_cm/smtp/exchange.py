"""What Exchange's replies mean; docs/errors.md shows the table.

Sources: "DSNs and NDRs in Exchange Server", "Message rate limits and throttling", "Message size and recipient limits
in Exchange Server", "Understanding back pressure", "Receive connectors", New-ReceiveConnector, and the fields of the
class SmtpResponse (Microsoft).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_smtp_cm.smtp.reply import Reply

# Every greeting has the first text, unless the administrator has replaced it (Banner); or one of the others is in its
# place.
# The SMTP service of Windows (IIS) has a version instead of "ready", and is administered in other ways.
_GREETINGS = (
    "microsoft esmtp mail service ready",
    "4.3.2 the maximum number of concurrent ",
    "4.3.2 service not active",
)
_EXTENSIONS = {"X-EXPS", "X-ANONYMOUSTLS", "XEXCH50", "XRDST", "XSHADOW"}

_SECURITY = "In the Exchange admin center, under Mail flow > Receive connectors > (the connector) > Security,"
_NOT_FOR_CLIENTS = (
    f"this receive connector of Exchange does not offer Windows authentication to clients. {_SECURITY} select "
    f'"Integrated Windows authentication" and the permission group "Exchange users". "Exchange Server '
    f'authentication" is for other Exchange servers only.'
)
_ONLINE = (
    "Exchange Online has no Windows authentication. Use Airflow's own `smtp` provider; or turn Windows "
    "authentication off, and let a connector recognize this machine by its address or its certificate."
)
_ONLINE_HOSTS = (".outlook.com", ".office365.com", ".mx.microsoft")
NO_KERBEROS = (
    "This receive connector of Exchange does not offer Kerberos: Set-ReceiveConnector -EnableAuthGSSAPI $true turns "
    "it on."
)

# The front end passes a session after its login on to Client Proxy, which has permissions and limits of its own.
_TOO = "on this receive connector and on Client Proxy of every Mailbox server"
_MAY_NOT_SUBMIT = (
    "The account is logged in, and may not submit mail here: PermissionGroups of the receive connector does not "
    "contain ExchangeUsers, or ms-Exch-SMTP-Submit is denied."
)
_LET_SUBMIT = f"Add ExchangeUsers to PermissionGroups {_TOO}."
_NOT_ACCEPTING = "The server, or a transport agent on it, accepts no messages at the moment."
_IF_IT_LASTS = "Wait, with retries. If it lasts, check"


class Meaning(NamedTuple):
    """What a reply means.

    Attributes:
        reply: the reply; the ellipsis stands for text that differs.
        words: the part of the reply, in lower case, that identifies it together with its code.
        meaning: what has happened.
        advice: what to do.
        logged_in: whether it has this meaning only after a login (true) or only in an anonymous session (false).
    """

    reply: str
    words: str
    meaning: str
    advice: str
    logged_in: bool | None = None

    def fits(self, reply: Reply, *, logged_in: bool) -> bool:
        """Whether the reply is this one.

        Args:
            reply: the reply.
            logged_in: whether the client has logged in.
        """
        return (
            self.logged_in in (None, logged_in)
            and self.reply.startswith(str(reply.code))
            and self.words in str(reply).lower()
        )


MEANINGS = (
    Meaning(
        "421 4.3.2 The maximum number of concurrent connections has exceeded a limit",
        "maximum number of concurrent",
        "This machine has as many connections as MaxInboundConnectionPerSource (20) or "
        "MaxInboundConnectionPercentagePerSource (2 percent) of the receive connector allows, or the server as many "
        "as MaxInboundConnection.",
        "Let fewer tasks send at the same time, with an Airflow pool; lower connections in a task that sends many "
        "messages; or raise the limit.",
    ),
    Meaning(
        "421 4.3.2 Service not active",
        "service not a",
        "The server is in maintenance, or one of its components is inactive; or a custom receive connector of the "
        "Transport service listens on the same port.",
        f"{_IF_IT_LASTS} Get-ServerComponentState, and that custom receive connectors have the TransportRole "
        f"FrontendTransport.",
    ),
    Meaning(
        "421 4.3.2 System not accepting network messages",
        "system not accepting",
        _NOT_ACCEPTING,
        f"{_IF_IT_LASTS} Get-ServerComponentState and Get-TransportAgent.",
    ),
    Meaning(
        "421 4.4.1 Connection timed out",
        "connection timed out",
        "The session has lasted for longer than ConnectionTimeout of the receive connector allows (10 minutes).",
        "If the task sends many messages, set max_messages_per_connection. If one message takes so long, send a "
        "smaller one, or raise the limit.",
    ),
    Meaning(
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        "submission rate",
        "More messages were sent in a minute than MessageRateLimit of the receive connector allows; on connectors "
        "for clients it is 5, for all sessions of the account together.",
        f"Raise the limit, {_TOO}; or send less: with messages_per_minute in a task that sends many messages, with "
        f"an Airflow pool for many tasks.",
    ),
    Meaning(
        "421 4.7.0 Too many errors on this connection, closing transmission channel",
        "too many errors",
        "The session had more errors than MaxProtocolErrors of the receive connector allows (5).",
        "Solve the errors before this one.",
    ),
    Meaning(
        "451 4.7.0 Temporary server error. Please try again later. PRX…",
        "temporary server error",
        "The front end cannot reach the Transport service.",
        f"{_IF_IT_LASTS} the service MSExchangeTransport, Get-ServerComponentState, the DNS servers of Exchange, and "
        f"the receive connector Client Proxy.",
    ),
    Meaning(
        "451 4.3.2 System not accepting network messages",
        "system not accepting",
        _NOT_ACCEPTING,
        f"{_IF_IT_LASTS} Get-ServerComponentState and Get-TransportAgent.",
    ),
    Meaning(
        "451 4.7.0 Timeout waiting for client input",
        "timeout waiting for client input",
        "The session was idle for longer than ConnectionInactivityTimeout of the receive connector allows (5 "
        "minutes).",
        "A retry, or the next message, uses a new session.",
    ),
    Meaning(
        "451 5.7.3 STARTTLS is required to send mail",
        "starttls is required",
        "The receive connector requires TLS.",
        "Turn on enable_ssl; a retry does not help.",
    ),
    Meaning(
        "452 4.3.1 Insufficient system resources",
        "insufficient system resources",
        "The server has too little disk space or memory (back pressure), and accepts no mail until it has more.",
        "Wait, with retries, and inform the Exchange administrator.",
    ),
    Meaning(
        "452 4.5.3 Too many recipients",
        "too many recipients",
        "The server accepts no further recipient: MaxRecipientsPerMessage of the receive connector (200 by default), "
        "or another limit on recipients, is reached.",
        f"Use a distribution group; or raise the limit, {_TOO}, to at most MaxRecipientEnvelopeLimit of the "
        f"organization.",
    ),
    Meaning(
        "454 4.7.0 Temporary authentication failure",
        "temporary authentication failure",
        "The server cannot reach a domain controller.",
        "Wait, with retries.",
    ),
    Meaning(
        "504 5.7.4 Unrecognized authentication type",
        "unrecognized authentication type",
        "The receive connector does not allow this mechanism.",
        "Change AuthMechanism of the receive connector.",
    ),
    Meaning(
        "530 5.7.57 … Client was not authenticated to send anonymous mail during MAIL FROM",
        "not authenticated",
        "The session is anonymous, and the receive connector requires a login.",
        "Turn on use_windows_authentication; for Exchange Online, use Airflow's own smtp provider.",
        logged_in=False,
    ),
    Meaning(
        "530 5.7.57 … Client was not authenticated to send anonymous mail during MAIL FROM",
        "not authenticated",
        _MAY_NOT_SUBMIT,
        _LET_SUBMIT,
        logged_in=True,
    ),
    Meaning(
        "535 5.7.3 Authentication unsuccessful",
        "authentication unsuccessful",
        "User or password is wrong; the account is disabled or locked, or may not use this receive connector; NTLM "
        "is forbidden in the domain; the channel binding is not the server's; or the ticket is for another server.",
        "The security log shows the reason: event 4625 on the Exchange server; on the domain controller, 4776 for "
        "NTLM, 4768 and 4771 for Kerberos.",
    ),
    Meaning(
        "550 5.1.10 … Recipient not found by SMTP address lookup",
        "550 5.1.1",  # or 5.1.10; elsewhere in the text, it may be a part of an address
        "There is no such recipient.",
        "Correct the address.",
    ),
    Meaning(
        "550 5.7.1 Client does not have permissions to submit to this server",
        "permissions to submit",
        _MAY_NOT_SUBMIT,
        _LET_SUBMIT,
    ),
    Meaning(
        "550 5.7.54 … Unable to relay recipient in non-accepted domain",
        "unable to relay",
        "The recipient is outside of the organization, and this session may not relay.",
        "Log in on a receive connector with the permission group ExchangeUsers, or grant "
        f"ms-Exch-SMTP-Accept-Any-Recipient {_TOO}.",
    ),
    Meaning(
        "550 5.7.60 … Client does not have permissions to send as this sender",
        "permissions to send as this sender",
        "The account may not use this sender.",
        'Send as the account itself; or grant it "Send As" for the sender\'s mailbox, or '
        f"ms-Exch-SMTP-Accept-Any-Sender {_TOO}.",
    ),
    Meaning(
        "550 5.7.60 … Client does not have permissions to send on behalf of the from address",
        "permissions to send on behalf",
        "The account may use the sender, but not the address in the header From.",
        'Use the account\'s own address there; or grant it "Send on Behalf" for the mailbox of that address.',
    ),
    Meaning(
        "550 5.7.64 TenantAttribution; Relay Access Denied",
        "relay access denied",
        "Exchange Online does not recognize this machine by a connector, and relays nothing for it.",
        "Correct the address or the certificate in the connector.",
    ),
    Meaning(
        "550 5.7.68 … Direct Send not allowed for this organization from unauthorized sources",
        "direct send not allowed",
        "Exchange Online rejects anonymous mail whose sender has a domain of this organization (RejectDirectSend).",
        "Create a connector in Exchange Online for this machine.",
    ),
    Meaning(
        "552 5.3.4 Header size exceeds fixed maximum size",
        "header size exceeds",
        "The header is larger than MaxHeaderSize of the receive connector (256 kB); most often, To and Cc are long.",
        "Move recipients to bcc, or use a distribution group.",
    ),
    Meaning(
        "552 5.3.4 Message size exceeds fixed maximum message size",
        "message size exceeds",
        "The message is too large, and the server did not announce its limit.",
        f"Send a link; or raise MaxMessageSize, {_TOO}, and MaxSendSize and MaxReceiveSize of the organization.",
    ),
)


def is_greeting(reply: Reply) -> bool:
    """Whether a greeting, or the reply in its place, is that of Exchange."""
    text = reply.text.lower()
    return any(greeting in text for greeting in _GREETINGS)


def has_extensions(keywords: Iterable[str]) -> bool:
    """Whether keywords of EHLO are those of Exchange."""
    return not _EXTENSIONS.isdisjoint(keywords)


def no_windows_authentication(host: str, mechanisms: Iterable[str]) -> str:
    """Return why Exchange offers a client no Windows authentication, and what to do.

    Args:
        host: the server's name; it tells Exchange Online.
        mechanisms: what the server offers instead; XOAUTH2 is offered by Exchange Online only.
    """
    online = host.lower().endswith(_ONLINE_HOSTS) or "XOAUTH2" in mechanisms
    return _ONLINE if online else _NOT_FOR_CLIENTS


def explain(replies: Iterable[Reply], *, logged_in: bool) -> str:
    """Return what the replies of an Exchange server mean, and what to do; empty if nothing is known about them.

    Args:
        replies: the replies.
        logged_in: whether the client has logged in.
    """
    found = dict.fromkeys(
        meaning for reply in replies for meaning in MEANINGS if meaning.fits(reply, logged_in=logged_in)
    )
    return " ".join(f"{meaning.meaning} {meaning.advice}" for meaning in found)
