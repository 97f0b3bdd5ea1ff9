"""Two independent parsers that show what a recipient sees: Python's ``email`` and Rust's ``mailparse``."""

import email
from dataclasses import dataclass
from email import policy

import fast_mail_parser


@dataclass
class Seen:
    """A message as a parser reads it."""

    senders: list
    to: list
    cc: list
    reply_to: list
    subject: str
    own_header: str
    texts: dict
    attachments: list


def bytes_of(message, *, eight_bit=False, binary=False, utf8=False):
    """Render a message as bytes, and check that its announced size is exact."""
    content = message.content(eight_bit=eight_bit, binary=binary, utf8=utf8)
    data = b"".join(content.chunks())
    assert len(data) == content.size
    return data


def seen_by_python(data, own_header="X-Own"):
    message = email.message_from_bytes(data, policy=policy.default)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    assert not [defect for part in message.walk() for defect in part.defects]
    texts = [part for part in leaves if part.get_content_disposition() != "attachment"]
    return Seen(
        senders=_addresses(message["From"]),
        to=_addresses(message["To"]),
        cc=_addresses(message["Cc"]),
        reply_to=_addresses(message["Reply-To"]),
        subject=str(message["Subject"] or ""),
        own_header=str(message[own_header] or ""),
        texts={part.get_content_subtype(): part.get_content() for part in texts},
        attachments=[
            (part["Content-Disposition"].params["filename"], part.get_content_type(), part.get_payload(decode=True))
            for part in leaves
            if part not in texts
        ],
    )


def _addresses(header):
    return [(address.display_name, address.addr_spec) for address in header.addresses] if header else []


def seen_by_rust(data, own_header="X-Own"):
    message = fast_mail_parser.parse_email(data)
    assert not message.warnings
    leaves = [part for part in fast_mail_parser.walk(fast_mail_parser.parse_email_tree(data)) if not part.children]
    texts = [part for part in leaves if part.disposition != "attachment"]

    def pairs(addresses):
        return [(address.display_name or "", address.address) for address in addresses]

    return Seen(
        senders=pairs([message.from_]),
        to=pairs(message.to),
        cc=pairs(message.cc),
        reply_to=pairs(message.reply_to),
        subject=message.subject,
        own_header=message.headers.get(own_header, [""])[0],
        texts={part.content_type.removeprefix("text/"): part.content.decode() for part in texts},
        attachments=[(part.filename, part.content_type, part.content) for part in leaves if part not in texts],
    )
