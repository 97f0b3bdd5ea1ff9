"""Literals and imports of generated Python: the same value, in readable form."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.ssis.writing.source_text import FormattingError, exact, formatted, nested, text


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n {}%'\"\\"), max_size=400))
def test_a_divided_text_has_the_same_value_with_newlines_as_line_ends(value):
    written = text(value)

    assert ast.literal_eval(written) == value.replace("\r\n", "\n").replace("\r", "\n")
    assert ast.literal_eval(exact(value)) == value
    assert '""' not in written.replace('\\"', "") or not value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Sales\nof yesterday", r'"Sales\nof yesterday"'),
        ("it's", '"it\'s"'),
        ('"yes"', "'\"yes\"'"),
        ("a" * 90 + "\nb", '("' + "a" * 88 + '" "aa\\n" "b")'),
        ("word " * 20 + "{{ a or b }}", '("' + "word " * 17 + '" "' + "word " * 3 + '{{ a or b }}")'),
        ("x" * 80 + "{{ params.a + params.b }}", '("' + "x" * 80 + '" "{{ params.a + params.b }}")'),
    ],
)
def test_a_text_is_divided_at_line_ends_spaces_and_braces(value, written):
    assert text(value) == written


@pytest.mark.parametrize(
    ("body", "written"),
    [
        (["with B() as b:", "    c()", "    d()"], ["with A(), B() as b:", "    c()", "    d()"]),
        (["with B():", "    c()", "d()"], ["with A():", "    with B():", "        c()", "    d()"]),
        (["with B():", "    c()", "with D():", "    e()"], None),
        (["c()"], ["with A():", "    c()"]),
    ],
)
def test_with_statements_within_each_other_are_one(body, written):
    assert nested("with A():", body) == (written or ["with A():", *(f"    {line}" for line in body)])


def test_invalid_python_is_reported():
    with pytest.raises(FormattingError, match="ruff could not format the DAGs"):
        formatted({"a.py": "with DAG(:\n"})
