"""Searches output for secrets, in all forms in which they could leak."""

from __future__ import annotations

import base64
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Bytes of a piece of a token: enough to exclude a coincidence, and so few that parts of a token are found, too.
_PIECE = 24


def assert_hidden(shown: Iterable[str], *secrets: bytes) -> None:
    """Assert that none of the secrets is in the output, in any encoding.

    Args:
        shown: logs, errors, reprs and all other output.
        secrets: passwords, keys, tokens; long ones are searched for piece by piece.
    """
    everything = "\n".join(shown)
    for secret in secrets:
        for form in _forms(secret):
            assert form not in everything, f"{secret!r} is shown as {form!r}"


def texts_of(error: BaseException) -> list[str]:
    """Return all texts of an error and its causes: message, repr, attributes, notes and traceback."""
    texts = ["".join(traceback.format_exception(error))]
    for each in _chain(error):
        texts += [str(each), repr(each), repr(getattr(each, "__dict__", None)), *getattr(each, "__notes__", ())]
    return texts


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, as Python shows them."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _forms(secret: bytes) -> set[str]:
    forms = {base64.b64encode(secret).decode()}
    if len(secret) > _PIECE:
        # In base64, each group of three bytes is encoded separately.
        forms |= {base64.b64encode(piece).decode() for piece in _pieces(secret)}
    for piece in _pieces(secret):
        forms |= {repr(piece)[2:-1], piece.hex(), piece.hex().upper(), piece.decode("latin-1")}
    # Repetitions of a byte, as in padding, are not secret.
    return {form for form in forms if len(form) >= 8 and len(set(form)) > 5}


def _pieces(secret: bytes) -> list[bytes]:
    starts = range(0, max(len(secret) - _PIECE, 0) + 1, _PIECE)
    return [secret[start : start + _PIECE] for start in starts]
