"""Windows authentication with AUTH (RFC 4954): the mechanisms, their order, and when to stop."""

from __future__ import annotations

import base64
import binascii
import logging
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Call
from airflow_smtp_cm.smtp.errors import (
    AuthenticationError,
    AuthenticationNotOffered,
    AuthenticationRefused,
    CredentialError,
    Phase,
    SmtpError,
    TimedOut,
)
from airflow_smtp_cm.smtp.exchange import NO_KERBEROS, no_windows_authentication
from airflow_smtp_cm.smtp.host_names import peer_name
from airflow_smtp_cm.smtp.reply import CONTINUE, words
from airflow_smtp_cm.smtp.sasl import Attempt, Exchange
from airflow_smtp_cm.smtp.settings import ChannelBinding, MechanismChoice
from airflow_smtp_cm.smtp.tls import channel_binding
from airflow_smtp_cm.smtp.trace import REDACTED
from airflow_smtp_cm.smtp.wire import Command

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.sasl import MechanismName
    from airflow_smtp_cm.smtp.settings import WindowsAuthentication
    from airflow_smtp_cm.smtp.wire import Wire

logger = logging.getLogger(__name__)

SUCCESS = 235

# Kerberos is tried first, as on Windows. For NTLM, the mechanism NTLM is tried first: the others can carry it, too,
# but on servers that accept only Kerberos in them, such an attempt is a failed login, which may lock the account.
_KERBEROS_MECHANISMS: tuple[MechanismName, ...] = ("GSSAPI", "GSS-SPNEGO")
_NTLM_MECHANISMS: tuple[MechanismName, ...] = ("NTLM", "GSS-SPNEGO", "GSSAPI")

_MAX_COMMAND = 512  # bytes, CRLF included (RFC 4954, section 4)
_MAX_ROUNDS = 10  # Windows needs at most 4
# Reply codes for a line that is too long, with the size of the token above which the code has this meaning: 500 is
# the code of RFC 4954; 501 is that of Exim, whose limit is the largest of all servers.
_TOO_LONG = {500: _MAX_COMMAND, 501: 8000}


def authenticate(wire: Wire, windows: WindowsAuthentication) -> Steps[Attempt | None]:
    """Log in, and return the attempt that succeeded; None if the session stays anonymous, as the settings allow.

    Raises:
        AuthenticationNotOffered: the server offers no mechanism that the settings allow.
        CredentialError: the credentials failed before the server was asked.
        AuthenticationRefused: the server refused the login.
    """
    remaining = _attempts(windows, wire.extensions.mechanisms)
    if not remaining:
        _check_offer(wire, windows)
        return None
    no_kerberos = _no_kerberos(wire, windows, remaining)
    binding = channel_binding(wire.tls, windows.channel_binding) if wire.tls else None
    failures: list[AuthenticationError] = []
    while remaining:
        attempt, *remaining = remaining
        exchange = Exchange(attempt, windows, peer_name(wire.settings), binding)
        try:
            yield from _run(wire, exchange)
        except CredentialError as error:
            failures.append(error)
            # Another protocol may succeed, unless the KDC has refused the account.
            remaining = [] if error.account_refused else _without(remaining, attempt.protocol)
        except AuthenticationRefused as error:
            failures.append(error)
            # A password is tried only once, or the account may be locked. After a refused Kerberos ticket there is no
            # fallback to NTLM, which is weaker: only another mechanism for the same protocol is tried.
            stop = exchange.password_used or error.transient or wire.closed
            remaining = [] if stop else _only(remaining, attempt.protocol)
        except SmtpError as error:
            _add_reasons(error, failures)
            raise
        else:
            wire.logged_in = True
            _report_login(wire, attempt, failures, no_kerberos)
            return attempt
        wire.trace("*", str(failures[-1]))
    last = failures.pop()
    _add_reasons(last, failures)
    if not exchange.password_used and any(failure.transient for failure in failures):
        last.transient = True  # the next login may succeed with Kerberos, and this one did not cost an attempt
    raise last


def _add_reasons(error: SmtpError, failures: list[AuthenticationError]) -> None:
    """Add the failures of earlier attempts to an error; why Kerberos could not start comes first."""
    refusals = [str(failure.reply) for failure in failures if failure.reply]
    unable = [str(failure) for failure in failures if not failure.reply]
    text = " NTLM was tried next: ".join([*unable, str(error)])
    error.args = (f"{text} Earlier attempts: {'; '.join(refusals)}" if refusals else text,)


