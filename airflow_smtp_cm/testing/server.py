"""The test server."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import ssl
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakSet

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from airflow_smtp_cm.smtp.effects import TlsSession
from airflow_smtp_cm.smtp.settings import ChannelBinding
from airflow_smtp_cm.smtp.tls import channel_binding
from airflow_smtp_cm.testing.exchange import ExchangeHandler, ExchangeSession, Traffic
from airflow_smtp_cm.testing.ntlm import NtlmAcceptor
from airflow_smtp_cm.testing.receive_connector import ReceiveConnector
from airflow_smtp_cm.testing.received import ReceivedMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from aiosmtpd.smtp import Envelope, Session

HOST = "127.0.0.1"

# The fields of an Airflow connection that are not in its extra.
_STANDARD_FIELDS = ("conn_type", "description", "host", "port", "login", "password")

# At every login, aiosmtpd warns about an attribute that it sets itself.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class SmtpTestServer:
    r"""A server on a free port of 127.0.0.1, for the duration of a ``with`` block.

    Args:
        users: passwords by name, as ``DOMAIN\user``; by default one user with a random password.
        personality: how it behaves; None is a server that accepts all mail after a login under TLS, and ``exchange``
            has the extensions, the replies and the limits of Exchange.
        connector: properties of ``ReceiveConnector``, for the personality ``exchange``.

    Raises:
        ValueError: a property has no such value; or a name or a password contains a colon or a line end, which
            pyspnego's user file cannot contain.
        TypeError: a property does not exist, or there is no such personality.

    Attributes:
        users: the users that it accepts: passwords by name.
        host: the address on which it listens.
        port: the port on which it listens.
        server_name: the name in its certificate.
        ca_bundle: path of the PEM file with the authority that signed the certificate.
        tls_context: its TLS context, with the certificate and its key.
        outbox: the received messages, in order.
    """

    host = HOST
    server_name = "localhost"

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        personality: Literal["exchange"] | None = None,
        **connector: Any,
    ) -> None:
        if personality != "exchange" and (personality or connector):
            raise TypeError("The only personality is 'exchange', and the only one with properties of a connector.")
        properties = [field.name for field in fields(ReceiveConnector)]
        if unknown := sorted(connector.keys() - set(properties)):
            raise TypeError(f"A connector has no {', '.join(unknown)}. Its properties are {', '.join(properties)}.")
        self._connector = ReceiveConnector(**connector) if personality else None
        self.users = {r"CORP\airflow": secrets.token_urlsafe()} if users is None else users
        if any(set(":\r\n") & set(f"{name}{password}") for name, password in self.users.items()):
            raise ValueError("A user's name or password must not contain a colon or a line end here.")
        self._stack = ExitStack()
        self.outbox: list[ReceivedMessage] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smtp-test-server-")))
            users = self._write_users(folder)
            certificate = self._make_certificate(folder)
            sock = stack.enter_context(socket.create_server((HOST, 0)))
            self.port: int = sock.getsockname()[1]
            self._serve(stack, sock, self._sessions(users, certificate))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def airflow_connection(self, **changes: Any) -> str:
        """Return an Airflow connection to the server for its first user, as JSON for ``AIRFLOW_CONN_...``.

        Args:
            changes: other values of fields: of every connection, such as ``password``, and of the type ``smtp_cm``,
                such as ``from_email``.
        """
        login, password = next(iter(self.users.items()))
        extra = {
            "conn_type": "smtp_cm",
            "host": self.host,
            "port": self.port,
            "login": login,
            "password": password,
            "use_windows_authentication": True,
            "enable_ssl": True,
            "server_name": self.server_name,
            "ca_bundle": self.ca_bundle,
            "from_email": "Reports <reports@corp.test>",
        } | changes
        standard = {name: extra.pop(name) for name in _STANDARD_FIELDS if name in extra}
        return json.dumps(standard | {"extra": extra})

    def _write_users(self, folder: Path) -> Path:
        file = folder / "users"
        file.touch(mode=0o600)
        with file.open("w") as lines:
            for name, password in self.users.items():
                domain, _, user = name.rpartition("\\")
                lines.write(f"{domain}:{user}:{password}\n")
        return file

    def _make_certificate(self, folder: Path) -> bytes:
        """Set the attributes about TLS, and return the certificate, DER."""
        authority = trustme.CA(organization_name="SMTP test server")
        certificate = authority.issue_cert(self.server_name, HOST)
        self.ca_bundle = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_bundle)
        self.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.tls_context)
        return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())

    def _sessions(self, users: Path, certificate: bytes) -> Callable[[asyncio.AbstractEventLoop], SMTP]:
        """Return the function that makes the session of a connection."""
        session = TlsSession(version="", cipher="", certificate=certificate, tls_unique=None)
        binding = channel_binding(session, ChannelBinding.TLS_SERVER_END_POINT)
        connector = self._connector
        if connector is None:
            plain = _Handler(NtlmAcceptor(users, binding), self.outbox)
            return lambda loop: SMTP(
                plain,
                hostname=self.server_name,
                tls_context=self.tls_context,
                require_starttls=True,
                auth_required=True,
                auth_exclude_mechanism=["LOGIN", "PLAIN"],
                enable_SMTPUTF8=True,
                loop=loop,
            )
        required = connector.extended_protection_policy == "Require"
        ntlm = NtlmAcceptor(users, binding if required else None, invitation="NTLM supported")
        traffic = Traffic()
        exchange = ExchangeHandler(connector, traffic, ntlm, self.outbox)
        return lambda loop: ExchangeSession(exchange, connector, traffic, self.tls_context, loop)

    def _serve(
        self, stack: ExitStack, sock: socket.socket, new_session: Callable[[asyncio.AbstractEventLoop], SMTP]
    ) -> None:
        loop = asyncio.new_event_loop()
        sessions: WeakSet[SMTP] = WeakSet()

        def factory() -> SMTP:
            session = new_session(loop)
            sessions.add(session)
            return session

        server = loop.run_until_complete(loop.create_server(factory, sock=sock))
        thread = threading.Thread(target=loop.run_forever, name="SMTP test server")
        thread.start()

        async def close() -> None:
            server.close()
            for session in sessions:
                transport: Any = session.transport
                if transport:
                    with suppress(AttributeError):  # before Python 3.11.3, if the TLS transport is closed already
                        transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        def stop() -> None:
            asyncio.run_coroutine_threadsafe(close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        stack.callback(stop)


class _Handler:
    """Handles logins and messages for aiosmtpd."""

    def __init__(self, ntlm: NtlmAcceptor, outbox: list[ReceivedMessage]) -> None:
        self._ntlm = ntlm
        self._outbox = outbox

    async def auth_NTLM(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's name
        return await self._ntlm.login(server, args)

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self._outbox.append(ReceivedMessage.from_envelope(server, session, envelope))
        return f"250 2.0.0 Kept as number {len(self._outbox)}"
