"""The personality of Exchange: its replies, its limits and its refusals.

Sources: New-ReceiveConnector and "DSNs and NDRs in Exchange Server" (Microsoft), MS-SMTPNTLM, published dialogues.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import localtime
from typing import TYPE_CHECKING, Any, AnyStr

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, Session, syntax

from airflow_smtp_cm.testing.received import ReceivedMessage

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from airflow_smtp_cm.testing.ntlm import NtlmAcceptor
    from airflow_smtp_cm.testing.receive_connector import ReceiveConnector

_TOO_LARGE = "552 5.3.4 Message size exceeds fixed maximum message size"
_NOT_THIS_SENDER = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
_NOT_FOUND = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
_NOT_AUTHENTICATED = "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM"
_TOO_MANY_ERRORS = "421 4.7.0 Too many errors on this connection, closing transmission channel"
_SEND_HELLO = "503 5.5.2 Send hello first"

# The replies of aiosmtpd, up to the first quotation mark, and those of Exchange.
_REPLIES = {
    "220 Ready to start TLS": "220 2.0.0 SMTP server ready",
    "354 End data with <CR><LF>.<CR><LF>": "354 Start mail input; end with <CRLF>.<CRLF>",
    "500 Error: command": "500 5.3.3 Unrecognized command",
    "503 Error: send HELO first": _SEND_HELLO,
    "503 Error: send EHLO first": _SEND_HELLO,
    "503 Error: need MAIL command": "503 5.5.2 Need mail command",
    "503 Error: need RCPT command": "503 5.5.2 Need rcpt command",
    "503 Error: nested MAIL command": "503 5.5.2 Sender already specified",
    "504 5.5.4 Unrecognized authentication type": "504 5.7.4 Unrecognized authentication type",
    "535 5.7.8 Authentication credentials invalid": "535 5.7.3 Authentication unsuccessful",
    "552 Error: message size exceeds fixed maximum message size": _TOO_LARGE,
    "552 Error: Too much mail data": _TOO_LARGE,
}
_CLOSING, _LOGIN_FAILED = "421", "535"
_MINUTE = 60.0

# Parameters that aiosmtpd does not know (RFC 3030, RFC 3461).
_MAIL_PARAMETERS = re.compile(r" (?:BODY=BINARYMIME|RET=\S+|ENVID=\S+)", re.IGNORECASE)
_RCPT_PARAMETERS = re.compile(r" (?:NOTIFY|ORCPT)=\S+", re.IGNORECASE)
_BDAT = re.compile(r"([0-9]+)( LAST)?", re.IGNORECASE)


@dataclass(slots=True)
class Traffic:
    """What the limits of a connector count in all its sessions."""

    connections: int = 0
    messages: deque[float] = field(default_factory=deque)

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Count a connection during the block."""
        self.connections += 1
        try:
            yield
        finally:
            self.connections -= 1

    def messages_in_the_last_minute(self) -> int:
        """Return how many messages were begun."""
        while self.messages and self.messages[0] < time.monotonic() - _MINUTE:
            self.messages.popleft()
        return len(self.messages)


