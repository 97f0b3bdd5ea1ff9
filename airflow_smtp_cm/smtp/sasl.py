"""The SASL mechanisms of Windows authentication; pyspnego makes the tokens, ``authentication`` has their order.

GSSAPI (RFC 4752) carries SPNEGO, which Exchange expects and MIT krb5 accepts, or plain Kerberos if only Kerberos is
allowed. GSS-SPNEGO is the same exchange under its own name. NTLM is defined in MS-SMTPNTLM.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import spnego
from spnego._negotiate import NegotiateProxy  # the public module of that name is deprecated
from spnego.channel_bindings import GssChannelBindings

from airflow_smtp_cm.smtp.credentials import (
    credential_error,
    kerberos_credential,
    ntlm_credential,
    typing_doubt,
)
from airflow_smtp_cm.smtp.errors import AuthenticationError, Phase
from airflow_smtp_cm.smtp.settings import MechanismChoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_smtp_cm.smtp.settings import WindowsAuthentication

# At DEBUG, pyspnego logs tokens. A filter suppresses them at any log level.
for _module in ("_gss", "_negotiate", "_ntlm", "_sspi"):
    logging.getLogger(f"spnego.{_module}").addFilter(lambda record: record.levelno > logging.DEBUG)

MechanismName = Literal["GSSAPI", "GSS-SPNEGO", "NTLM"]
Protocol = Literal["kerberos", "ntlm"]
_PROTOCOL_NAMES: dict[Protocol, str] = {"kerberos": "Kerberos", "ntlm": "NTLM"}

_NEG_TOKEN_RESP = 0xA1  # first byte of later SPNEGO tokens (RFC 4178, section 4.2)
_NO_LAYER = 1  # RFC 4752, section 3.3: the bit for "no security layer"
_LAYER_BYTES = 4  # the bits, then the maximum message size in three bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to log in: a SASL mechanism, and the authentication protocol inside it."""

    mechanism: MechanismName
    protocol: Protocol

    def __str__(self) -> str:
        return (
            self.mechanism if self.mechanism == "NTLM" else f"{self.mechanism} with {_PROTOCOL_NAMES[self.protocol]}"
        )


