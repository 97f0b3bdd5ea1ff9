"""The rules of AUTH: the order of the attempts, what the client may send, and when it stops."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest

from airflow_smtp_cm.smtp.authentication import _log_once
from airflow_smtp_cm.smtp.errors import (
    AuthenticationError,
    AuthenticationNotOffered,
    AuthenticationRefused,
    CredentialError,
    Disconnected,
    Phase,
    ProtocolError,
    Refused,
    SmtpError,
)
from airflow_smtp_cm.smtp.reply_parser import MAX_CHALLENGE_LINE
from airflow_smtp_cm.smtp.sasl import Attempt, Exchange
from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, WindowsAuthentication
from tests.smtp.driver import END, SILENCE, ehlo

USER = Identity(username="CORP\\alice", password="secret")
TICKET = Identity()


@dataclass
class Exchanges:
    """Replaces ``sasl.Exchange``: returns prepared tokens, and records the attempts and challenges.

    Attributes:
        tokens: the first token and the responses; an exception is raised. The last one is repeated.
        unable: for a protocol, the error with which it cannot start.
        silent_at: the call in which a KDC is silent, ``prepare`` or ``start``.
        complete: whether the server has authenticated itself after the last token.
        tried: the attempts, in order.
        challenges: the server's challenges, decoded.
        names: the server's name for the SPN, in each attempt.
    """

    tokens: tuple[bytes | Exception, ...] = (b"first", b"answer")
    unable: dict[str, CredentialError] = field(default_factory=dict)
    complete: bool = True
    silent_at: str | None = None
    tried: list[str] = field(default_factory=list)
    challenges: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __call__(self, attempt, windows, host, binding):
        del windows, binding
        self.names.append(host)
        self.tried.append(str(attempt))
        return _Exchange(self, attempt)


class _Exchange:
    spn = "SMTPSVC/mail.test"
    password_used = False
    typing_doubt = ""

    def __init__(self, exchanges, attempt):
        self._all = exchanges
        self._left = list(exchanges.tokens)
        self.attempt = attempt

    def prepare(self) -> None:
        self._ask_kdc("prepare")

    def _ask_kdc(self, call: str) -> None:
        if self.attempt.protocol == "kerberos" and self._all.silent_at == call:
            raise SILENCE

    def no_answer(self, *, started: bool) -> CredentialError:
        error = CredentialError("No KDC answered in time.", transient=True)
        error.account_refused = started
        return error

    def start(self) -> bytes:
        self._ask_kdc("start")
        if error := self._all.unable.get(self.attempt.protocol):
            raise error
        return self._say()

    def respond(self, challenge: bytes) -> bytes:
        self._all.challenges.append(challenge)
        self.password_used = self.attempt.protocol == "ntlm"
        return self._say()

    @property
    def established(self) -> bool:
        return self._all.complete

    def _say(self) -> bytes:
        token = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if isinstance(token, Exception):
            raise token
        return token


@pytest.fixture
def exchanges(monkeypatch) -> Exchanges:
    exchanges = Exchanges()
    monkeypatch.setattr("airflow_smtp_cm.smtp.authentication.Exchange", exchanges)
    return exchanges


@pytest.fixture
def log_in(driver):
    """Return a function that opens a session with a server that offers these mechanisms, and returns the session."""

    def log_in(*answers, offer="GSSAPI GSS-SPNEGO NTLM", identity=TICKET, mechanism="auto", **options):
        windows = WindowsAuthentication(identity=identity, mechanism=MechanismChoice(mechanism), **options)
        session = driver.session(authentication=windows)
        driver.feed("220 hi")
        driver.run(session.open("me.test"), ehlo(f"AUTH {offer}") if offer else ehlo(), *answers)
        return session

    return log_in


def b64(token: bytes) -> str:
    return base64.b64encode(token).decode()


# --- one exchange


@pytest.mark.parametrize(
    ("server_name", "name"), [(None, "mail.test"), ("mail.test.", "mail.test"), ("straße.test", "xn--strae-oqa.test")]
)
def test_the_spn_has_the_servers_name_without_a_final_dot_and_in_ascii(driver, exchanges, server_name, name):
    session = driver.session(server_name=server_name, authentication=WindowsAuthentication(identity=TICKET))
    driver.feed("220 hi")
    driver.run(session.open("me.test"), ehlo("AUTH GSSAPI"), "334 ", "235 welcome")
    assert exchanges.names == [name]


def test_a_short_token_is_sent_with_the_command_and_each_challenge_is_answered(driver, exchanges, log_in):
    exchanges.tokens = (b"first", b"second", b"")
    session = log_in(f"334 {b64(b'challenge')}", "334 ", "235 2.7.0 welcome")
    assert driver.sent[1:] == [f"AUTH GSSAPI {b64(b'first')}", b64(b"second"), ""]
    assert exchanges.challenges == [b"challenge", b""]
    assert str(session.login) == "GSSAPI with Kerberos"


@pytest.mark.parametrize(("length", "together"), [(372, True), (373, False)])
def test_the_first_token_is_sent_with_auth_if_it_fits_in_512_bytes(driver, exchanges, log_in, length, together):
    """RFC 4954, section 4."""
    token = b"x" * length
    exchanges.tokens = (token,)
    log_in(*(["235 ok"] if together else ["334 ", "235 ok"]))
    lines = driver.writes[1:]
    expected = f"AUTH GSSAPI {b64(token)}\r\n" if together else f"AUTH GSSAPI\r\n{b64(token)}\r\n"
    assert b"".join(lines).decode() == expected
    assert max(map(len, lines[:1])) <= 512


@pytest.mark.parametrize("text", ["", "ntlm supported", "====", "TlRMTVNTUAA="])
def test_text_after_the_first_334_is_not_a_challenge(driver, exchanges, log_in, text):
    """Exchange and Exim send a text there."""
    exchanges.tokens = (b"x" * 1000,)
    log_in(f"334 {text}", "235 ok")
    assert exchanges.challenges == []
    assert driver.sent[-1] == b64(b"x" * 1000)


@pytest.mark.parametrize("challenge", ["YQ", "YQ=", "Y Q==", "YQ==YQ==", "=", "*", "ntlm supported", "YQ==\x00", "Ä"])
def test_a_challenge_that_is_not_base64_ends_the_exchange(driver, exchanges, log_in, challenge):
    with pytest.raises(AuthenticationError, match="not base64"):
        log_in(f"334 {challenge}", "501 cancelled")
    assert exchanges.challenges == []
    assert driver.sent[-1] == "*"


@pytest.mark.parametrize(
    ("challenge", "shown"),
    [("Please wait...", ': "Please wait..."'), ("YQ==\x00", ""), (f"{'A' * 60}?", ""), (":" * 31, "")],
)
@pytest.mark.usefixtures("exchanges")
def test_a_challenge_of_words_is_shown_and_nothing_that_may_be_a_token(log_in, challenge, shown):
    with pytest.raises(AuthenticationError) as raised:
        log_in(f"334 {challenge}", "501 cancelled")
    assert str(raised.value).endswith(f"not base64{shown}.")


@pytest.mark.parametrize("answer", ["501 cancelled", "500 what?", "235 ok", "421 bye", END, "what"])
def test_a_challenge_that_the_mechanism_does_not_allow_ends_the_exchange(driver, exchanges, log_in, answer):
    """The error is the reason why it ends, not the server's reply to that."""
    exchanges.tokens = (b"first", AuthenticationError("The server's part cannot be used."))
    with pytest.raises(AuthenticationError, match="cannot be used") as raised:
        log_in("334 YQ==", answer)
    assert driver.sent[-1] == "*"
    assert not raised.value.transient


