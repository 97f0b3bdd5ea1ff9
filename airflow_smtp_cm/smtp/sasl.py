"""The SASL mechanisms of Windows authentication; pyspnego makes the tokens, ``authentication`` has their order.

GSSAPI (RFC 4752) carries SPNEGO, which Exchange expects and MIT krb5 accepts, or plain Kerberos if only Kerberos is
allowed. GSS-SPNEGO is the same exchange under its own name. NTLM is defined in MS-SMTPNTLM.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from airflow_smtp_cm.smtp.credentials import (
    credential_error,
    forget_locals,
    kerberos_credential,
    ntlm_credential,
    typing_doubt,
)
from airflow_smtp_cm.smtp.errors import AuthenticationError, CredentialError, Phase
from airflow_smtp_cm.smtp.pyspnego import GssChannelBindings, NegotiateProxy, spnego
from airflow_smtp_cm.smtp.reply import words
from airflow_smtp_cm.smtp.settings import MechanismChoice
from airflow_smtp_cm.smtp.ticket import find_principal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_smtp_cm.smtp.settings import WindowsAuthentication
    from airflow_smtp_cm.smtp.ticket import Principal

# At DEBUG, pyspnego logs tokens. A filter suppresses them at any log level.
for _module in ("_gss", "_negotiate", "_ntlm", "_sspi"):
    logging.getLogger(f"spnego.{_module}").addFilter(lambda record: record.levelno > logging.DEBUG)

MechanismName = Literal["GSSAPI", "GSS-SPNEGO", "NTLM"]
Protocol = Literal["kerberos", "ntlm"]
_PROTOCOL_NAMES: dict[Protocol, str] = {"kerberos": "Kerberos", "ntlm": "NTLM"}

_NEG_TOKEN_RESP = 0xA1  # first byte of later SPNEGO tokens (RFC 4178, section 4.2)
_NTLM_SIGNATURE = b"NTLMSSP\0"  # MS-NLMP, section 2.2.1
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

    ``prepare``, ``start`` and ``respond`` may block: Kerberos asks the KDC.

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
        self._principal: Principal | None = None
        self._context: spnego.ContextProxy | None = None

    def prepare(self) -> None:
        """Prepare the login as far as it needs no password.

        Raises:
            CredentialError: the KDC does not know the user, or cannot be reached.
        """
        if self._kerberos_password and self._windows.identity.username:
            with self._credential_errors():
                self._principal = find_principal(self._windows.identity.username)

    def start(self) -> bytes:
        """Return the first token.

        Raises:
            CredentialError: the credentials failed: no ticket, wrong password at the KDC, ...
        """
        identity = self._windows.identity
        with self._credential_errors(started=True):
            credential = (
                nullcontext(ntlm_credential(identity))
                if self.attempt.protocol == "ntlm"
                else kerberos_credential(identity, self._principal)
            )
            with credential as ready:
                self._context = self._new_context(ready)
                return self._context.step() or b""

    def no_answer(self, *, started: bool) -> CredentialError:
        """Return the error for a KDC that does not answer in time.

        Args:
            started: whether the KDC may have the password, so that it must not be tried with NTLM.
        """
        failure = CredentialError(
            f"Windows authentication by {self.attempt} could not start. No KDC answered in time. Check krb5.conf, "
            f"and whether a firewall drops packets to port 88 of the domain controllers. If they are only slow, "
            f"increase the timeout of the connection.",
            phase=Phase.AUTH,
            transient=True,
        )
        failure.account_refused = started and self._kerberos_password
        return failure

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
            if not _is_token(challenge):
                raise AuthenticationError(
                    f"The server's challenge in the {self.attempt} exchange is no Kerberos, NTLM or SPNEGO token but "
                    f"{_described(challenge)}. The server does not support this mechanism, or is not a mail server.",
                    phase=Phase.AUTH,
                ) from cause
            # pyspnego's KeyError has nothing but a number.
            reason = "its type of message is unknown" if isinstance(error, KeyError) else error
            raise AuthenticationError(
                f"The server's challenge in the {self.attempt} exchange is not valid: {reason}. Check the SPN "
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

    @property
    def _kerberos_password(self) -> bool:
        """Whether a KDC gets the password."""
        return self.attempt.protocol == "kerberos" and self._windows.identity.password is not None

    @contextmanager
    def _credential_errors(self, *, started: bool = False) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # pyspnego does not convert all exceptions of krb5 and gssapi
            forget_locals(error)
            failure = credential_error(error, self._windows.identity, str(self.attempt), self.spn)
            if failure.transient:  # no KDC answered, or none any more
                failure.account_refused = started and self._kerberos_password
            raise failure from error

    def _new_context(self, credential: spnego.Credential) -> spnego.ContextProxy:
        service, _, hostname = self.spn.partition("/")
        proxy: Callable[..., spnego.ContextProxy]
        if self.attempt.mechanism == "NTLM" or self._plain_kerberos:
            proxy = partial(spnego.client, protocol=self.attempt.protocol)
        else:
            proxy = _SpnegoWithNtlm if self.attempt.protocol == "ntlm" else _SpnegoWithKerberos
        return proxy(
            credential,
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


def _is_token(challenge: bytes) -> bool:
    """Whether a challenge has the beginning of a token: of NTLM, of GSS-API (RFC 2743, section 3.1), or of SPNEGO."""
    return challenge.startswith((_NTLM_SIGNATURE, b"\x60", bytes([_NEG_TOKEN_RESP])))


def _described(challenge: bytes) -> str:
    text = words(challenge.decode(errors="replace"))
    return f"the text {text}" if text else f"{len(challenge)} bytes of another kind"


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
