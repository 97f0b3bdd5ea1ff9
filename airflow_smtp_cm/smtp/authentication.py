"""AUTH with a Windows identity (RFC 4954): which mechanisms to try, in which order, and when to stop."""

from __future__ import annotations

import base64
import binascii
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Call
from airflow_smtp_cm.smtp.errors import (
    AuthenticationError,
    AuthenticationNotOffered,
    AuthenticationRefused,
    CredentialError,
    Phase,
    SmtpError,
)
from airflow_smtp_cm.smtp.reply import CONTINUE
from airflow_smtp_cm.smtp.sasl import Attempt, Exchange
from airflow_smtp_cm.smtp.settings import MechanismChoice
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

# Kerberos first, as Windows does. NTLM goes by its own name first: the others carry it, too, but on servers where
# they are Kerberos' alone that costs a failed login each, which locks people out.
_KERBEROS_CARRIERS: tuple[MechanismName, ...] = ("GSSAPI", "GSS-SPNEGO")
_NTLM_CARRIERS: tuple[MechanismName, ...] = ("NTLM", "GSS-SPNEGO", "GSSAPI")

_MAX_COMMAND = 512  # octets, CRLF included (RFC 4954, section 4)
_MAX_ROUNDS = 10  # Windows needs 4 at the most
# What servers say of a line that is too long, and how many octets a token must have for that to be what is meant:
# 500 is RFC 4954's code; Exim's is 501, and it takes more than any other server.
_TOO_LONG = {500: _MAX_COMMAND, 501: 8000}


def authenticate(wire: Wire, windows: WindowsAuthentication) -> Steps[Attempt | None]:
    """Log in, and return the way that worked; None: the server offers nothing and the settings let that pass.

    Raises:
        AuthenticationNotOffered: the server offers no mechanism that the settings allow.
        CredentialError: the identity did not get as far as the server.
        AuthenticationRefused: the server said no.
    """
    remaining = _plan(windows, wire.extensions.mechanisms)
    if not remaining:
        _check_offer(wire, windows)
        return None
    binding = channel_binding(wire.tls, windows.channel_binding) if wire.tls else None
    failures: list[AuthenticationError] = []
    while remaining:
        attempt, *remaining = remaining
        exchange = Exchange(attempt, windows, wire.settings.peer_name, binding)
        try:
            yield from _run(wire, exchange)
        except CredentialError as error:
            failures.append(error)
            # What this protocol lacks, another may have; but not for an account that the KDC has refused.
            remaining = [] if error.account_refused else _without(remaining, attempt.protocol)
        except AuthenticationRefused as error:
            failures.append(error)
            # One try a password, or the account may be locked. A refused Kerberos ticket is no reason to come back
            # with the weaker NTLM: only another carrier of the same protocol is left.
            stop = exchange.password_spent or error.transient or wire.closed
            remaining = [] if stop else _only(remaining, attempt.protocol)
        else:
            for failure in failures:
                logger.info("Logging in to %s by %s, since: %s", wire.peer, attempt, failure)
            wire.trace("*", f"logged in by {attempt}")
            return attempt
        wire.trace("*", str(failures[-1]))
    last = failures.pop()
    if failures:
        last.args = (f"{last} Tried before: {'; '.join(str(failure.reply or failure) for failure in failures)}",)
    raise last


def _only(attempts: list[Attempt], protocol: str) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.protocol == protocol]


def _without(attempts: list[Attempt], protocol: str) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.protocol != protocol]


def _plan(windows: WindowsAuthentication, offered: tuple[str, ...]) -> list[Attempt]:
    choice = windows.mechanism
    attempts: list[Attempt] = []
    if choice is not MechanismChoice.NTLM:
        attempts += [Attempt(name, "kerberos") for name in _KERBEROS_CARRIERS if name in offered]
    if choice is not MechanismChoice.KERBEROS and windows.identity.password is not None:
        attempts += [Attempt(name, "ntlm") for name in _NTLM_CARRIERS if name in offered]
    return attempts


def _check_offer(wire: Wire, windows: WindowsAuthentication) -> None:
    """Let a server without Windows authentication pass if the settings do; else say what is missing."""
    offered = [name for name in wire.extensions.mechanisms if name in _NTLM_CARRIERS]
    said = f"it offers {', '.join(wire.extensions.mechanisms) or 'no authentication at all'}"
    if not wire.tls:
        said += " without TLS"
    if not offered and windows.anonymous_if_not_offered:
        logger.warning(
            "Windows authentication is asked for and %s has none (%s): going on anonymously, as the connection "
            "allows with anonymous_if_not_offered.",
            wire.peer,
            said,
        )
        return
    if offered:
        need = (
            "only Kerberos is allowed by the connection, or possible without a password"
            if windows.mechanism is MechanismChoice.KERBEROS or windows.identity.password is None
            else "only NTLM is allowed by the connection"
        )
        advice = f"{need}. Allow the other mechanism, or give a user and a password."
    else:
        advice = (
            "Windows authentication needs GSSAPI, GSS-SPNEGO or NTLM. Many servers offer them only under TLS or on "
            "another port; for basic authentication use Airflow's own `smtp` provider; for none, turn Windows "
            "authentication off."
        )
    raise AuthenticationNotOffered(
        f"Cannot log in to {wire.peer} as a Windows identity: {said}; {advice}", phase=Phase.AUTH
    )


