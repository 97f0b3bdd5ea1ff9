"""Logins with NTLM, verified by pyspnego."""

from __future__ import annotations

import os
import threading
from base64 import b64decode
from contextlib import contextmanager
from typing import TYPE_CHECKING

import spnego
from aiosmtpd.smtp import MISSING, AuthResult
from spnego.channel_bindings import GssChannelBindings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiosmtpd.smtp import SMTP

_user_file_lock = threading.Lock()


class NtlmAcceptor:
    """Verifies logins.

    Args:
        users: the file of users, in the format of pyspnego.
        binding: the channel binding that a login must have; None to ignore channel bindings.
        invitation: the text of the reply that asks for the first token, if AUTH has none; not base64.
    """

    def __init__(self, users: Path, binding: bytes | None, *, invitation: str = "") -> None:
        self._users = users
        self._binding = GssChannelBindings(application_data=binding) if binding else None
        self._invitation = invitation

    async def login(self, server: SMTP, args: list[str]) -> AuthResult:
        """Run one AUTH exchange (MS-SMTPNTLM); ``args`` are those of the command."""
        with _ntlm_user_file(self._users):
            acceptor = spnego.server(protocol="ntlm", channel_bindings=self._binding)
        initial = args[1].encode() if len(args) > 1 else None
        try:
            token = (
                b64decode(initial, validate=True)
                if initial
                else await server.challenge_auth(self._invitation, encode_to_b64=False)
            )
            while token is not MISSING:
                with _ntlm_user_file(self._users):
                    answer = acceptor.step(token)
                if acceptor.complete:
                    return AuthResult(success=True, auth_data=acceptor.client_principal)
                token = await server.challenge_auth(answer or b"")
        except (ValueError, spnego.exceptions.SpnegoError):
            return AuthResult(success=False, handled=False)
        return AuthResult(success=False, handled=True)


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
