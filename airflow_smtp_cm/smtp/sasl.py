"""The SASL mechanisms of Windows identities, as exchanges of tokens; the tokens are pyspnego's.

GSSAPI (RFC 4752) carries SPNEGO, as Exchange expects and MIT krb5 accepts, or plain Kerberos if that is all that is
allowed. GSS-SPNEGO is the same exchange under its own name. NTLM is MS-SMTPNTLM's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import spnego
from spnego._negotiate import NegotiateProxy  # the public module of that name is deprecated
from spnego.channel_bindings import GssChannelBindings

from airflow_smtp_cm.smtp.credentials import credential_error, kerberos_credential, ntlm_credential
from airflow_smtp_cm.smtp.errors import AuthenticationError, Phase
from airflow_smtp_cm.smtp.settings import MechanismChoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_smtp_cm.smtp.settings import WindowsAuthentication

# At DEBUG pyspnego writes tokens to its log, here and wherever else. A filter holds whatever level somebody sets.
for _module in ("_gss", "_negotiate", "_ntlm", "_sspi"):
    logging.getLogger(f"spnego.{_module}").addFilter(lambda record: record.levelno > logging.DEBUG)

MechanismName = Literal["GSSAPI", "GSS-SPNEGO", "NTLM"]
Protocol = Literal["kerberos", "ntlm"]
_PROTOCOL_NAMES: dict[Protocol, str] = {"kerberos": "Kerberos", "ntlm": "NTLM"}

_NEG_TOKEN_RESP = 0xA1  # first octet of SPNEGO's later tokens (RFC 4178, section 4.2)
_NO_LAYER = 1  # RFC 4752, section 3.3: this bit offers, and alone chooses, "no security layer"
_LAYER_OCTETS = 4  # the bits, and the largest message in three octets


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to log in: a SASL mechanism, and the protocol that proves the identity inside it."""

    mechanism: MechanismName
    protocol: Protocol

    def __str__(self) -> str:
        return (
            self.mechanism if self.mechanism == "NTLM" else f"{self.mechanism} with {_PROTOCOL_NAMES[self.protocol]}"
        )


class Exchange:
    """The client's side of one AUTH exchange.

    Every method may block: a Kerberos step asks the KDC.

    Args:
        attempt: the mechanism, and the protocol inside it.
        windows: who logs in, and how.
        host: the server's name, for the service principal name.
        binding: what the login is bound to, or None.

    Attributes:
        spn: the service principal name that tickets are asked for.
        password_spent: whether the server has seen a proof of the password.
    """

    def __init__(self, attempt: Attempt, windows: WindowsAuthentication, host: str, binding: bytes | None) -> None:
        self.attempt = attempt
        self.password_spent = False
        self._windows = windows
        self.spn = windows.spn or f"SMTPSVC/{host}"
        self._binding = GssChannelBindings(application_data=binding) if binding else None
        self._context: spnego.ContextProxy | None = None

    def start(self) -> bytes:
        """Return the first token.

        Raises:
            CredentialError: the identity cannot be proved: no ticket, wrong password at the KDC, ...
        """
        try:
            self._context = self._new_context()
            return self._context.step() or b""
        except Exception as error:  # pyspnego lets through what krb5 and gssapi raise
            raise credential_error(error, self._windows.identity, str(self.attempt), self.spn) from error

    def respond(self, challenge: bytes) -> bytes:
        """Return the answer to a challenge, empty if there is nothing left to say.

        Raises:
            AuthenticationError: the challenge is not what the mechanism allows here.
        """
        assert self._context is not None, "respond() follows start()"  # noqa: S101 - our own order of calls
        try:
            if self._context.complete:
                return self._after_completion(self._context, challenge)
            if challenge:
                self.password_spent = self.attempt.protocol == "ntlm"
                return self._context.step(challenge) or b""
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever pyspnego lets through
            cause = None if isinstance(error, UnicodeError) else error  # whose repr has all that was to be decoded
            raise AuthenticationError(
                f"The server's part of the {self.attempt} exchange cannot be used: {error}. If the server's name "
                f"({self.spn}) or the channel binding is wrong, this is how it shows.",
                phase=Phase.AUTH,
            ) from cause
        raise AuthenticationError(f"The server left out its part of the {self.attempt} exchange.", phase=Phase.AUTH)

    @property
    def established(self) -> bool:
        """Whether the context is complete on our side: with Kerberos the server has proved itself, too."""
        try:
            return self._context is not None and self._context.complete and bool(self._context.session_key)
        except Exception:  # noqa: BLE001 - asking an unfinished context fails in many ways, all of them a no
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
        """Whether GSSAPI carries Kerberos alone: only where nothing else is allowed."""
        return self.attempt.mechanism == "GSSAPI" and self._windows.mechanism is MechanismChoice.KERBEROS

    @property
    def _flags(self) -> spnego.ContextReq:
        # Mutual authentication always: without it pyspnego loses the Kerberos token inside SPNEGO.
        if self.attempt == Attempt("GSS-SPNEGO", "kerberos"):
            # Cyrus takes the integrity flag for a security layer, and Exim refuses layers.
            return spnego.ContextReq.mutual_auth | spnego.ContextReq.no_integrity
        return spnego.ContextReq.default

    def _after_completion(self, context: spnego.ContextProxy, challenge: bytes) -> bytes:
        if not challenge:  # Cyrus ends GSS-SPNEGO so
            return b""
        if challenge[0] == _NEG_TOKEN_RESP:  # SPNEGO's last word, which some servers send after all
            return context.step(challenge) or b""
        # RFC 4752, section 3.1; Dovecot does it after GSS-SPNEGO, too.
        offer = context.unwrap(challenge).data
        if len(offer) != _LAYER_OCTETS or not offer[0] & _NO_LAYER:
            raise AuthenticationError(
                "The server demands a security layer of its own (RFC 4752), which this client does not have: "
                "use TLS, and let the server offer SASL without a layer.",
                phase=Phase.AUTH,
            )
        return context.wrap(bytes([_NO_LAYER, 0, 0, 0]), encrypt=False).data


class _SpnegoWithKerberos(NegotiateProxy):
    """SPNEGO that never falls back to NTLM behind our back."""

    @classmethod
    def available_protocols(cls, options: spnego.NegotiateOptions | None = None) -> list[str]:  # noqa: ARG003
        return ["kerberos", "negotiate"]


class _SpnegoWithNtlm(NegotiateProxy):
    """SPNEGO that does not ask a KDC first."""

    @classmethod
    def available_protocols(cls, options: spnego.NegotiateOptions | None = None) -> list[str]:  # noqa: ARG003
        return ["ntlm", "negotiate"]
