"""Nothing that goes into a message adds a recipient, a header or a command.

Property tests, down to what a server reads: the commands, and the message as Python's ``email`` reads it.
"""

from __future__ import annotations

import email
import re
from dataclasses import dataclass, field
from email import policy
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.mail.addresses import parse_line, parse_sender
from airflow_smtp_cm.mail.errors import InvalidAddress, InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.safety import SafetySettings
from airflow_smtp_cm.task.composition import FIELDS, compose
from tests.fuzz.messages import header_names
from tests.mail.strategies import controls, invisible, lines, white_space
from tests.smtp.driver import Driver, ehlo

EVE = "eve@evil.test"
# What would add a header, a recipient or a command if it were written as it is.
LINES = (
    f"\r\nBcc: {EVE}",
    f"\nBcc: {EVE}",
    f"\rBcc: {EVE}",
    f"\r\n\r\n{EVE}",
    f"\r\n.\r\nMAIL FROM:<{EVE}>\r\nRCPT TO:<{EVE}>\r\nDATA\r\n",
    f"\x85Bcc: {EVE}",
    f"\u2028Bcc: {EVE}",
)
ADDRESSES = (
    *(EVE, f"<{EVE}>", f"({EVE})", f'"{EVE}"', f", {EVE}", f"; {EVE}", f"={EVE}", "Doe, John", f"group: {EVE};"),
    *(f"> RCPT TO:<{EVE}", f"@x> SIZE=1 <{EVE}", f'" <{EVE}>, "', f'\\" <{EVE}>'),
    *("=?utf-8?q?Bcc=3A_eve=40evil.test?=", "=?utf-8?b?QmNjOiBldmVAZXZpbC50ZXN0?="),
)
around = st.sampled_from(["", "Ann", "a.", *' "\\()<>[],;:@.=?\t', "é", "\ufeff"])


def hostile_text(payloads):
    return st.tuples(around, st.sampled_from(payloads), around).map("".join)


printable = hostile_text(ADDRESSES).filter(str.isprintable)
hostile = hostile_text(LINES + ADDRESSES) | st.lists(around | white_space | controls | invisible, max_size=4).map(
    "".join
)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def in_place(form, texts):
    return st.builds(form.format, texts)


# One address, with such a text in one place of it.
one_address = st.one_of(
    in_place("{}ann@corp.test", hostile),
    in_place("ann@corp.test{}", hostile),
    in_place("{} <ann@corp.test>", hostile),
    in_place("{} <ann@corp.test>", printable),
    in_place("<ann@corp.test> {}", hostile),
    in_place("Ann <{}ann@corp.test>", hostile),
    in_place("Ann <ann@corp.test{}>", hostile),
    in_place("ann@corp.test ({})", hostile),
    in_place("ann@[{}]", hostile | st.sampled_from(["192.0.2.1", "IPv6:2001:db8::1"])),
    in_place("{} <ann@corp.test>", hostile.map(quoted)),
    in_place("{} <ann@corp.test>", printable.map(quoted)),
    in_place("{}@corp.test", hostile.map(quoted)),
    in_place("{}@corp.test", printable.map(quoted)),
    in_place("a{}@corp.test", st.text("a.", max_size=5)),
)
address_lines = st.lists(one_address, min_size=1, max_size=2).map("; ".join)


@dataclass
class Server(Driver):
    """A server that accepts everything, and keeps what it has read.

    Attributes:
        commands: the lines that it read as commands, after EHLO.
        content: the message.
    """

    commands: list[str] = field(default_factory=list)
    content: bytes | None = None
    _unread: bytes = b""
    _in_content: bool = False

    def _write(self, data, waiting):
        super()._write(data, waiting)
        self._unread += data
        end = b"\r\n.\r\n" if self._in_content else b"\r\n"
        while end in self._unread:
            read, _, self._unread = self._unread.partition(end)
            self.feed(self._answer(read))
            end = b"\r\n.\r\n" if self._in_content else b"\r\n"

    def _answer(self, read):
        if self._in_content:
            self._in_content = False
            self.content = re.sub(rb"^\.", b"", read, flags=re.MULTILINE) + b"\r\n"
            return "250 ok"
        command = read.decode()
        if command.startswith("EHLO"):
            return ehlo("PIPELINING", "8BITMIME", "SMTPUTF8")
        self.commands.append(command)
        self._in_content = command == "DATA"
        return "354 go on" if self._in_content else "250 ok"


