"""What can be wrong with a message, worded for its author.

It is one of these:

    InvalidMessage (ValueError)         found when the message is built; lists every problem
    |-- InvalidAddress                  found in a line of addresses
    `-- InvalidAttachment               found in an attachment's source, name or media type
    Smtputf8Needed (ValueError)         found when the message is rendered for a server that lacks SMTPUTF8
    SourceChanged (OSError)             found while an attachment is being sent
"""

from __future__ import annotations

from airflow_smtp_cm.problems import InvalidInput

__all__ = ["InvalidAddress", "InvalidAttachment", "InvalidMessage", "Smtputf8Needed", "SourceChanged"]


class InvalidMessage(InvalidInput):
    """A message, or a part of one, cannot be sent as it is.

    Attributes:
        problems: everything that is wrong, in full sentences.
    """


class InvalidAddress(InvalidMessage):
    """A line of addresses cannot be read, or an address breaks the rules of RFC 5321."""


class InvalidAttachment(InvalidMessage):
    """An attachment cannot be read, or cannot be described in a header."""


class Smtputf8Needed(ValueError):
    """An address needs SMTPUTF8 (RFC 6531) and the server does not offer it."""


class SourceChanged(OSError):
    """An attachment became shorter than it was when the message was built."""
