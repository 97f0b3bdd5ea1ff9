"""The beginning of a session: greeting, EHLO, STARTTLS (RFC 5321, section 3.1; RFC 3207)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import Phase, Refused, StartTlsNotOffered
from airflow_smtp_cm.smtp.extensions import Extensions
from airflow_smtp_cm.smtp.settings import TlsMode
from airflow_smtp_cm.smtp.wire import Command

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.wire import Wire

_NO_SUCH_COMMAND = {500, 502, 504}  # what a server says to EHLO that knows HELO only


def open_session(wire: Wire, ehlo_name: str) -> Steps[None]:
    """Go from a fresh connection to a server that has introduced itself, under TLS if the settings say so.

    Raises:
        Refused: the server does not want to talk.
        StartTlsNotOffered: TLS is asked for and not to be had.
        TlsError: the handshake failed.
    """
    mode = wire.settings.tls.mode
    if mode is TlsMode.IMPLICIT:
        yield from wire.start_tls()
    greeting = yield from wire.reply(Phase.GREETING)
    if not greeting.positive:
        raise wire.refused(f"{wire.peer} turns us away", Phase.GREETING, None, greeting)
    yield from _introduce(wire, ehlo_name)
    if mode is TlsMode.STARTTLS:
        yield from _start_tls(wire)
        yield from _introduce(wire, ehlo_name)


def _introduce(wire: Wire, ehlo_name: str) -> Steps[None]:
    reply = yield from wire.command(Command(Phase.EHLO, f"EHLO {ehlo_name}"))
    if reply.code in _NO_SUCH_COMMAND:
        wire.extensions = Extensions.none()
        yield from wire.expect(Command(Phase.EHLO, f"HELO {ehlo_name}"), f"{wire.peer} refuses EHLO and HELO")
        return
    if not reply.positive:
        raise wire.refused(
            f"{wire.peer} does not accept this machine's name ({ehlo_name}; set the EHLO name if it is wrong)",
            Phase.EHLO,
            "EHLO",
            reply,
        )
    wire.extensions = Extensions.from_ehlo(reply)


def _start_tls(wire: Wire) -> Steps[None]:
    advice = (
        "TLS is mandatory as long as Enable SSL is on. Ask for the port that offers STARTTLS (often 587), or use "
        "implicit TLS where the server has that (often 465)."
    )
    if "STARTTLS" not in wire.extensions:
        raise StartTlsNotOffered(f"{wire.peer} does not offer STARTTLS. {advice}", phase=Phase.STARTTLS)
    try:
        yield from wire.expect(Command(Phase.STARTTLS, "STARTTLS"), f"{wire.peer} refuses STARTTLS")
    except Refused as refusal:
        raise StartTlsNotOffered(
            f'{wire.peer} refuses STARTTLS: "{refusal.reply}" {advice}',
            phase=Phase.STARTTLS,
            command="STARTTLS",
            reply=refusal.reply,
        ) from refusal
    # Octets sent along with the 220 were not encrypted, and would be taken for part of the session.
    yield from wire.nothing_unasked(Phase.STARTTLS)
    yield from wire.start_tls()
