"""Every way in which a secret might get out, so that a test can look for all of them."""

from __future__ import annotations

import base64
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Bytes of a token that are enough to tell it from chance, and so many that parts of it are found, too.
_PIECE = 24


def assert_hidden(shown: Iterable[str], *secrets: bytes) -> None:
    """See that none of the secrets stands in what was shown, in no spelling.

    Args:
        shown: logs, errors, reprs and whatever else people get to see.
        secrets: passwords, keys, tokens; of long ones each piece that says something.
    """
    everything = "\n".join(shown)
    for secret in secrets:
        for form in _forms(secret):
            assert form not in everything, f"{secret!r} is shown as {form!r}"


def told_by(error: BaseException) -> list[str]:
    """Return all that an error tells: itself and what led to it, each as text, repr, attributes and traceback."""
    told = ["".join(traceback.format_exception(error))]
    for each in _chain(error):
        told += [str(each), repr(each), repr(getattr(each, "__dict__", None)), *getattr(each, "__notes__", ())]
    return told


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, as far as Python shows it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _forms(secret: bytes) -> set[str]:
    forms = {base64.b64encode(secret).decode()}
    if len(secret) > _PIECE:
        # In base64, pieces of three bytes stand for themselves.
        forms |= {base64.b64encode(piece).decode() for piece in _pieces(secret)}
    for piece in _pieces(secret):
        forms |= {repr(piece)[2:-1], piece.hex(), piece.hex().upper(), piece.decode("latin-1")}
    # Runs of the same byte, as in padding, are nobody's secret.
    return {form for form in forms if len(form) >= 8 and len(set(form)) > 5}


def _pieces(secret: bytes) -> list[bytes]:
    starts = range(0, max(len(secret) - _PIECE, 0) + 1, _PIECE)
    return [secret[start : start + _PIECE] for start in starts]