class ExchangeHandler:
    """Decides about logins, senders, recipients and messages, for aiosmtpd.

    Args:
        connector: the connector.
        traffic: the counts of the connector's limits.
        ntlm: verifies logins.
        outbox: where the received messages are kept.
    """

    def __init__(
        self, connector: ReceiveConnector, traffic: Traffic, ntlm: NtlmAcceptor, outbox: list[ReceivedMessage]
    ) -> None:
        self._connector = connector
        self._traffic = traffic
        self._ntlm = ntlm
        self._outbox = outbox

    async def auth_NTLM(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: D102, N802 - aiosmtpd's name
        return await self._ntlm.login(server, args)

    async def auth_GSSAPI(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: D102, N802
        bare = len(args) == 1
        aborted = bare and await server.challenge_auth("GSSAPI supported", encode_to_b64=False) is MISSING
        return AuthResult(success=False, handled=aborted)

    async def handle_MAIL(  # noqa: D102, N802
        self, _: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "ExchangeUsers" not in self._connector.permission_groups:
            return _NOT_AUTHENTICATED
        if reply := self._connector.replies.get("MAIL"):
            return reply
        limit = self._connector.message_rate_limit
        if limit is not None and self._traffic.messages_in_the_last_minute() >= limit:
            return "421 4.4.2 Message submission rate for this client has exceeded the configured limit"
        if not self._may_send_as(str(session.auth_data), address):
            return _NOT_THIS_SENDER
        self._traffic.messages.append(time.monotonic())
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(  # noqa: D102, N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= self._connector.max_recipients_per_message:
            return "452 4.5.3 Too many recipients"
        if address.casefold() in map(str.casefold, self._connector.unknown_recipients):
            return _NOT_FOUND
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: D102, N802
        message = ReceivedMessage.from_envelope(server, session, envelope)
        if reply := self._connector.replies.get("content"):
            return reply
        header, _, _ = message.content.partition(b"\r\n\r\n")
        if len(header) > self._connector.max_header_size:
            return "552 5.3.4 Header size exceeds fixed maximum size"
        senders = getattr(message.message["From"], "addresses", ())
        if not all(self._may_send_as(message.identity, sender.addr_spec) for sender in senders):
            return _NOT_THIS_SENDER
        self._outbox.append(message)
        number = len(self._outbox)
        # Exchange delays only its reply: it has the message, even if the client gives up.
        await asyncio.sleep(self._connector.max_acknowledgement_delay)
        return (
            f"250 2.6.0 {message.message['Message-ID']} [InternalId={number}, "
            f"Hostname={self._connector.fqdn}] Queued mail for delivery"
        )

    def _may_send_as(self, user: str, address: str) -> bool:
        send_as = self._connector.send_as
        if send_as is None:
            return True
        return address.casefold() in {allowed.casefold() for allowed in send_as.get(user, ())}

    async def handle_RSET(self, *_: Any) -> str:  # noqa: D102, N802
        return "250 2.0.0 Resetting"

    async def handle_NOOP(self, *_: Any) -> str:  # noqa: D102, N802
        return "250 2.0.0 OK"

    async def handle_QUIT(self, *_: Any) -> str:  # noqa: D102, N802
        return "221 2.0.0 Service closing transmission channel"


class ExchangeSession(SMTP):
    """One session with the extensions, the replies and the limits of Exchange.

    Args:
        handler: decides about logins and messages.
        connector: the connector.
        traffic: the counts of the connector's limits.
        tls: the TLS context.
        loop: the event loop.
    """

    line_length_limit = 16_384

    def __init__(
        self,
        handler: ExchangeHandler,
        connector: ReceiveConnector,
        traffic: Traffic,
        tls: ssl.SSLContext,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(
            handler,
            hostname=connector.fqdn,
            ident=f"Microsoft ESMTP MAIL Service ready at {localtime():%a, %d %b %Y %H:%M:%S %z}",
            data_size_limit=connector.max_message_size,
            tls_context=tls if "Tls" in connector.auth_mechanism else None,
            auth_require_tls=False,
            auth_exclude_mechanism={"PLAIN", "LOGIN", "NTLM", "GSSAPI"} - set(_logins(connector, tls=True)),
            timeout=connector.connection_inactivity_timeout,
            loop=loop,
        )
        self._handler = handler
        self._connector = connector
        self._traffic = traffic
        self._errors = 0
        self._failed_logins = 0

    async def push(self, status: AnyStr) -> None:
        """Send a reply in the words of Exchange; close the session after too many errors."""
        reply = status if isinstance(status, str) else bytes(status).decode()
        reply = _REPLIES.get(reply.partition(' "')[0], reply)
        if reply.startswith(_LOGIN_FAILED):
            self._failed_logins += 1
            await asyncio.sleep(self._connector.auth_tarpit_interval)
        elif reply.startswith("5"):
            self._errors += 1
        await super().push(reply)
        too_many = (
            0 < self._connector.max_logon_failures <= self._failed_logins
            or self._errors > self._connector.max_protocol_errors
        )
        if too_many:
            await super().push(_TOO_MANY_ERRORS)
        if too_many or reply.startswith(_CLOSING):
            self._close()
            await asyncio.sleep(0)  # ends here: commands that have arrived are not carried out

    async def check_auth_needed(self, caller_method: str) -> bool:  # noqa: ARG002 - the words are always those of MAIL
        """Refuse a command of a client that has not logged in."""
        assert self.session is not None  # noqa: S101 - aiosmtpd creates it with the connection
        if self.session.authenticated:
            return False
        await self.push(_NOT_AUTHENTICATED)
        return True

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        """Reply with the extensions of the connector."""
        assert self.session is not None  # noqa: S101 - as above
        self.envelope = self._create_envelope()
        self.session.extended_smtp = True
        self.session.host_name = hostname
        lines = [f"{self._connector.fqdn} Hello [127.0.0.1]", *_offer(self._connector, tls=bool(self._tls_protocol))]
        await self.push("\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    @syntax("MAIL FROM:<address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """Accept the parameters of BINARYMIME and DSN, too."""
        await super().smtp_MAIL(arg and _MAIL_PARAMETERS.sub("", arg))

    @syntax("RCPT TO:<address>", extended=" [SP <mail-parameters>]")
    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """Accept the parameters of DSN, too."""
        await super().smtp_RCPT(arg and _RCPT_PARAMETERS.sub("", arg))

    @syntax("BDAT size [LAST]")
    async def smtp_BDAT(self, arg: str | None) -> None:  # noqa: N802
        """Receive a chunk (RFC 3030, section 2)."""
        assert self.session is not None and self.envelope is not None  # noqa: PT018, S101 - as above
        command = _BDAT.fullmatch(arg or "")
        if command is None:
            await self.push("501 5.5.4 Invalid arguments")
            return
        chunk = await self._reader.readexactly(int(command[1]))
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.2 Need rcpt command")
            return
        content = self.envelope.original_content = (self.envelope.original_content or b"") + chunk
        if len(content) > self._connector.max_message_size:
            self.envelope = self._create_envelope()
            await self.push(_TOO_LARGE)
        elif not command[2]:
            await self.push(f"250 2.6.0 CHUNK received OK, {len(chunk)} octets")
        else:
            reply = await self._handler.handle_DATA(self, self.session, self.envelope)
            self.envelope = self._create_envelope()
            await self.push(reply)

    async def _handle_client(self) -> None:
        if reply := self._connector.replies.get("greeting"):
            await self.push(reply)
            self._close()
            return
        if self._traffic.connections >= self._connector.max_inbound_connection_per_source:
            await self.push(
                "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, "
                "closing transmission channel"
            )
            return
        end = self.loop.call_later(
            self._connector.connection_timeout, self._time_out, "421 4.4.1 Connection timed out"
        )
        try:
            with self._traffic.connection():
                await super()._handle_client()
        finally:
            end.cancel()

    def _timeout_cb(self) -> None:
        self._time_out("451 4.7.0 Timeout waiting for client input")

    def _time_out(self, reply: str) -> None:
        self._writer.write(f"{reply}\r\n".encode())
        self._close()

    def _close(self) -> None:
        transport: Any = self.transport
        if transport is not None and self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
            transport.close()


def _offer(connector: ReceiveConnector, *, tls: bool) -> list[str]:
    """Return the extensions in the reply to EHLO, before or after STARTTLS."""
    for_servers = "ExchangeServer" in connector.auth_mechanism
    logins = _logins(connector, tls=tls)
    offers = {
        f"SIZE {connector.max_message_size}": connector.size_enabled,
        "PIPELINING": connector.pipelining_enabled,
        "DSN": connector.delivery_status_notification_enabled,
        "ENHANCEDSTATUSCODES": True,
        "STARTTLS": "Tls" in connector.auth_mechanism and not tls,
        "X-ANONYMOUSTLS": for_servers and not tls,
        " ".join(["AUTH", *logins]): bool(logins or for_servers),
        "X-EXPS GSSAPI NTLM": for_servers,
        "8BITMIME": connector.eight_bit_mime_enabled,
        "BINARYMIME": connector.binary_mime_enabled and connector.chunking_enabled,
        "CHUNKING": connector.chunking_enabled,
        "XRDST": True,
    }
    return [line for line, offered in offers.items() if offered]


def _logins(connector: ReceiveConnector, *, tls: bool) -> list[str]:
    """Return the mechanisms after the keyword AUTH."""
    mechanisms = connector.auth_mechanism
    integrated = "Integrated" in mechanisms
    offers = {
        "GSSAPI": integrated and connector.enable_auth_gssapi,
        "NTLM": integrated,
        "LOGIN": "BasicAuth" in mechanisms and (tls or "BasicAuthRequireTLS" not in mechanisms),
    }
    return [name for name, offered in offers.items() if offered]
