"""Collects all problems with an input, so that they are reported together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_PROBLEMS = 100  # of one kind; if there are more, the whole input is probably a mistake

S = TypeVar("S")
T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class InvalidInput(ValueError):
    """An input is invalid.

    Attributes:
        problems: all problems with it, in full sentences.
        transient: whether all of them may disappear without a change of the input.
    """

    transient = False

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Problems(list[str]):
    """The problems found so far, in full sentences."""

    _transient = 0  # how many of them are

    def attempt(self, read: Callable[[*Arguments], T], *arguments: *Arguments, field: str | None = None) -> T | None:
        """Return what ``read`` returns; if it raises InvalidInput, add its problems and return None.

        Args:
            read: reads a field, or builds an object from several fields.
            arguments: its arguments.
            field: the field's name, unless the problems contain it.
        """
        try:
            return read(*arguments)
        except InvalidInput as error:
            self.add(error, field)
            return None

    def add(self, error: InvalidInput, field: str | None = None) -> None:
        """Add the problems of an error; for ``field`` see ``attempt``."""
        self += [f"{field}: {problem}" for problem in error.problems] if field else error.problems
        self._transient += len(error.problems) if error.transient else 0

    @property
    def full(self) -> bool:
        """Whether there are so many that the rest of the input need not be checked."""
        return len(self) >= MAX_PROBLEMS

    def raise_as(self, error: type[InvalidInput]) -> None:
        """Raise all problems as one error, if there are any."""
        if self:
            raise self.as_error(error)

    def as_error(self, error: type[InvalidInput]) -> InvalidInput:
        """Return all problems as one error; it is transient if all of them are."""
        made = error(*self)
        if 0 < self._transient == len(self):
            made.transient = True
        return made


def read_each(read: Callable[[S], Iterable[T]], items: Iterable[S], error: type[InvalidInput]) -> tuple[T, ...]:
    """Return all values that ``read`` returns for the items.

    Raises:
        InvalidInput: of the type ``error``; all problems with the items, but not many more than ``MAX_PROBLEMS``.
    """
    found: list[T] = []
    problems = Problems()
    for item in items:
        found += problems.attempt(read, item) or ()
        if problems.full:
            break
    problems.raise_as(error)
    return tuple(found)
