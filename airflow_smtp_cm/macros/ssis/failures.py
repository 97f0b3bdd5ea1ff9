"""The counterpart of System::ErrorCode in event handlers."""

from __future__ import annotations

_NUMBERS = ("errno", "returncode", "smtp_code", "code", "status_code")


def error_code(exception: object) -> int:
    """Return the number of an exception, as System::ErrorCode; -1 if it has none."""
    numbers = (getattr(exception, name, None) for name in _NUMBERS)
    return next((number for number in numbers if type(number) is int), -1)
