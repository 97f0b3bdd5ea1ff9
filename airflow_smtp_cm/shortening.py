"""Shortens texts and lists for display."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def shorten(text: str, limit: int) -> str:
    """Return the text, or its beginning with an ellipsis, at most ``limit`` characters in all."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def listed(items: Sequence[str], most: int) -> str:
    """Return the items, separated by commas; of more than ``most``, the first ones and the number of the others."""
    named = ", ".join(items[:most])
    more = len(items) - most
    return f"{named} and {more:,} more" if more > 0 else named