def test_an_exchange_has_at_most_ten_rounds(driver, exchanges, log_in):
    with pytest.raises(AuthenticationError, match=r"did not finish the .* exchange within 10 rounds"):
        log_in(*["334 YQ=="] * 11, "501 cancelled")
    assert len(exchanges.challenges) == 10
    assert driver.sent[-2:] == [b64(b"answer"), "*"]


@pytest.mark.parametrize("answers", [["235 welcome"], ["334 YQ==", "235 welcome"]])
def test_a_server_that_accepts_the_login_too_early_is_not_trusted(driver, exchanges, log_in, answers):
    exchanges.complete = False
    with pytest.raises(AuthenticationError, match="before authenticating itself"):
        log_in(*answers)
    assert driver.sent[-1] in (f"AUTH GSSAPI {b64(b'first')}", b64(b"answer"))


def test_a_challenge_may_be_as_long_as_a_ticket(exchanges, log_in):
    longest = b64(b"x" * ((MAX_CHALLENGE_LINE - 5) // 4 * 3))
    log_in(f"334 {longest}", "235 ok")
    assert len(exchanges.challenges) == 1


def test_an_endless_challenge_is_an_error(exchanges, log_in):
    with pytest.raises(ProtocolError, match="more than 12288 bytes"):
        log_in(b"334 " + b"x" * MAX_CHALLENGE_LINE)
    assert exchanges.challenges == []


@pytest.mark.parametrize(
    ("challenge", "shown"),
    [
        (b"Username:", 'the text "Username:"'),
        (b"NTLM is not available", 'the text "NTLM is not available"'),
        (b"\x00\x01\x02", "3 bytes of another kind"),
        (b"secret" * 10, "60 bytes of another kind"),
        (b"\xffabc", "4 bytes of another kind"),
    ],
)
@pytest.mark.parametrize("mechanism", ["NTLM", "GSS-SPNEGO", "GSSAPI"])
def test_a_challenge_that_is_no_token_is_described(mechanism, challenge, shown):
    exchange = Exchange(Attempt(mechanism, "ntlm"), WindowsAuthentication(identity=USER), "mail.test", binding=None)
    exchange.start()
    with pytest.raises(AuthenticationError, match="is no Kerberos, NTLM or SPNEGO token but") as raised:
        exchange.respond(challenge)
    assert f"but {shown}. " in str(raised.value)


@pytest.mark.parametrize("challenge", [b"NTLMSSP\0\x09\0\0\0", b"\xa1\x09\x30\x07\xa0\x03\x0a\x01\x01\xa1\0\0"])
def test_a_challenge_of_another_type_is_described(challenge):
    """For example, SPNEGO in the mechanism NTLM."""
    exchange = Exchange(Attempt("NTLM", "ntlm"), WindowsAuthentication(identity=USER), "mail.test", binding=None)
    exchange.start()
    with pytest.raises(AuthenticationError, match="is not valid: its type of message is unknown"):
        exchange.respond(challenge)


# --- which mechanism, and which one is next

ALL = "NTLM GSS-SPNEGO PLAIN LOGIN GSSAPI"


@pytest.mark.parametrize(
    ("offer", "identity", "mechanism", "order"),
    [
        (ALL, TICKET, "auto", ["GSSAPI with Kerberos", "GSS-SPNEGO with Kerberos"]),
        (ALL, TICKET, "kerberos", ["GSSAPI with Kerberos", "GSS-SPNEGO with Kerberos"]),
        (ALL, USER, "kerberos", ["GSSAPI with Kerberos", "GSS-SPNEGO with Kerberos"]),
        (ALL, USER, "auto", ["GSSAPI with Kerberos", "GSS-SPNEGO with Kerberos"]),
        (ALL, USER, "ntlm", ["NTLM", "GSS-SPNEGO with NTLM", "GSSAPI with NTLM"]),
        ("GSS-SPNEGO", TICKET, "auto", ["GSS-SPNEGO with Kerberos"]),
        ("GSS-SPNEGO", USER, "ntlm", ["GSS-SPNEGO with NTLM"]),
        ("NTLM", USER, "auto", ["NTLM"]),
    ],
)
def test_the_order_of_mechanisms(exchanges, log_in, offer, identity, mechanism, order):
    """All mechanisms that can carry a protocol are tried, until the server supports one; never a plain password."""
    with pytest.raises(AuthenticationRefused, match="504") as raised:
        log_in(*["504 5.5.4 unrecognized"] * len(order), offer=offer, identity=identity, mechanism=mechanism)
    assert exchanges.tried == order
    assert str(raised.value).count("504") == len(order)


def test_ntlm_is_tried_if_kerberos_cannot_start(driver, exchanges, log_in):
    exchanges.unable["kerberos"] = CredentialError("There is no ticket.")
    session = log_in("235 ok", identity=USER)
    assert str(session.login) == "NTLM"
    assert exchanges.tried == ["GSSAPI with Kerberos", "NTLM"]
    assert driver.sent[-1] == f"AUTH NTLM {b64(b'first')}"


def test_if_no_mechanism_can_start_every_reason_is_reported(driver, exchanges, log_in):
    exchanges.unable = {"kerberos": CredentialError("There is no ticket."), "ntlm": CredentialError("No NTLM.")}
    with pytest.raises(CredentialError, match=r"^There is no ticket\. NTLM was tried next: No NTLM\.$"):
        log_in(identity=USER)
    assert driver.sent == ["EHLO me.test"]


def test_the_password_of_a_refused_account_is_not_tried_with_ntlm(driver, exchanges, log_in):
    error = CredentialError("The KDC refused the password.")
    error.account_refused = True
    exchanges.unable["kerberos"] = error
    with pytest.raises(CredentialError, match="refused the password"):
        log_in(identity=USER)
    assert exchanges.tried == ["GSSAPI with Kerberos"]
    assert driver.sent == ["EHLO me.test"]


@pytest.mark.parametrize(("silent_at", "tried"), [("prepare", 2), ("start", 1)])
def test_ntlm_is_not_tried_if_a_silent_kdc_may_have_the_password(exchanges, log_in, silent_at, tried):
    """The KDC may still judge it, and a second failure could lock the account."""
    exchanges.silent_at = silent_at
    if silent_at == "start":
        with pytest.raises(CredentialError, match="No KDC answered in time") as raised:
            log_in(identity=USER)
        assert raised.value.transient
    else:
        assert str(log_in("235 ok", identity=USER).login) == "NTLM"
    assert len(exchanges.tried) == tried


@pytest.mark.parametrize(
    ("answers", "transient"), [(["535 5.7.3 no"] * 2, True), (["334 YQ==", "535 5.7.3 no"], False)]
)
def test_a_missing_kdc_stays_transient_unless_the_server_has_judged_the_password(
    exchanges, log_in, answers, transient
):
    """Where NTLM is off, the refused NTLM must not hide that Kerberos may work again in the next try."""
    exchanges.unable["kerberos"] = CredentialError("No KDC can be reached.", transient=True)
    with pytest.raises(AuthenticationRefused) as raised:
        log_in(*answers, identity=USER, mechanism="auto", offer="NTLM GSSAPI")
    assert raised.value.transient is transient


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (["334 YQ==", "535 5.7.3 no"], 'refused the login by NTLM: "535 5.7.3 no"'),
        (["334 :", "501 cancelled"], "sent a challenge that"),
        ([END], "closed"),
    ],
)
def test_why_kerberos_could_not_start_comes_first(exchanges, log_in, answers, reason):
    exchanges.unable["kerberos"] = CredentialError("The KDC does not know the user.")
    with pytest.raises(SmtpError) as raised:
        log_in(*answers, identity=USER)
    text = str(raised.value)
    assert text.startswith("The KDC does not know the user. NTLM was tried next: ")
    assert reason in text


