"""What can be wrong with an expression.

ValueError
+-- ExpressionError     it is no expression, or SSIS would not evaluate it
+-- Untranslatable      it is one, but has no counterpart in Airflow
"""

from __future__ import annotations

from airflow_smtp_cm.shortening import shorten


class _About(ValueError):
    """Something about an expression.

    Attributes:
        text: the expression.
        position: where in it, counted in characters from 0.
        reason: what is the matter, and where it helps what to do.
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(text, position, reason)
        self.text = text
        self.position = position
        self.reason = shorten(reason, 500)

    def __str__(self) -> str:
        return f"{self.reason} (at character {self.position + 1} of the expression {shorten(self.text, 200)})"


class ExpressionError(_About):
    """The text is no expression of SSIS's, or SSIS would fail to evaluate it."""


class Untranslatable(_About):
    """The expression has no counterpart in Airflow: somebody must write one by hand."""
