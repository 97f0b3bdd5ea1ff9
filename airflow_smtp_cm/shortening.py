"""Texts cut to a length that fits where they are shown."""

from __future__ import annotations


def shorten(text: str, limit: int) -> str:
    """Return the text, or so much of its beginning that it is at most ``limit`` characters with an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