def test_after_a_refused_ticket_another_mechanism_is_tried_but_never_ntlm(exchanges, log_in):
    with pytest.raises(AuthenticationRefused):
        log_in("535 no", "334 YQ==", "535 no", identity=USER)
    assert exchanges.tried == ["GSSAPI with Kerberos", "GSS-SPNEGO with Kerberos"]


@pytest.mark.parametrize("code", [504, 535])
def test_a_password_is_tried_once(driver, exchanges, log_in, code):
    """A second failure could lock the account."""
    with pytest.raises(AuthenticationRefused, match="Check the user, the password") as raised:
        log_in("334 YQ==", f"{code} 5.7.8 no", identity=USER, mechanism="ntlm")
    assert exchanges.tried == ["NTLM"]
    assert driver.sent[-1] == b64(b"answer")
    assert not raised.value.transient


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("code", [432, 451, 454])
def test_a_temporary_authentication_failure_is_transient(exchanges, log_in, before, code):
    """RFC 4954: 454 is a temporary failure, for example if the domain controller cannot be reached."""
    with pytest.raises(AuthenticationRefused, match="try again later") as raised:
        log_in(*["334 YQ=="] * before, f"{code} 4.7.0 later", identity=USER)
    assert raised.value.transient
    assert len(exchanges.tried) == 1


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize(("end", "error"), [("421 4.7.0 bye", Refused), (END, Disconnected), ("what", ProtocolError)])
def test_a_connection_that_ends_during_auth_ends_the_login(exchanges, log_in, before, end, error):
    with pytest.raises(error) as raised:
        log_in(*["334 YQ=="] * before, end, identity=USER)
    assert type(raised.value) is error
    assert raised.value.phase is Phase.AUTH
    assert raised.value.transient is (error is not ProtocolError)
    assert len(exchanges.tried) == 1