class Exchange:
    """The client side of one AUTH exchange.

    Every method may block: a Kerberos step may ask the KDC.

    Args:
        attempt: the mechanism, and the protocol inside it.
        windows: the identity and the settings of the login.
        host: the server's name, for the service principal name.
        binding: the channel binding, or None.

    Attributes:
        spn: the service principal name for the Kerberos ticket.
        password_used: whether a proof of the password was sent to the server.
    """

    def __init__(self, attempt: Attempt, windows: WindowsAuthentication, host: str, binding: bytes | None) -> None:
        self.attempt = attempt
        self.password_used = False
        self._windows = windows
        self.spn = windows.spn or f"SMTPSVC/{host}"
        self._binding = GssChannelBindings(application_data=binding) if binding else None
        self._context: spnego.ContextProxy | None = None

    def start(self) -> bytes:
        """Return the first token.

        Raises:
            CredentialError: the credentials failed: no ticket, wrong password at the KDC, ...
        """
        try:
            self._context = self._new_context()
            return self._context.step() or b""
        except Exception as error:  # pyspnego does not convert all exceptions of krb5 and gssapi
            raise credential_error(error, self._windows.identity, str(self.attempt), self.spn) from error

    def respond(self, challenge: bytes) -> bytes:
        """Return the response to a challenge; it may be empty at the end.

        Raises:
            AuthenticationError: the challenge is not valid.
        """
        assert self._context is not None, "respond() follows start()"  # noqa: S101 - our own order of calls
        try:
            if self._context.complete:
                return self._after_completion(self._context, challenge)
            if challenge:
                self.password_used = self.attempt.protocol == "ntlm"
                return self._context.step(challenge) or b""
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            cause = None if isinstance(error, UnicodeError) else error  # its repr contains the secret data
            raise AuthenticationError(
                f"The server's challenge in the {self.attempt} exchange is not valid: {error}. Check the SPN "
                f"({self.spn}) and the channel binding.",
                phase=Phase.AUTH,
            ) from cause
        raise AuthenticationError(
            f"The server sent an empty challenge in the {self.attempt} exchange.", phase=Phase.AUTH
        )

    @property
    def typing_doubt(self) -> str:
        """A sentence about what may be a typing error in the identity; "" if nothing, or if a KDC accepted it."""
        return typing_doubt(self._windows.identity) if self.attempt.protocol == "ntlm" else ""

    @property
    def established(self) -> bool:
        """Whether the context is complete; with Kerberos, the server has then authenticated itself, too."""
        try:
            return self._context is not None and self._context.complete and bool(self._context.session_key)
        except Exception:  # noqa: BLE001 - an incomplete context raises various errors
            return False

    def _new_context(self) -> spnego.ContextProxy:
        ntlm = self.attempt.protocol == "ntlm"
        service, _, hostname = self.spn.partition("/")
        proxy: Callable[..., spnego.ContextProxy]
        if self.attempt.mechanism == "NTLM" or self._plain_kerberos:
            proxy = partial(spnego.client, protocol=self.attempt.protocol)
        else:
            proxy = _SpnegoWithNtlm if ntlm else _SpnegoWithKerberos
        return proxy(
            (ntlm_credential if ntlm else kerberos_credential)(self._windows.identity),
            hostname=hostname,
            service=service,
            channel_bindings=self._binding,
            context_req=self._flags,
        )

    @property
    def _plain_kerberos(self) -> bool:
        """Whether GSSAPI carries plain Kerberos: only if no other protocol is allowed."""
        return self.attempt.mechanism == "GSSAPI" and self._windows.mechanism is MechanismChoice.KERBEROS

    @property
    def _flags(self) -> spnego.ContextReq:
        # Mutual authentication is always requested: without it, pyspnego loses the Kerberos token inside SPNEGO.
        if self.attempt == Attempt("GSS-SPNEGO", "kerberos"):
            # Cyrus reads the integrity flag as a request for a security layer, and Exim refuses layers.
            return spnego.ContextReq.mutual_auth | spnego.ContextReq.no_integrity
        return spnego.ContextReq.default

    def _after_completion(self, context: spnego.ContextProxy, challenge: bytes) -> bytes:
        if not challenge:  # Cyrus ends GSS-SPNEGO with an empty challenge
            return b""
        if challenge[0] == _NEG_TOKEN_RESP:  # the last SPNEGO token, which some servers send
            return context.step(challenge) or b""
        # RFC 4752, section 3.1; Dovecot also does this after GSS-SPNEGO.
        offer = context.unwrap(challenge).data
        if len(offer) != _LAYER_BYTES or not offer[0] & _NO_LAYER:
            raise AuthenticationError(
                "The server requires a SASL security layer (RFC 4752), which this client does not support: "
                "use TLS, and configure the server to offer SASL without a layer.",
                phase=Phase.AUTH,
            )
        return context.wrap(bytes([_NO_LAYER, 0, 0, 0]), encrypt=False).data


class _SpnegoWithKerberos(NegotiateProxy):
    """SPNEGO with Kerberos only: without pyspnego's fallback to NTLM."""

    @classmethod
    def available_protocols(cls, options: spnego.NegotiateOptions | None = None) -> list[str]:  # noqa: ARG003
        return ["kerberos", "negotiate"]


class _SpnegoWithNtlm(NegotiateProxy):
    """SPNEGO with NTLM only: no request to a KDC."""

    @classmethod
    def available_protocols(cls, options: spnego.NegotiateOptions | None = None) -> list[str]:  # noqa: ARG003
        return ["ntlm", "negotiate"]
