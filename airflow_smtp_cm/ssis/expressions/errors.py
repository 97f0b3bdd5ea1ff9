"""The errors of expressions.

ValueError
+-- ExpressionError     it is not valid, or SSIS would fail to evaluate it
+-- Untranslatable      it is valid, but has no counterpart in Airflow
"""

from __future__ import annotations

from airflow_smtp_cm.shortening import shorten


class _ErrorAt(ValueError):
    """An error at a position of an expression.

    Attributes:
        text: the expression.
        position: the position of the error, in characters from 0.
        reason: what is wrong, and possibly what to do.
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(text, position, reason)
        self.text = text
        self.position = position
        self.reason = shorten(reason, 500)

    def __str__(self) -> str:
        return f"{self.reason} (at character {self.position + 1} of the expression {shorten(self.text, 200)})"


class ExpressionError(_ErrorAt):
    """The text is not a valid expression of SSIS, or SSIS would fail to evaluate it."""


class Untranslatable(_ErrorAt):
    """The expression has no counterpart in Airflow: a person must write one."""