@pytest.mark.parametrize(
    ("length", "code", "explained"),
    [(20, 500, False), (1500, 500, True), (1500, 501, False), (9000, 501, True), (9000, 535, False)],
)
def test_a_token_that_may_be_too_long_is_explained(exchanges, log_in, length, code, explained):
    """Some servers then read the rest of it as commands, so the client sends nothing more."""
    exchanges.tokens = (b"x" * length,)
    long = length > 372
    with pytest.raises(AuthenticationRefused) as raised:
        log_in(*(["334 "] if long else []), f"{code} no", offer="GSSAPI NTLM")
    assert ("hundreds of groups" in str(raised.value)) is explained


@pytest.mark.parametrize("mechanism", ["auto", "kerberos", "ntlm"])
@pytest.mark.parametrize("offer", ["", "PLAIN LOGIN CRAM-MD5"])
def test_nothing_is_sent_if_windows_authentication_is_not_offered(driver, exchanges, log_in, offer, mechanism):
    with pytest.raises(AuthenticationNotOffered, match=f"it offers {', '.join(offer.split()) or 'no auth'}"):
        log_in(offer=offer, identity=USER, mechanism=mechanism)
    assert exchanges.tried == []
    assert driver.sent == ["EHLO me.test"]


def test_anonymous_if_not_offered_continues_with_a_warning(driver, exchanges, log_in, caplog):
    session = log_in(offer="PLAIN", anonymous_if_not_offered=True)
    assert session.login is None
    assert exchanges.tried == []
    assert "the session is anonymous" in caplog.text
    assert driver.sent == ["EHLO me.test"]


