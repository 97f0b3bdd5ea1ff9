"""The interface of a message to the SMTP conversation: an envelope and a stream of bytes, nothing about MIME."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

Body = Literal["7BIT", "8BITMIME", "BINARYMIME"]


class Content(Protocol):
    """A message, rendered for the extensions of one server."""

    @property
    def body(self) -> Body:
        """The body type: 7 bits (RFC 5321), 8BITMIME (RFC 6152) or BINARYMIME (RFC 3030)."""

    @property
    def utf8(self) -> bool:
        """Whether headers or addresses contain raw UTF-8, so that SMTPUTF8 is needed (RFC 6531)."""

    @property
    def size(self) -> int:
        """The exact number of bytes that ``chunks`` yields."""

    @property
    def in_memory(self) -> bool:
        """Whether ``chunks`` never blocks: it reads no file."""

    def chunks(self) -> Generator[bytes]:
        """Yield the content in pieces of at most about 100 KiB, with CRLF line ends (except in BINARYMIME parts).

        Closing the generator early closes the files that it reads.
        """


class Outgoing(Protocol):
    """A message with its envelope."""

    @property
    def message_id(self) -> str:
        """The Message-ID, angle brackets included."""

    @property
    def sender(self) -> str:
        """The address for MAIL FROM."""

    @property
    def recipients(self) -> Sequence[str]:
        """The addresses for RCPT TO, each once, in the order in which they are sent."""

    def content(self, *, eight_bit: bool, binary: bool, utf8: bool) -> Content:
        """Render the message for the extensions of a server; this never blocks.

        Args:
            eight_bit: whether 8BITMIME may be used.
            binary: whether BINARYMIME may be used.
            utf8: whether SMTPUTF8 may be used.

        Raises:
            ValueError: the message needs an extension that is not offered; the text is for its author.
        """


MessagePolicy: TypeAlias = "Callable[[Outgoing], Outgoing]"
"""The rules of a site: returns the message, or another one to send in its place, or raises a ValueError."""
