"""What an event handler of SSIS's knows of a failure."""

from __future__ import annotations

_NUMBERS = ("errno", "returncode", "smtp_code", "code", "status_code")


def error_code(exception: object) -> int:
    """Return the number that an exception carries, in the place of System::ErrorCode; -1 if it carries none."""
    numbers = (getattr(exception, name, None) for name in _NUMBERS)
    return next((number for number in numbers if type(number) is int), -1)
