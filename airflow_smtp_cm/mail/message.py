"""A message, with the fields of SSIS's Send Mail task; it is validated when it is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import make_msgid
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.characters.control import forbidden, visible
from airflow_smtp_cm.mail.addresses import Address, parse_lines, parse_sender
from airflow_smtp_cm.mail.attachments import expand
from airflow_smtp_cm.mail.errors import InvalidMessage, Smtputf8Needed
from airflow_smtp_cm.mail.headers import MAX_LINE, MAX_NAME, MAX_TEXT, address_field, date_field, text_field
from airflow_smtp_cm.mail.mime import render
from airflow_smtp_cm.mail.related import Related, relate
from airflow_smtp_cm.mail.structured_headers import addresses_in, is_structured, own_field
from airflow_smtp_cm.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_smtp_cm.mail.addresses import Addresses
    from airflow_smtp_cm.mail.attachments import Attachment, Attachments
    from airflow_smtp_cm.mail.mime import Rendering

__all__ = ["MailMessage", "Priority"]

_HEADER_NAME = r"[!-9;-~]+"  # RFC 5322, section 2.2
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MESSAGE_ID = re.compile(rf"<{_ATOM}(?:\.{_ATOM})*@(?:{_ATOM}(?:\.{_ATOM})*|\[[!-Z^-~]*\])>")  # section 3.6.4
_MAX_MESSAGE_ID = MAX_LINE - len("Message-ID: ")
_UNSENDABLE = re.compile(r"[\x00\ud800-\udfff]")  # not allowed (RFC 5322, section 2.3), or not valid in UTF-8
_NO_SENDER = "from_email: Neither the message nor the connection has a sender. Set one of them."

_FIELD_OF_HEADER = {
    "bcc": "bcc",
    "cc": "cc",
    "date": "date",
    "from": "from_email",
    "importance": "priority",
    "message-id": "message_id",
    "mime-version": "text, html and attachments",
    "priority": "priority",
    "reply-to": "reply_to",
    "sender": "from_email",
    "subject": "subject",
    "to": "to",
    "x-priority": "priority",
}


class Priority(StrEnum):
    """The priority of a message; built from SSIS's names in any case, or its numbers 1, 3, 5 (and 0)."""

    HIGH = "High"
    NORMAL = "Normal"
    LOW = "Low"

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The header fields for the priority, the same as those of System.Net.Mail."""
        return _PRIORITY_FIELDS[self]

    @classmethod
    def _missing_(cls, value: object) -> Priority:
        # 0 is not a value of SSIS's enumeration, but some expressions result in it; SSIS treats it as normal.
        known = {"high": cls.HIGH, "1": cls.HIGH, "normal": cls.NORMAL, "3": cls.NORMAL, "0": cls.NORMAL}
        known |= {"low": cls.LOW, "5": cls.LOW}
        try:
            return known[str(value).lower()]
        except KeyError:
            raise InvalidMessage(f'"{visible(str(value))}" is none of High, Normal, Low, 1, 3 and 5.') from None


_PRIORITY_FIELDS: dict[Priority, tuple[tuple[str, str], ...]] = {
    Priority.HIGH: (("X-Priority", "1"), ("Priority", "urgent"), ("Importance", "high")),
    Priority.NORMAL: (),
    Priority.LOW: (("X-Priority", "5"), ("Priority", "non-urgent"), ("Importance", "low")),
}


@dataclass(frozen=True, slots=True, init=False)
class MailMessage:
    """A message and its envelope.

    Addresses are given as lines (see ``addresses.parse_line``; the sender: ``addresses.parse_sender``), one or
    several, or as ``Address``; attachments as paths, patterns, sources (see ``attachments.expand``) or
    ``Attachment``. The attributes hold what was read.

    Attributes:
        from_email: the sender, for From and MAIL FROM (SSIS From); if it is None, the message is sent with the
            connection's sender.
        to: recipients for To (SSIS To).
        cc: recipients for Cc (SSIS Cc).
        bcc: recipients that are in no header (SSIS Bcc).
        reply_to: addresses for replies; if empty, replies go to the sender.
        subject: the subject, one line, possibly empty; a line end at its end is removed, a tab becomes a space (SSIS
            Subject).
        text: the body as plain text (SSIS MessageSource).
        html: the body as HTML; if both are given, the recipient's mail program chooses. An attachment that it names
            in a ``cid:`` URL, by file name or ``content_id``, is part of the HTML, and not shown as an attachment.
        priority: the priority (SSIS Priority).
        attachments: files, in order (SSIS Attachments).
        headers: further header fields, by name.
        message_id: the Message-ID with its angle brackets; by default a new one in the sender's domain,
            which is missing as long as there is no sender.
        date: the date of the message; by default now. A naive time is local time.

    Raises:
        InvalidMessage: lists all problems, field by field.
    """

    from_email: Address | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    subject: str
    text: str | None = field(repr=False)
    html: str | None = field(repr=False)
    priority: Priority
    attachments: tuple[Attachment, ...]
    headers: Mapping[str, str]
    message_id: str
    date: datetime
    _related: Related = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        *,
        from_email: str | Address | None = None,
        to: Addresses = None,
        cc: Addresses = None,
        bcc: Addresses = None,
        reply_to: Addresses = None,
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        priority: Priority | str | int = Priority.NORMAL,
        attachments: Attachments = None,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        date: datetime | None = None,
    ) -> None:
        parsers: dict[str, tuple[Callable[[Any], object], object]] = {
            "from_email": (_sender, from_email),
            "to": (parse_lines, to),
            "cc": (parse_lines, cc),
            "bcc": (parse_lines, bcc),
            "reply_to": (parse_lines, reply_to),
            "subject": (_subject, subject),
            "text": (_body, text),
            "html": (_body, html),
            "priority": (Priority, priority),
            "attachments": (expand, attachments),
            "headers": (_custom_headers, headers or {}),
            "message_id": (_message_id, message_id),
        }
        problems = Problems()
        for name, (parse, value) in parsers.items():
            try:  # not attempt(): every message comes through here, and twelve calls would cost it two per cent
                object.__setattr__(self, name, parse(value))
            except InvalidMessage as error:
                problems.add(error, name)
        # A line that could not be parsed is a problem of its own, and its attribute is not set.
        if not any(getattr(self, name, ("unparsed",)) for name in ("to", "cc", "bcc")):
            problems.append("to: No recipient is specified. Give one in to, cc or bcc.")
        if hasattr(self, "attachments"):  # likewise
            try:
                object.__setattr__(self, "_related", relate(getattr(self, "html", None), self.attachments))
            except InvalidMessage as error:
                problems.add(error, "html")
        problems.raise_as(InvalidMessage)
        if not message_id:
            domain = self.from_email.domain if self.from_email else ""
            object.__setattr__(self, "message_id", make_msgid(domain=domain))
        object.__setattr__(self, "date", _aware(date))

    @property
    def sender(self) -> str:
        """The address for MAIL FROM.

        Raises:
            InvalidMessage: the message has no sender.
        """
        if self.from_email is None:
            raise InvalidMessage(_NO_SENDER)
        return self.from_email.addr_spec

    def with_default_sender(self, line: str | None) -> MailMessage:
        """Return the message with this sender, if it has none.

        Raises:
            InvalidMessage: there is none either.
        """
        if self.from_email is not None:
            return self
        if not line:
            raise InvalidMessage(_NO_SENDER)
        sender = parse_sender(line)
        return replace(self, from_email=sender, message_id=self.message_id.replace("@>", f"@{sender.domain}>"))

    @property
    def _from(self) -> tuple[Address, ...]:
        return (self.from_email,) if self.from_email else ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses for RCPT TO: those of To, Cc and Bcc, each mailbox once."""
        mailboxes: dict[tuple[str, str], str] = {}
        for address in (*self.to, *self.cc, *self.bcc):
            mailboxes.setdefault(address.mailbox, address.addr_spec)
        return tuple(mailboxes.values())

    @property
    def utf8_addresses(self) -> tuple[Address, ...]:
        """The addresses that need SMTPUTF8 (RFC 6531), in any field or header."""
        own = [address for name, value in self.headers.items() for address in addresses_in(name, value)]
        every = (*self._from, *self.to, *self.cc, *self.bcc, *self.reply_to, *own)
        return tuple(address for address in every if not address.local_part.isascii())

    def content(self, *, eight_bit: bool, binary: bool, utf8: bool) -> Rendering:
        """Render the message for the extensions of a server.

        Args:
            eight_bit: whether 8BITMIME may be used.
            binary: whether BINARYMIME may be used.
            utf8: whether SMTPUTF8 may be used; it is used only if an address needs it.

        Raises:
            Smtputf8Needed: an address needs SMTPUTF8, and it may not be used.
        """
        in_utf8 = self.utf8_addresses
        if in_utf8 and not utf8:
            addresses = ", ".join(f'"{address.addr_spec}"' for address in in_utf8)
            raise Smtputf8Needed(
                f'Before the "@", {addresses} has characters that are not ASCII, and the server does not offer '
                "SMTPUTF8 (RFC 6531). Use an address in ASCII, or a server that offers it."
            )
        return render(
            self._head(),
            text=self.text,
            related=self._related,
            eight_bit=eight_bit,
            binary=binary,
            utf8=bool(in_utf8),
        )

    def _head(self) -> str:
        """Return the header without the Content-* fields; it never contains Bcc."""
        fields = [date_field(self.date), address_field("From", self._from)]
        for name, addresses in (("To", self.to), ("Cc", self.cc), ("Reply-To", self.reply_to)):
            if addresses:
                fields.append(address_field(name, addresses))
        if self.subject:
            fields.append(text_field("Subject", self.subject))
        fields.append(f"Message-ID: {self.message_id}\r\n")
        fields += [f"{name}: {value}\r\n" for name, value in self.priority.fields]
        fields.append("MIME-Version: 1.0\r\n")
        fields += [own_field(name, value) for name, value in self.headers.items()]
        return "".join(fields)


