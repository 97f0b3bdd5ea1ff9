"""Whatever a server's challenges are: the login's own error, and nothing that was said in it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import AuthenticationError
from airflow_smtp_cm.smtp.sasl import Attempt, Exchange
from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, WindowsAuthentication
from tests.fuzz import inputs
from tests.hidden import assert_hidden, told_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.sasl import MechanismName

PASSWORD = "Wonder-Land-1!"
WINDOWS = WindowsAuthentication(
    identity=Identity(username="CORP\\alice", password=PASSWORD), mechanism=MechanismChoice.NTLM
)
MECHANISMS: tuple[MechanismName, ...] = ("NTLM", "GSS-SPNEGO", "GSSAPI")


def check(mechanism: MechanismName, challenges: Sequence[bytes]) -> None:
    """Carry out an exchange, with NTLM inside: Kerberos needs a KDC to begin."""
    exchange = Exchange(Attempt(mechanism, "ntlm"), WINDOWS, "mail.test", b"tls-server-end-point:" + bytes(32))
    said = [exchange.start()]
    assert said[0]
    assert not exchange.established
    for challenge in challenges:
        try:
            said.append(exchange.respond(challenge))
        except AuthenticationError as error:
            assert_hidden(told_by(error), PASSWORD.encode(), *said, challenge)
            return
        assert exchange.password_used
        assert isinstance(exchange.established, bool)


def one_input(data: bytes) -> None:
    number, rest = data[:1] or b"\0", data[1:]
    # The bytes of a border are frequent in tokens: two of them, and a word between.
    check(MECHANISMS[number[0] % 3], rest.split(inputs.BORDER + b"then" + inputs.BORDER))