def _run(wire: Wire, exchange: Exchange) -> Steps[None]:
    """Carry out one AUTH exchange."""
    token: bytes = yield Call(exchange.start)
    longest = len(token)
    reply, left = yield from _begin(wire, exchange.attempt.mechanism, token)
    if left is not None and reply.code == CONTINUE:
        # What stands beside this first 334 is no challenge, and with Exchange no base64 either.
        reply = yield from _answer(wire, left)
    for _ in range(_MAX_ROUNDS):
        if reply.code != CONTINUE:
            break
        try:
            token = yield Call(partial(exchange.respond, _decode(wire, reply)))
        except AuthenticationError:
            yield from _cancel(wire)
            raise
        longest = max(longest, len(token))
        reply = yield from _answer(wire, token)
    if reply.code == CONTINUE:
        yield from _cancel(wire)
        raise AuthenticationError(
            f"{wire.peer} found no end of the {exchange.attempt} exchange after {_MAX_ROUNDS} rounds.",
            phase=Phase.AUTH,
        )
    if reply.code != SUCCESS:
        raise _refused(wire, exchange, reply, longest)
    if not exchange.established:
        wire.closed = True
        raise AuthenticationError(
            f"{wire.peer} accepted the login before it had proved who it is. It is not to be trusted with mail.",
            phase=Phase.AUTH,
            reply=reply,
        )


def _begin(wire: Wire, mechanism: str, token: bytes) -> Steps[tuple[Reply, bytes | None]]:
    """Send the AUTH command; return its reply and the first token, if that could not go along."""
    initial = base64.b64encode(token)
    bare = f"AUTH {mechanism}"
    fits = len(bare) + 1 + len(initial) + 2 <= _MAX_COMMAND
    line = f"{bare} {initial.decode()}" if fits else bare
    shown = f"{bare} {REDACTED}" if fits else bare
    yield from wire.write(f"{line}\r\n".encode(), Phase.AUTH)
    wire.trace("C", shown)
    reply = yield from wire.reply(Phase.AUTH, shown)
    return reply, None if fits else token


def _answer(wire: Wire, token: bytes) -> Steps[Reply]:
    yield from wire.write(base64.b64encode(token) + b"\r\n", Phase.AUTH)
    wire.trace("C", REDACTED)
    return (yield from wire.reply(Phase.AUTH, "AUTH"))


def _cancel(wire: Wire) -> Steps[None]:
    """Give the exchange up (RFC 4954, section 4); why counts for more than what the server says to it."""
    with suppress(SmtpError):
        yield from wire.command(Command(Phase.AUTH, "*"))


def _decode(wire: Wire, reply: Reply) -> bytes:
    try:
        return base64.b64decode("".join(reply.lines), validate=True)
    except (binascii.Error, ValueError):
        raise AuthenticationError(f"{wire.peer} sent a challenge that is not base64.", phase=Phase.AUTH) from None


def _refused(wire: Wire, exchange: Exchange, reply: Reply, longest: int) -> AuthenticationRefused:
    encoded = (longest + 2) // 3 * 4
    if reply.code in _TOO_LONG and encoded > _TOO_LONG[reply.code]:
        # Some servers read the rest of a line that was too long as commands.
        wire.closed = True
        advice = (
            f"The login token of {encoded} octets is probably longer than the server takes; tickets of users in "
            f"hundreds of groups are. Use an account in fewer groups, or the mechanism ntlm with a password."
        )
    elif reply.transient:
        advice = "The server cannot judge logins at the moment; try again later."
    else:
        advice = (
            "Check the user, the password and whether the account may log in here"
            + (
                f", and that the SPN {exchange.spn} is the server's"
                if exchange.attempt.protocol == "kerberos"
                else ""
            )
            + ("." if wire.tls else ", and whether the server wants TLS first.")
        )
    return AuthenticationRefused(
        f'{wire.peer} refused the login by {exchange.attempt}: "{reply}" {advice}',
        phase=Phase.AUTH,
        command=f"AUTH {exchange.attempt.mechanism}",
        reply=reply,
    )