@pytest.mark.parametrize("answers", [["535 no", "535 no"], ["334 YQ==", "454 later"]])
def test_a_refused_login_is_never_followed_by_anonymous_mail(driver, exchanges, log_in, answers):
    with pytest.raises(AuthenticationRefused):
        log_in(*answers, anonymous_if_not_offered=True)
    assert exchanges.tried
    assert not any(line.startswith("MAIL") for line in driver.sent)


# --- what the log and the trace report of a login


@pytest.mark.parametrize(
    ("offer", "mechanism", "logged"),
    [
        ("GSSAPI NTLM", "auto", "Logged in to mail.test:25 by GSSAPI with Kerberos."),
        ("NTLM", "ntlm", "Logged in to mail.test:25 by NTLM."),
        ("GSSAPI NTLM", "ntlm", "Logged in to mail.test:25 by NTLM."),
        (
            "NTLM LOGIN",
            "auto",
            "Logged in to mail.test:25 by NTLM. The server offers no Kerberos (AUTH NTLM LOGIN).",
        ),
    ],
)
@pytest.mark.usefixtures("exchanges")
def test_mechanism_of_each_login_is_logged(log_in, caplog, offer, mechanism, logged):
    with caplog.at_level("INFO", "airflow_smtp_cm.smtp.authentication"):
        log_in("334 ", "235 ok", offer=offer, identity=USER, mechanism=mechanism)

    assert caplog.messages == [logged]


@pytest.mark.usefixtures("exchanges")
def test_trace_says_that_kerberos_is_not_offered_before_the_login(driver, log_in):
    log_in("334 ", "235 ok", offer="NTLM", identity=USER)

    events = [event.text for event in driver.traced if event.direction == "*"]
    assert events == ["The server offers no Kerberos (AUTH NTLM).", "logged in by NTLM"]


@pytest.mark.usefixtures("exchanges")
def test_exchange_without_kerberos_names_the_property_that_turns_it_on(driver, caplog):
    """The advice is logged once, not for each connection of a process that sends much mail."""
    _log_once.cache_clear()
    with caplog.at_level("INFO", "airflow_smtp_cm.smtp.authentication"):
        for _ in range(2):
            session = driver.session(authentication=WindowsAuthentication(identity=USER))
            driver.feed("220 mail.test Microsoft ESMTP MAIL Service ready")
            driver.run(session.open("me.test"), ehlo("AUTH NTLM"), "334 ", "235 ok")

    assert caplog.text.count("Logged in to mail.test:25 by NTLM. The server offers no Kerberos (AUTH NTLM).") == 2
    assert caplog.text.count("Set-ReceiveConnector -EnableAuthGSSAPI $true") == 1
