"""SSIS's arithmetic and mathematical functions ("Functions (SSIS Expression)").

Both operands of an operator have the same Python type: ``int``, ``float`` or ``Decimal``.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING, TypeVar

from airflow_smtp_cm.macros.ssis.nulls import propagates_null

if TYPE_CHECKING:
    from collections.abc import Callable

Number = TypeVar("Number", int, float, Decimal)

# DT_NUMERIC has 38 digits; their product must not be rounded before the result is.
_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
_MAX_DIGITS = 38
_MIN_QUOTIENT_SCALE = 6


@propagates_null
def add(augend: Number, addend: Number) -> Number:
    """Return ``augend + addend`` ("+ (Add) (SSIS)")."""
    if isinstance(augend, Decimal):
        return _numeric(_EXACT.add(augend, addend))
    return augend + addend


@propagates_null
def subtract(minuend: Number, subtrahend: Number) -> Number:
    """Return ``minuend - subtrahend`` ("- (Subtract) (SSIS Expression)")."""
    if isinstance(minuend, Decimal):
        return _numeric(_EXACT.subtract(minuend, subtrahend))
    return minuend - subtrahend


@propagates_null
def multiply(factor: Number, other: Number) -> Number:
    """Return ``factor * other`` ("* (Multiply) (SSIS Expression)")."""
    if isinstance(factor, Decimal):
        return _numeric(_EXACT.multiply(factor, other))
    return factor * other


@propagates_null
def divide(dividend: Number, divisor: Number) -> Number:
    """Return ``dividend / divisor``; of integers without the fraction, as in C ("/ (Divide) (SSIS Expression)").

    The quotient of two DT_NUMERIC has the scale of Transact-SQL ("Precision, Scale, and Length").

    Raises:
        ZeroDivisionError: the divisor is 0.
    """
    if not divisor:
        raise ZeroDivisionError("Division by zero")
    if isinstance(dividend, int) and isinstance(divisor, int):
        quotient = abs(dividend) // abs(divisor)
        return quotient if (dividend < 0) == (divisor < 0) else -quotient
    if isinstance(dividend, Decimal):
        scale = min(max(_MIN_QUOTIENT_SCALE, _scale(dividend) + len(divisor.as_tuple().digits) + 1), _MAX_DIGITS)
        return _numeric(_EXACT.divide(dividend, divisor).quantize(Decimal(1).scaleb(-scale), context=_EXACT))
    return dividend / divisor


@propagates_null
def modulo(dividend: int, divisor: int) -> int:
    """Return ``dividend % divisor``, with the sign of the dividend, as in C ("% (Modulo) (SSIS Expression)").

    Raises:
        ZeroDivisionError: the divisor is 0.
    """
    if not divisor:
        raise ZeroDivisionError("Modulo zero")
    remainder = abs(dividend) % abs(divisor)
    return -remainder if dividend < 0 else remainder


@propagates_null
def negate(operand: Number) -> Number:
    """Return ``-operand`` ("- (Negate) (SSIS Expression)")."""
    return operand.copy_negate() if isinstance(operand, Decimal) else -operand


@propagates_null
def bit_and(left: int, right: int) -> int:
    """Return ``left & right`` ("& (Bitwise AND) (SSIS Expression)")."""
    return left & right


@propagates_null
def bit_or(left: int, right: int) -> int:
    """Return ``left | right`` ("| (Bitwise Inclusive OR) (SSIS Expression)")."""
    return left | right


@propagates_null
def bit_xor(left: int, right: int) -> int:
    """Return ``left ^ right`` ("^ (Bitwise Exclusive OR) (SSIS Expression)")."""
    return left ^ right


@propagates_null
def absolute(number: Number) -> Number:
    """Return the absolute value ("ABS (SSIS Expression)")."""
    return number.copy_abs() if isinstance(number, Decimal) else abs(number)


@propagates_null
def ceiling(number: Number) -> Number:
    """Return the smallest whole number that is not smaller; the scale stays ("CEILING (SSIS Expression)")."""
    return _whole(number, ROUND_CEILING)


@propagates_null
def floor(number: Number) -> Number:
    """Return the greatest whole number that is not greater; the scale stays ("FLOOR (SSIS Expression)")."""
    return _whole(number, ROUND_FLOOR)


@propagates_null
def rounded(number: Number, decimals: int) -> Number:
    """Round to a number of decimals, half away from zero; the scale stays ("ROUND (SSIS Expression)").

    Raises:
        ValueError: decimals is below 0.
    """
    if decimals < 0:
        raise ValueError(f"ROUND cannot round to {decimals} decimals")
    if isinstance(number, int):
        return number
    if isinstance(number, float):
        # repr() is the number as people read it: 137.1575, not the binary number slightly below.
        return float(_rounded(Decimal(repr(number)), decimals)) if math.isfinite(number) else number
    return _rounded(number, decimals)


@propagates_null
def sign(number: float | Decimal) -> int:
    """Return -1, 0 or 1 ("SIGN (SSIS Expression)")."""
    return (number > 0) - (number < 0)


@propagates_null
def exp(number: float) -> float:
    """Return e to the power of a number ("EXP (SSIS Expression)").

    Raises:
        OverflowError: the result is too large for DT_R8.
    """
    return _real("EXP", math.exp, number)


@propagates_null
def ln(number: float) -> float | None:
    """Return the natural logarithm, NULL unless the number is positive ("LN (SSIS Expression)")."""
    return math.log(number) if number > 0 else None


@propagates_null
def log(number: float) -> float | None:
    """Return the logarithm to base 10, NULL unless the number is positive ("LOG (SSIS Expression)")."""
    return math.log10(number) if number > 0 else None


@propagates_null
def power(number: float, exponent: float) -> float | None:
    """Return a number to a power, NULL if it is indeterminate ("POWER (SSIS Expression)").

    Raises:
        ZeroDivisionError: 0 to a negative power.
        OverflowError: the result is too large for DT_R8.
    """
    if not number and exponent < 0:
        raise ZeroDivisionError("POWER of zero to a negative power")
    try:
        return _real("POWER", math.pow, number, exponent)
    except ValueError:
        return None


@propagates_null
def square(number: float) -> float:
    """Return the square ("SQUARE (SSIS Expression)")."""
    return number * number


@propagates_null
def sqrt(number: float) -> float:
    """Return the square root ("SQRT (SSIS Expression)").

    Raises:
        ValueError: the number is negative.
    """
    if number < 0:
        raise ValueError(f"SQRT of {number}: a negative number has no square root")
    return math.sqrt(number)


@propagates_null
def hexadecimal(number: int, bits: int) -> str:
    """Return an integer of this many bits in hexadecimal, upper case, no prefix ("HEX (SSIS Expression)")."""
    return f"{number & ((1 << bits) - 1):X}"


def _real(name: str, function: Callable[..., float], *arguments: float) -> float:
    try:
        return function(*arguments)
    except OverflowError:
        raise OverflowError(f"The result of {name} does not fit into DT_R8") from None


def _numeric(number: Decimal) -> Decimal:
    digits = len(number.as_tuple().digits)
    if digits > _MAX_DIGITS:
        raise OverflowError(f"The number has {digits} digits; DT_NUMERIC holds {_MAX_DIGITS}")
    return number


def _scale(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _whole(number: Number, rounding: str) -> Number:
    if isinstance(number, float):
        nearest = math.ceil(number) if rounding == ROUND_CEILING else math.floor(number)
        return type(number)(nearest)
    if isinstance(number, Decimal):
        whole = number.to_integral_value(rounding, context=_EXACT)
        return whole.quantize(Decimal(1).scaleb(-_scale(number)), context=_EXACT)
    return number


def _rounded(number: Decimal, decimals: int) -> Decimal:
    scale = _scale(number)
    if decimals >= scale:
        return number
    unit = Decimal(1).scaleb(-decimals)
    return number.quantize(unit, ROUND_HALF_UP, context=_EXACT).quantize(Decimal(1).scaleb(-scale), context=_EXACT)