def _only(attempts: list[Attempt], protocol: str) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.protocol == protocol]


def _without(attempts: list[Attempt], protocol: str) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.protocol != protocol]


def _attempts(windows: WindowsAuthentication, offered: tuple[str, ...]) -> list[Attempt]:
    choice = windows.mechanism
    attempts: list[Attempt] = []
    if choice is not MechanismChoice.NTLM:
        attempts += [Attempt(name, "kerberos") for name in _KERBEROS_MECHANISMS if name in offered]
    if choice is not MechanismChoice.KERBEROS and windows.identity.password is not None:
        attempts += [Attempt(name, "ntlm") for name in _NTLM_MECHANISMS if name in offered]
    return attempts


def _no_kerberos(wire: Wire, windows: WindowsAuthentication, attempts: list[Attempt]) -> str:
    """Trace and return why Kerberos is not tried though it is allowed; empty if it is tried, or not allowed."""
    if windows.mechanism is not MechanismChoice.AUTO or any(attempt.protocol == "kerberos" for attempt in attempts):
        return ""
    text = f"The server offers no Kerberos (AUTH {' '.join(wire.extensions.mechanisms)})."
    wire.trace("*", f"{text} {NO_KERBEROS}" if wire.exchange else text)
    return text


def _report_login(wire: Wire, attempt: Attempt, failures: list[AuthenticationError], no_kerberos: str) -> None:
    """Log and trace by which mechanism the login succeeded, and why Kerberos did not."""
    if not failures:
        logger.info("Logged in to %s by %s.%s", wire.peer, attempt, no_kerberos and f" {no_kerberos}")
    if no_kerberos and wire.exchange:
        _log_once(NO_KERBEROS)
    for failure in failures:
        logger.info("Logged in to %s by %s after a failed attempt: %s", wire.peer, attempt, failure)
    wire.trace("*", f"logged in by {attempt}")


@cache
def _log_once(advice: str) -> None:
    """Log an advice that is the same for each connection of this process."""
    logger.info(advice)


def _check_offer(wire: Wire, windows: WindowsAuthentication) -> None:
    """Check whether the settings allow an anonymous session, since the server offers no usable mechanism.

    Raises:
        AuthenticationNotOffered: the settings do not allow it.
    """
    offered = [name for name in wire.extensions.mechanisms if name in _KERBEROS_MECHANISMS + _NTLM_MECHANISMS]
    offer = f"it offers {', '.join(wire.extensions.mechanisms) or 'no authentication'}"
    if not wire.tls:
        offer += " without TLS"
    if not offered and windows.anonymous_if_not_offered:
        logger.warning(
            "%s does not offer Windows authentication (%s): the session is anonymous, since the connection sets "
            "anonymous_if_not_offered.",
            wire.peer,
            offer,
        )
        return
    if offered:
        need = (
            "the connection allows only Kerberos, or has no password for NTLM"
            if windows.mechanism is MechanismChoice.KERBEROS or windows.identity.password is None
            else "the connection allows only NTLM"
        )
        advice = f"{need}. Allow the other mechanism, or set a user and a password."
        if wire.exchange and offered == ["NTLM"]:
            advice += f" {NO_KERBEROS}"
    elif wire.exchange:
        advice = no_windows_authentication(wire.settings.host, wire.extensions.mechanisms)
        if not wire.tls:
            advice += " If it offers it under TLS only, turn on enable_ssl."
    else:
        advice = (
            "Windows authentication needs GSSAPI, GSS-SPNEGO or NTLM. Many servers offer them only under TLS or on "
            "another port. For basic authentication, use Airflow's own `smtp` provider; for anonymous sessions, turn "
            "Windows authentication off."
        )
    raise AuthenticationNotOffered(
        f"Cannot log in to {wire.peer} with Windows authentication: {offer}; {advice}", phase=Phase.AUTH
    )


def _run(wire: Wire, exchange: Exchange) -> Steps[None]:
    """Run one AUTH exchange."""
    token = yield from _first_token(exchange)
    longest = len(token)
    reply, unsent = yield from _start_exchange(wire, exchange.attempt.mechanism, token)
    if unsent is not None and reply.code == CONTINUE:
        # The text of this first 334 is not a challenge; Exchange sends text that is not base64.
        reply = yield from _send_token(wire, unsent)
    for _ in range(_MAX_ROUNDS):
        if reply.code != CONTINUE:
            break
        try:
            token = yield Call(partial(exchange.respond, _decode(wire, reply)), Phase.AUTH)
        except AuthenticationError:
            yield from _cancel(wire)
            raise
        longest = max(longest, len(token))
        reply = yield from _send_token(wire, token)
    if reply.code == CONTINUE:
        yield from _cancel(wire)
        raise AuthenticationError(
            f"{wire.peer} did not finish the {exchange.attempt} exchange within {_MAX_ROUNDS} rounds.",
            phase=Phase.AUTH,
        )
    if reply.code != SUCCESS:
        raise _refused(wire, exchange, reply, longest)
    if not exchange.established:
        wire.closed = True
        raise AuthenticationError(
            f"{wire.peer} accepted the login before authenticating itself; no mail is sent to it.",
            phase=Phase.AUTH,
            reply=reply,
        )


