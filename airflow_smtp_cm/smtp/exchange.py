"""What Exchange's replies mean; docs/errors.md shows the table.

Sources: "DSNs and NDRs in Exchange Server", "Message rate limits and throttling", "Understanding back pressure",
"Receive connectors" and New-ReceiveConnector (Microsoft).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_smtp_cm.smtp.reply import Reply

# Every greeting has the first text, unless the administrator has replaced it (Banner); or the second is in its place.
# The SMTP service of Windows (IIS) has a version instead of "ready", and is administered in other ways.
_GREETINGS = ("microsoft esmtp mail service ready", "4.3.2 the maximum number of concurrent ")
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


class Meaning(NamedTuple):
    """What a reply means.

    Attributes:
        reply: the reply; the ellipsis stands for text that differs.
        words: the part of the reply, in lower case, that identifies it together with its code.
        meaning: what has happened.
        advice: what to do.
    """

    reply: str
    words: str
    meaning: str
    advice: str

    def fits(self, reply: Reply) -> bool:
        """Whether the reply is this one."""
        return self.reply.startswith(str(reply.code)) and self.words in str(reply).lower()


MEANINGS = (
    Meaning(
        "421 4.3.2 The maximum number of concurrent connections has exceeded a limit",
        "maximum number of concurrent",
        "This machine has as many connections as MaxInboundConnectionPerSource of the receive connector allows (20), "
        "or the server as many as MaxInboundConnection.",
        "Let fewer tasks send at the same time, with an Airflow pool, or raise the limit.",
    ),
    Meaning(
        "421 4.3.2 Service not active",
        "service not a",
        "The server is in maintenance, or one of its components is inactive.",
        "Wait, with retries. Get-ServerComponentState shows the components.",
    ),
    Meaning(
        "421 4.4.1 Connection timed out",
        "connection timed out",
        "The session has lasted for longer than ConnectionTimeout of the receive connector allows (10 minutes).",
        "Send fewer messages over one session: set max_messages_per_connection.",
    ),
    Meaning(
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        "submission rate",
        "More messages were sent in a minute than MessageRateLimit of the receive connector allows; on connectors "
        "for clients it is 5.",
        "Set messages_per_minute, or raise the limit.",
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
        "Wait, with retries. If it lasts, ask the Exchange administrator.",
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
        "The server accepts no further recipient: MaxRecipientsPerMessage of the receive connector (200), or another "
        "limit on recipients, is reached.",
        "Use a distribution group, or raise the limit.",
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
    ),
    Meaning(
        "535 5.7.3 Authentication unsuccessful",
        "authentication unsuccessful",
        "User or password is wrong; the account is disabled or locked, or may not use this receive connector; NTLM "
        "is forbidden in the domain; the channel binding is not the server's; or the ticket is for another server.",
        "The security log of the domain controller shows the reason.",
    ),
    Meaning(
        "550 5.1.10 … Recipient not found by SMTP address lookup",
        "550 5.1.1",  # or 5.1.10; elsewhere in the text, it may be a part of an address
        "There is no such recipient.",
        "Correct the address.",
    ),
    Meaning(
        "550 5.7.54 … Unable to relay recipient in non-accepted domain",
        "unable to relay",
        "The recipient is outside of the organization, and this session may not relay.",
        "Log in on a receive connector with the permission group ExchangeUsers, or grant "
        "ms-Exch-SMTP-Accept-Any-Recipient.",
    ),
    Meaning(
        "550 5.7.60 … Client does not have permissions to send as this sender",
        "permissions to send as this sender",
        "The account may not use this sender.",
        'Send as the account itself, or grant it "Send As" for the sender\'s mailbox, or '
        "ms-Exch-SMTP-Accept-Any-Sender on the receive connector.",
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
        "Send a link, or raise MaxMessageSize of the receive connector and of the organization.",
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


def explain(replies: Iterable[Reply]) -> str:
    """Return what the replies of an Exchange server mean, and what to do; empty if nothing is known about them."""
    found = dict.fromkeys(meaning for reply in replies for meaning in MEANINGS if meaning.fits(reply))
    return " ".join(f"{meaning.meaning} {meaning.advice}" for meaning in found)
