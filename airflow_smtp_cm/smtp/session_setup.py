"""The beginning of a session: greeting, EHLO, STARTTLS (RFC 5321, section 3.1; RFC 3207)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import Phase, Refused, StartTlsNotOffered
from airflow_smtp_cm.smtp.exchange import has_extensions, is_greeting
from airflow_smtp_cm.smtp.extensions import Extensions
from airflow_smtp_cm.smtp.settings import TlsMode
from airflow_smtp_cm.smtp.wire import Command

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.wire import Wire

_EHLO_NOT_SUPPORTED = {500, 502, 504}  # replies to EHLO of a server that supports only HELO


def open_session(wire: Wire, ehlo_name: str) -> Steps[None]:
    """Read the greeting, send EHLO, and start TLS if the settings require it.

    Raises:
        Refused: the server rejected the connection or EHLO.
        StartTlsNotOffered: STARTTLS is required, and the server does not offer or refuses it.
        TlsError: the handshake failed.
    """
    mode = wire.settings.tls.mode
    if mode is TlsMode.IMPLICIT:
        yield from wire.start_tls()
    greeting = yield from wire.reply(Phase.GREETING)
    if not greeting.positive:
        raise wire.refused(f"{wire.peer} rejected the connection", Phase.GREETING, None, greeting)
    wire.exchange = is_greeting(greeting)
    yield from _send_ehlo(wire, ehlo_name)
    if mode is TlsMode.STARTTLS:
        yield from _start_tls(wire)
        yield from _send_ehlo(wire, ehlo_name)


def _send_ehlo(wire: Wire, ehlo_name: str) -> Steps[None]:
    reply = yield from wire.command(Command(Phase.EHLO, f"EHLO {ehlo_name}"))
    if reply.code in _EHLO_NOT_SUPPORTED:
        wire.extensions = Extensions.none()
        yield from wire.expect(Command(Phase.EHLO, f"HELO {ehlo_name}"), f"{wire.peer} refused EHLO and HELO")
        return
    if not reply.positive:
        raise wire.refused(
            f"{wire.peer} refused EHLO with the name {ehlo_name} (set the EHLO name if it is wrong)",
            Phase.EHLO,
            "EHLO",
            reply,
        )
    wire.extensions = Extensions.from_ehlo(reply)
    wire.exchange |= has_extensions(wire.extensions.keywords)


def _start_tls(wire: Wire) -> Steps[None]:
    advice = (
        "Enable SSL makes TLS mandatory. Use a port with STARTTLS (often 587), or implicit TLS if the server has it "
        "(often 465)."
    )
    if "STARTTLS" not in wire.extensions:
        if masks := wire.extensions.masked("STARTTLS"):
            # Of the keywords that servers offer and firewalls mask, only CHUNKING has the same length.
            certain = len(masks) > 1 or "CHUNKING" in wire.extensions
            keyword = "the keyword" if certain else "a keyword that is STARTTLS or CHUNKING"
            raise StartTlsNotOffered(
                f"{wire.peer} does not offer STARTTLS: a firewall before it has masked {keyword} "
                f"({' or '.join(masks)}). Turn off the inspection of ESMTP for this server on the firewall (Cisco: "
                f'"inspect esmtp"), or use a port that it does not inspect (often 587).'
                + ("" if certain else f" If this does not help, the server itself does not offer it. {advice}"),
                phase=Phase.STARTTLS,
            )
        raise StartTlsNotOffered(f"{wire.peer} does not offer STARTTLS. {advice}", phase=Phase.STARTTLS)
    try:
        yield from wire.expect(Command(Phase.STARTTLS, "STARTTLS"), f"{wire.peer} refused STARTTLS")
    except Refused as refusal:
        raise StartTlsNotOffered(
            f'{wire.peer} refused STARTTLS: "{refusal.reply}" {advice}',
            phase=Phase.STARTTLS,
            command="STARTTLS",
            reply=refusal.reply,
        ) from refusal
    # Data that arrived with the 220 was not encrypted, and would be read as part of the TLS session.
    yield from wire.check_for_unsolicited_data(Phase.STARTTLS)
    yield from wire.start_tls()