def _sender(line: str | Address | None) -> Address | None:
    return parse_sender(line) if isinstance(line, str) else line


def _subject(text: str) -> str:
    text = text.rstrip("\r\n").replace("\t", " ")
    if character := forbidden(text):
        raise InvalidMessage(f'"{visible(text)}" holds the control character {character}.')
    if (size := len(text.encode())) > MAX_TEXT:
        raise InvalidMessage(f"It has {size:,} bytes; servers truncate or refuse more than {MAX_TEXT:,}.")
    return text


def _body(text: str | None) -> str | None:
    if not text or (text.isascii() and "\0" not in text):  # true for most texts; the search takes ten times as long
        return text
    if match := _UNSENDABLE.search(text):
        raise InvalidMessage(
            f"It holds the character U+{ord(match[0]):04X} at position {match.start()}, which is not allowed in mail."
        )
    return text


def _custom_headers(headers: Mapping[str, str]) -> dict[str, str]:
    problems = [problem for name, value in headers.items() for problem in _header_problems(name, value)]
    if problems:
        raise InvalidMessage(*problems)
    return dict(headers)


def _header_problems(name: str, value: str) -> Iterator[str]:
    field_name = _FIELD_OF_HEADER.get(name.lower())
    if name.lower().startswith("content-"):
        field_name = _FIELD_OF_HEADER["mime-version"]
    if field_name:
        yield f'The header "{name}" is built from the field {field_name}; use that instead.'
    if not re.fullmatch(_HEADER_NAME, name) or len(name) > MAX_NAME:
        yield f'"{visible(name)}" is not a header name: use 1 to {MAX_NAME} visible ASCII characters without a colon.'
    if character := forbidden(value):
        yield f'The value of "{visible(name)}" contains the control character {character}.'
    elif (size := len(value.encode())) > MAX_TEXT:
        yield f'The value of "{visible(name)}" has {size:,} bytes; servers truncate or refuse more than {MAX_TEXT:,}.'
    elif is_structured(name):
        problems = Problems()
        problems.attempt(own_field, name, value, field=f'The value of "{name}"')
        yield from problems


def _message_id(message_id: str | None) -> str | None:
    if message_id and (not _MESSAGE_ID.fullmatch(message_id) or len(message_id) > _MAX_MESSAGE_ID):
        raise InvalidMessage(f'"{visible(message_id)}" is not of the form <unique@example.com>.')
    return message_id


def _aware(date: datetime | None) -> datetime:
    date = date or datetime.now(UTC).astimezone()
    return date if date.tzinfo else date.astimezone()
