"""NULL (None): its propagation, comparisons, and three-valued logic."""

from __future__ import annotations

import operator
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def propagates_null(function: Callable[P, R]) -> Callable[P, R | None]:
    """Make a function return NULL if an argument is NULL."""

    @wraps(function)
    def with_null(*args: P.args, **kwargs: P.kwargs) -> R | None:
        return None if None in args else function(*args, **kwargs)

    return with_null


def is_null(value: object) -> bool:
    """Return whether a value is NULL ("ISNULL (SSIS Expression)")."""
    return value is None


def replace_null(value: T | None, replacement: T | None) -> T | None:
    """Return the value, or the replacement if it is NULL ("REPLACENULL (SSIS Expression)")."""
    return replacement if value is None else value


def logical_and(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 - they are the operands
    """Return ``left && right``: false wins over NULL, NULL over true ("&& (Logical AND) (SSIS Expression)")."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def logical_or(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 - they are the operands
    """Return ``left || right``: true wins over NULL, NULL over false ("|| (Logical OR) (SSIS Expression)")."""
    if left or right:
        return True
    return None if left is None or right is None else False


@propagates_null
def logical_not(operand: bool) -> bool:  # noqa: FBT001 - it is the operand
    """Return ``!operand`` ("! (Logical Not) (SSIS Expression)")."""
    return not operand


# "== (Equal) (SSIS Expression)" and the others: the operands have one type; texts compare by code points.
equal = propagates_null(operator.eq)
unequal = propagates_null(operator.ne)
less = propagates_null(operator.lt)
less_or_equal = propagates_null(operator.le)
greater = propagates_null(operator.gt)
greater_or_equal = propagates_null(operator.ge)