def _first_token(exchange: Exchange) -> Steps[bytes]:
    """Return the first token of an exchange.

    Raises:
        CredentialError: the credentials failed, or no KDC answered within the timeout.
    """
    started = False
    try:
        yield Call(exchange.prepare, Phase.AUTH)
        started = True
        token: bytes = yield Call(exchange.start, Phase.AUTH, continued=True)
    except TimedOut as error:
        if exchange.attempt.protocol == "ntlm":  # the total time is over
            raise
        raise exchange.no_answer(started=started) from error
    return token


def _start_exchange(wire: Wire, mechanism: str, token: bytes) -> Steps[tuple[Reply, bytes | None]]:
    """Send the AUTH command; return its reply, and the first token if it did not fit into the command."""
    initial = base64.b64encode(token)
    bare = f"AUTH {mechanism}"
    fits = len(bare) + 1 + len(initial) + 2 <= _MAX_COMMAND
    line = f"{bare} {initial.decode()}" if fits else bare
    shown = f"{bare} {REDACTED}" if fits else bare
    yield from wire.write(f"{line}\r\n".encode(), Phase.AUTH)
    wire.trace("C", shown)
    reply = yield from wire.reply(Phase.AUTH, shown)
    return reply, None if fits else token


def _send_token(wire: Wire, token: bytes) -> Steps[Reply]:
    yield from wire.write(base64.b64encode(token) + b"\r\n", Phase.AUTH)
    wire.trace("C", REDACTED)
    return (yield from wire.reply(Phase.AUTH, "AUTH"))


def _cancel(wire: Wire) -> Steps[None]:
    """Cancel the exchange (RFC 4954, section 4); the reply is ignored."""
    with suppress(SmtpError):
        yield from wire.command(Command(Phase.AUTH, "*"))


def _decode(wire: Wire, reply: Reply) -> bytes:
    try:
        return base64.b64decode("".join(reply.lines), validate=True)
    except (binascii.Error, ValueError):
        text = words(reply.text)
        raise AuthenticationError(
            f"{wire.peer} sent a challenge that is not base64{f': {text}' if text else ''}.", phase=Phase.AUTH
        ) from None


def _binding_doubt(wire: Wire) -> str:
    """Return a sentence about a channel binding that the connection turns off; empty if it does not."""
    windows = wire.settings.authentication
    if not wire.tls or windows is None or windows.channel_binding is not ChannelBinding.NONE:
        return ""
    return " channel_binding is none, and the server may require Extended Protection: set it to tls-server-end-point."


def _refused(wire: Wire, exchange: Exchange, reply: Reply, longest: int) -> AuthenticationRefused:
    encoded = (longest + 2) // 3 * 4
    if reply.code in _TOO_LONG and encoded > _TOO_LONG[reply.code]:
        # Some servers read the rest of a long line as commands.
        wire.closed = True
        advice = (
            f"The login token of {encoded} bytes is probably longer than the server accepts: the account may be in "
            f"hundreds of groups. Use an account in fewer groups, or the mechanism ntlm with a password."
        )
    elif reply.transient:
        advice = "The server cannot check logins at the moment; try again later."
    else:
        advice = (
            "Check the user, the password and whether the account may log in"
            + (
                f", and that the SPN {exchange.spn} is the server's"
                if exchange.attempt.protocol == "kerberos"
                else " with NTLM, which many domains no longer allow"
            )
            + ("." if wire.tls else ", and whether the server requires TLS.")
            + _binding_doubt(wire)
            + exchange.typing_doubt
        )
    return AuthenticationRefused(
        f'{wire.peer} refused the login by {exchange.attempt}: "{reply}" {advice} {wire.explained(reply)}'.rstrip(),
        phase=Phase.AUTH,
        command=f"AUTH {exchange.attempt.mechanism}",
        reply=reply,
    )