def read_by_a_server(message):
    """Send the message to a server; return the commands, and the message as Python's ``email`` reads it."""
    server = Server()
    server.feed("220 hi")
    session = server.session()
    server.run(session.open("me.test"))
    server.run(session.send(message, all_or_nothing=False, notification=None))
    return server.commands, server.content


def check(message):
    """Check that a server reads this message, and nothing else."""
    commands, content = read_by_a_server(message)
    assert [re.sub(r"( BODY=8BITMIME)?( SMTPUTF8)?$", "", command) for command in commands] == [
        f"MAIL FROM:<{message.from_email.addr_spec}>",
        *(f"RCPT TO:<{recipient}>" for recipient in message.recipients),
        "DATA",
    ]
    for command in commands[:-1]:
        assert re.fullmatch(
            r'[A-Z ]+:<("([^"\\]|\\.)+"|[^\s"<>@]+)@[^\s"<>@]+>( BODY=8BITMIME)?( SMTPUTF8)?', command
        )
        assert command.isprintable()

    optional = {"to": message.to, "cc": message.cc, "reply-to": message.reply_to, "subject": message.subject}
    assert header_names(content) == [
        *("date", "from", *(name for name in optional if optional[name]), "message-id", "mime-version"),
        *("x-own", "content-type", "content-transfer-encoding"),
    ]
    read = email.message_from_string(content.decode(), policy=policy.default)
    assert read.get_content() == "Hello.\r\n"
    assert str(read["Subject"] or "") == message.subject
    assert str(read["X-Own"]) == message.headers["X-Own"]
    for name, addresses in (("From", (message.from_email,)), ("To", message.to), ("Cc", message.cc)):
        seen = read[name].addresses if read[name] else ()
        assert [(one.username, one.domain) for one in seen] == [(one.local_part, one.domain) for one in addresses]
        # Python 3.11's ``email`` changes the spaces between the encoded words of a name.
        assert ["".join(one.display_name.split()) for one in seen] == [
            "".join(one.display_name.split()) for one in addresses
        ]
    assert not read.defects


def by_hand(fields):
    return MailMessage(**fields)


def by_task(fields):
    """Compose a message as operator, decorator and notifier do."""
    given = {"message_source": fields["text"], **fields}
    hook = SimpleNamespace(
        smtp_conn_id="mail", connection_manager=SmtpConnectionManager(smtp_server="mail"), safety=SafetySettings()
    )
    return compose(SimpleNamespace(**{name: given.get(name) for name in FIELDS}), hook, {})


@pytest.mark.parametrize("make", [by_hand, by_task])
@given(
    from_email=one_address | address_lines,
    to=address_lines,
    cc=st.just("") | address_lines,
    bcc=st.just("") | address_lines,
    reply_to=st.just("") | address_lines,
    subject=hostile | printable | lines,
    header=printable,
)
def test_a_message_is_rejected_or_has_its_own_recipients_headers_and_commands(make, subject, header, **addresses):
    """Every field is tried alone, and with all others."""
    fine = {"from_email": "ann@corp.test", "to": "bob@corp.test", "subject": "Hello", "text": "Hello.\r\n"}
    fine["headers"] = {"X-Own": "own"}
    alone = [{name: value} for name, value in {**addresses, "subject": subject, "headers": {"X-Own": header}}.items()]
    for fields in (*alone, addresses, {**addresses, "subject": subject}):
        try:
            message = make(fine | fields)
        except InvalidMessage:
            continue
        check(message)


@given(address_lines)
def test_only_separators_divide_a_line(line):
    """White space, line ends, brackets and comments never make another address."""
    try:
        addresses = parse_line(line)
    except InvalidAddress:
        return
    assert len(addresses) <= 1 + line.count(";") + line.count(",")


@given(one_address)
@example("Ann(comment)ann@corp.test")
@example("ann@corp.test(comment)Ann")
def test_a_sender_is_one_address_whose_parts_stand_in_the_line(line):
    try:
        sender = parse_sender(line)
    except InvalidAddress:
        return
    assert sender.domain in line
    assert sender.local_part.replace("\\", "") in line.replace("\\", "")


@given(printable, printable)
def test_what_is_in_quotes_is_one_name_or_one_local_part(name, local_part):
    for line, expected in (
        (f"{quoted(name)} <ann@corp.test>", (name.strip(), "ann", "corp.test")),
        (f"{quoted(local_part)}@corp.test", ("", local_part, "corp.test")),
    ):
        try:
            (address,) = parse_line(line)
        except InvalidAddress:  # it is empty, too long, or has invisible characters or encoded words
            continue
        assert (address.display_name, address.local_part, address.domain) == expected
