"""An SMTP server in this process that only accepts Windows authentication, to test the mail of DAGs.

    with SmtpTestServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", server.airflow_connection())
        ...  # run the DAG
        assert server.outbox[0].message["Subject"] == "Report"

The fixture ``smtp_cm_server`` replaces the first two lines (see ``pytest_plugin``). This module needs the extra
``airflow-smtp-cm[testing]``. Logins with NTLM are verified by pyspnego, channel bindings included.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import ssl
import tempfile
import threading
from base64 import b64decode
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import spnego
import trustme
from aiosmtpd.smtp import MISSING, SMTP, AuthResult
from spnego.channel_bindings import GssChannelBindings

from airflow_smtp_cm.smtp.effects import TlsSession
from airflow_smtp_cm.smtp.settings import ChannelBinding
from airflow_smtp_cm.smtp.tls import channel_binding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage
    from types import TracebackType
    from typing import Self

    from aiosmtpd.smtp import Envelope, Session

__all__ = ["ReceivedMessage", "SmtpTestServer"]

HOST = "127.0.0.1"

# The fields of an Airflow connection that are not in its extra.
_STANDARD_FIELDS = ("conn_type", "description", "host", "port", "login", "password")

_user_file_lock = threading.Lock()

# At every login, aiosmtpd warns about an attribute that it sets itself.
logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    r"""One message that the server received.

    Attributes:
        identity: the user who logged in, as ``DOMAIN\user``.
        mechanism: the mechanism of the login.
        tls_version: the TLS version, such as ``TLSv1.3``.
        sender: the address of MAIL FROM.
        recipients: the addresses of RCPT TO, in order.
        content: the content as bytes.
        message: the parsed content; its line ends are those of Python.
    """

    identity: str
    mechanism: str
    tls_version: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    message: EmailMessage


class SmtpTestServer:
    r"""A server on a free port of 127.0.0.1, for the duration of a ``with`` block.

    Args:
        users: passwords by name, as ``DOMAIN\user``; by default one user with a random password.

    Raises:
        ValueError: a name or a password contains a colon or a line end, which pyspnego's user file cannot contain.

    Attributes:
        users: the users that it accepts: passwords by name.
        host: the address on which it listens.
        port: the port on which it listens.
        server_name: the name in its certificate.
        ca_bundle: path of the PEM file with the authority that signed the certificate.
        outbox: the received messages, in order.
    """

    host = HOST
    server_name = "localhost"

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        self.users = {r"CORP\airflow": secrets.token_urlsafe()} if users is None else users
        if any(set(":\r\n") & set(f"{name}{password}") for name, password in self.users.items()):
            raise ValueError("A user's name or password must not contain a colon or a line end here.")
        self._stack = ExitStack()
        self.outbox: list[ReceivedMessage] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smtp-test-server-")))
            users = self._write_users(folder)
            tls = self._make_certificate(folder)
            sock = stack.enter_context(socket.create_server((HOST, 0)))
            self.port: int = sock.getsockname()[1]
            self._serve(stack, sock, tls, users)
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

    def _make_certificate(self, folder: Path) -> ssl.SSLContext:
        authority = trustme.CA(organization_name="SMTP test server")
        certificate = authority.issue_cert(self.server_name, HOST)
        self.ca_bundle = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_bundle)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self._certificate = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
        return context

    def _serve(self, stack: ExitStack, sock: socket.socket, tls: ssl.SSLContext, users: Path) -> None:
        loop = asyncio.new_event_loop()
        sessions: WeakSet[SMTP] = WeakSet()

        def factory() -> SMTP:
            session = SMTP(
                _Handler(self._certificate, users, self.outbox),
                hostname=self.server_name,
                tls_context=tls,
                require_starttls=True,
                auth_required=True,
                auth_exclude_mechanism=["LOGIN", "PLAIN"],
                enable_SMTPUTF8=True,
                loop=loop,
            )
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

    def __init__(self, certificate: bytes, users: Path, outbox: list[ReceivedMessage]) -> None:
        session = TlsSession(version="", cipher="", certificate=certificate, tls_unique=None)
        self._binding = GssChannelBindings(
            application_data=channel_binding(session, ChannelBinding.TLS_SERVER_END_POINT)
        )
        self._users = users
        self._outbox = outbox

    async def auth_NTLM(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's name
        with _ntlm_user_file(self._users):
            acceptor = spnego.server(protocol="ntlm", channel_bindings=self._binding)
        initial = args[1].encode() if len(args) > 1 else None
        try:
            token = b64decode(initial, validate=True) if initial else await server.challenge_auth("")
            while token is not MISSING:
                with _ntlm_user_file(self._users):
                    answer = acceptor.step(token)
                if acceptor.complete:
                    return AuthResult(success=True, auth_data=acceptor.client_principal)
                token = await server.challenge_auth(answer or b"")
        except (ValueError, spnego.exceptions.SpnegoError):
            return AuthResult(success=False, handled=False)
        return AuthResult(success=False, handled=True)

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        message = message_from_bytes(content.replace(b"\r\n", b"\n"), policy=policy.default)
        transport: Any = server.transport  # not None while a message is received
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self._outbox.append(
            ReceivedMessage(
                identity=str(session.auth_data),
                mechanism="NTLM",
                tls_version=tls.version() or "",
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                content=content,
                message=message,
            )
        )
        return f"250 2.0.0 Kept as number {len(self._outbox)}"


@contextmanager
def _ntlm_user_file(users: Path) -> Iterator[None]:
    """Set the environment variable from which pyspnego gets the file of users; each server has its own file."""
    with _user_file_lock:
        before = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = str(users)
        try:
            yield
        finally:
            del os.environ["NTLM_USER_FILE"]
            if before is not None:
                os.environ["NTLM_USER_FILE"] = before
