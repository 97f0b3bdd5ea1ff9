"""The errors of messages; their texts are for the author of the message.

The classes:

InvalidMessage (ValueError)         raised when the message is built; lists all problems
|-- InvalidAddress                  an invalid address or line of addresses
|-- NotFound                        something that Airflow does not find, now
`-- InvalidAttachment               an invalid source, name or media type of an attachment
Smtputf8Needed (ValueError)         raised when the message is rendered for a server without SMTPUTF8
SourceChanged (OSError)             raised while an attachment is being sent
"""

from __future__ import annotations

from airflow_smtp_cm.problems import InvalidInput

__all__ = ["InvalidAddress", "InvalidAttachment", "InvalidMessage", "NotFound", "Smtputf8Needed", "SourceChanged"]


class InvalidMessage(InvalidInput):
    """A message, or a part of one, is invalid.

    Attributes:
        problems: all problems, in full sentences.
    """


class InvalidAddress(InvalidMessage):
    """A line of addresses cannot be parsed, or an address is not valid by RFC 5321."""


class InvalidAttachment(InvalidMessage):
    """An attachment cannot be read, or its name or media type is not valid in a header."""


class NotFound(InvalidMessage):
    """Airflow does not find a connection or a Variable of the message.

    Airflow gives the same answer if its database, or a secrets backend, cannot be reached for a moment.
    """

    transient = True


class Smtputf8Needed(ValueError):
    """An address needs SMTPUTF8 (RFC 6531) and the server does not offer it."""


class SourceChanged(OSError):
    """An attachment is shorter than when the message was built."""
