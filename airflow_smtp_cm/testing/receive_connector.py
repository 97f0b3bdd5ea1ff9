"""The properties of an Exchange receive connector that the test server imitates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

AuthMechanism = Literal["Tls", "Integrated", "BasicAuth", "BasicAuthRequireTLS", "ExchangeServer"]
PermissionGroup = Literal["ExchangeUsers", "ExchangeServers", "ExchangeLegacyServers", "Partners"]
RepliesTo = Literal["greeting", "MAIL", "content"]
ExtendedProtectionPolicy = Literal["None", "Require"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveConnector:
    r"""A receive connector of Exchange 2016 or later, with the names and defaults of ``New-ReceiveConnector``.

    Two defaults differ, so that tests need not wait: the tarpit and the acknowledgement delay. Intervals are in
    seconds, sizes in bytes.

    Attributes:
        fqdn: the name in the greeting and in the reply to EHLO.
        auth_mechanism: ``Tls`` offers STARTTLS, ``Integrated`` NTLM, ``BasicAuth`` LOGIN (only under TLS with
            ``BasicAuthRequireTLS``), and ``ExchangeServer`` the logins of other Exchange servers. Only NTLM succeeds.
        enable_auth_gssapi: offer GSSAPI, too. A login with it fails, because the test server has no KDC.
        permission_groups: without ``ExchangeUsers``, accounts that have logged in may not submit mail. Anonymous mail
            is never accepted.
        extended_protection_policy: ``Require`` accepts only logins that are bound to the TLS session.
        pipelining_enabled: offer PIPELINING.
        chunking_enabled: offer CHUNKING.
        binary_mime_enabled: offer BINARYMIME.
        eight_bit_mime_enabled: offer 8BITMIME.
        delivery_status_notification_enabled: offer DSN.
        size_enabled: offer SIZE, with ``max_message_size``.
        auth_tarpit_interval: the time before the reply to a failed login; 5 in Exchange.
        max_logon_failures: failed logins in a session before it is closed; 0 for no limit.
        max_protocol_errors: replies with 5xx in a session before it is closed; failed logins are not counted.
        max_recipients_per_message: recipients of a message; each further one is refused with 452.
        max_message_size: size of a message.
        max_header_size: size of a message's header.
        message_rate_limit: messages per minute from all clients; None for no limit.
        max_inbound_connection_per_source: open connections from one address.
        max_acknowledgement_delay: the time before the final reply to a message; up to 30 in Exchange 2010.
        connection_inactivity_timeout: the time without a command after which a session is closed.
        connection_timeout: the time after which a session is closed, even if it is not idle.
        send_as: the addresses that each user may use as the sender, by ``DOMAIN\user``; None if everybody may use any
            address (the permission ``ms-Exch-SMTP-Accept-Any-Sender``).
        unknown_recipients: addresses that do not exist; each is refused with 550.
        replies: negative replies in place of the server's own: the greeting, the reply to MAIL, or to the content.

    Raises:
        TypeError: ``auth_mechanism`` is a text.
        ValueError: a property has no such value.
    """

    fqdn: str = "EXCH01.corp.example"
    auth_mechanism: Collection[AuthMechanism] = (
        "Tls",
        "Integrated",
        "BasicAuth",
        "BasicAuthRequireTLS",
        "ExchangeServer",
    )
    enable_auth_gssapi: bool = False
    permission_groups: Collection[PermissionGroup] = frozenset({"ExchangeUsers"})
    extended_protection_policy: ExtendedProtectionPolicy = "None"
    pipelining_enabled: bool = True
    chunking_enabled: bool = True
    binary_mime_enabled: bool = True
    eight_bit_mime_enabled: bool = True
    delivery_status_notification_enabled: bool = True
    size_enabled: bool = True
    auth_tarpit_interval: float = 0.1
    max_logon_failures: int = 3
    max_protocol_errors: int = 5
    max_recipients_per_message: int = 200
    max_message_size: int = 37_748_736
    max_header_size: int = 262_144
    message_rate_limit: int | None = None
    max_inbound_connection_per_source: int = 20
    max_acknowledgement_delay: float = 0.0
    connection_inactivity_timeout: float = 300.0
    connection_timeout: float = 600.0
    send_as: Mapping[str, Collection[str]] | None = None
    unknown_recipients: Collection[str] = ()
    replies: Mapping[RepliesTo, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values, possible in (
            ("auth_mechanism", self.auth_mechanism, get_args(AuthMechanism)),
            ("permission_groups", self.permission_groups, get_args(PermissionGroup)),
            ("replies", self.replies, get_args(RepliesTo)),
        ):
            if isinstance(values, str):  # a collection, too, but of letters
                raise TypeError(f"{name} must be a list, such as [{values!r}].")
            _check(name, values, possible)
        _check("extended_protection_policy", [self.extended_protection_policy], get_args(ExtendedProtectionPolicy))


def _check(name: str, values: Collection[object], possible: tuple[str, ...]) -> None:
    for value in values:
        if value not in possible:
            raise ValueError(f"{name} has no value {value!r}. The possible values are {', '.join(possible)}.")
