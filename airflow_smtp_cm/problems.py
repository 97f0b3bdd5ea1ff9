"""Everything that is wrong with some input, collected, so that its author learns it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_PROBLEMS = 100  # of one kind that are worth reporting; an author with more of them meant something else

S = TypeVar("S")
T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class InvalidInput(ValueError):
    """Some input cannot be used as it is.

    Attributes:
        problems: everything that is wrong, in full sentences.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Problems(list[str]):
    """Everything that is wrong so far, in full sentences."""

    def attempt(self, read: Callable[[*Arguments], T], *arguments: *Arguments, field: str | None = None) -> T | None:
        """Return what ``read`` returns; if it raises InvalidInput, add its problems and return None.

        Args:
            read: reads a field, or makes something of several fields.
            arguments: its arguments.
            field: the field's name, unless the problems name it themselves.
        """
        try:
            return read(*arguments)
        except InvalidInput as error:
            self.add(error, field)
            return None

    def add(self, error: InvalidInput, field: str | None = None) -> None:
        """Add the problems of an error; ``field`` as above."""
        self += [f"{field}: {problem}" for problem in error.problems] if field else error.problems

    @property
    def full(self) -> bool:
        """Whether there are so many that the rest is not worth looking at."""
        return len(self) >= MAX_PROBLEMS

    def raise_as(self, error: type[InvalidInput]) -> None:
        """Raise all problems as one error, if there are any."""
        if self:
            raise error(*self)


def read_each(read: Callable[[S], Iterable[T]], items: Iterable[S], error: type[InvalidInput]) -> tuple[T, ...]:
    """Return what ``read`` finds in each of the items.

    Raises:
        InvalidInput: of the type ``error``; everything that is wrong with the items, up to some hundred problems.
    """
    found: list[T] = []
    problems = Problems()
    for item in items:
        found += problems.attempt(read, item) or ()
        if problems.full:
            break
    problems.raise_as(error)
    return tuple(found)
