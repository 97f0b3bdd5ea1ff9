"""Any challenges of a server: the login ends with its own error, which contains no token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import AuthenticationError
from airflow_smtp_cm.smtp.sasl import Attempt, Exchange
from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, WindowsAuthentication
from tests.fuzz import inputs
from tests.hidden import assert_hidden, texts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.sasl import MechanismName

PASSWORD = "Wonder-Land-1!"
WINDOWS = WindowsAuthentication(
    identity=Identity(username="CORP\\alice", password=PASSWORD), mechanism=MechanismChoice.NTLM
)
MECHANISMS: tuple[MechanismName, ...] = ("NTLM", "GSS-SPNEGO", "GSSAPI")


def check(mechanism: MechanismName, challenges: Sequence[bytes]) -> None:
    """Check an exchange with NTLM (Kerberos would need a KDC)."""
    exchange = Exchange(Attempt(mechanism, "ntlm"), WINDOWS, "mail.test", b"tls-server-end-point:" + bytes(32))
    tokens = [exchange.start()]
    assert tokens[0]
    assert not exchange.established
    for challenge in challenges:
        try:
            tokens.append(exchange.respond(challenge))
        except AuthenticationError as error:
            # A challenge of words is shown.
            assert_hidden(texts_of(error), PASSWORD.encode(), *tokens, *([] if challenge.isascii() else [challenge]))
            return
        assert exchange.password_used
        assert isinstance(exchange.established, bool)


def one_input(data: bytes) -> None:
    number, rest = data[:1] or b"\0", data[1:]
    # Tokens contain the byte of a border, so here a border is two of them with a word between.
    check(MECHANISMS[number[0] % 3], rest.split(inputs.BORDER + b"then" + inputs.BORDER))
