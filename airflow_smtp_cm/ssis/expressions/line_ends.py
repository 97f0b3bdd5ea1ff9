"""Line ends of texts: CR LF and CR become a newline, which mail sends as CR LF.

Only constants that are part of the result are changed. A text that a function computes with keeps its characters,
since the result of LEN, REPLACE or == depends on them.
"""

from __future__ import annotations

import re
from dataclasses import replace

from airflow_smtp_cm.ssis.expressions.typed import Constant, Operation, Reference, Typed

# What follows may begin with a newline, and is then part of the same line end.
_COMPLETE_LINE_END = re.compile(r"\r\n|\r(?!\Z)")
# The operands of these functions, from this one on, are parts of the result.
_FIRST_PART = {"concatenate": 0, "conditional": 1, "fitting": 0, "replace_null": 0, "retyped": 0}


def with_newlines(text: str) -> str:
    """Return a text with newlines as its only line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def begins_with_newlines(text: str) -> str:
    """Return the beginning of a text with newlines as its line ends, except for a CR at its end."""
    return _COMPLETE_LINE_END.sub("\n", text)


def result_with_newlines(node: Typed) -> Typed:
    """Return an expression whose constants have newlines as line ends, where they are parts of the result."""
    match node:
        case Constant(content=str(text)):
            return replace(node, content=begins_with_newlines(text))
        case Operation(function=function) if function in _FIRST_PART:
            first = _FIRST_PART[function]
            parts = tuple(map(result_with_newlines, node.operands[first:]))
            return replace(node, operands=(*node.operands[:first], *parts))
    return node


def computed(node: Typed) -> frozenset[str]:
    """Return the Jinja expressions of the variables whose text a function computes with."""
    match node:
        case Operation():
            first = _FIRST_PART.get(node.function, len(node.operands))
            within = map(_references, node.operands[:first])
            return frozenset().union(*within, *map(computed, node.operands[first:]))
    return frozenset()


def _references(node: Typed) -> frozenset[str]:
    match node:
        case Reference():
            return frozenset({node.binding.expression})
        case Operation():
            return frozenset().union(*map(_references, node.operands))
    return frozenset()
