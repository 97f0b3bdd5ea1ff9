"""What the conversation asks of a message: an envelope and a stream of octets, nothing about MIME."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

Body = Literal["7BIT", "8BITMIME", "BINARYMIME"]


class Content(Protocol):
    """One rendering of a message, fit for what one server offers."""

    @property
    def body(self) -> Body:
        """What the octets need: RFC 5321's 7 bits, 8BITMIME (RFC 6152) or BINARYMIME (RFC 3030)."""

    @property
    def utf8(self) -> bool:
        """Whether headers or addresses hold raw UTF-8, so that SMTPUTF8 is needed (RFC 6531)."""

    @property
    def size(self) -> int:
        """Exact number of octets that ``chunks`` will yield."""

    @property
    def in_memory(self) -> bool:
        """Whether ``chunks`` waits for nothing, such as a file."""

    def chunks(self) -> Generator[bytes]:
        """Yield the octets, line ends CRLF (but for BINARYMIME parts), in pieces of at most some 100 KiB.

        Closing the generator early closes what it reads from.
        """


class Outgoing(Protocol):
    """A message as the conversation sees it."""

    @property
    def message_id(self) -> str:
        """The Message-ID, angle brackets included."""

    @property
    def sender(self) -> str:
        """The address for MAIL FROM."""

    @property
    def recipients(self) -> Sequence[str]:
        """The addresses for RCPT TO, each once, in the order they are given to the server."""

    def content(self, *, eight_bit: bool, binary: bool, utf8: bool) -> Content:
        """Render the message with what the server offers; this waits for nothing.

        Args:
            eight_bit: whether 8BITMIME may be used.
            binary: whether BINARYMIME may be used.
            utf8: whether SMTPUTF8 may be used.

        Raises:
            ValueError: the message cannot be rendered without what is not offered; worded for its author.
        """


MessagePolicy: TypeAlias = "Callable[[Outgoing], Outgoing]"
"""What a site permits: returns the message as it is, or the one to send in its place, or raises an error."""
