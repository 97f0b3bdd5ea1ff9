"""Shortens texts for display."""

from __future__ import annotations


def shorten(text: str, limit: int) -> str:
    """Return the text, or its beginning with an ellipsis, at most ``limit`` characters in all."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
