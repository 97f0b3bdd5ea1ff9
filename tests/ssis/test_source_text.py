"""Literals and imports of generated Python: the same value, in readable form."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.ssis.writing.source_text import FormattingError, exact, formatted, text


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


def test_imports_are_in_order_wherever_the_command_runs(tmp_path, monkeypatch):
    """Even if the folder contains one with the name of a package."""
    (tmp_path / "airflow_smtp_cm").mkdir()
    monkeypatch.chdir(tmp_path)
    source = "from airflow_smtp_cm.macros import ssis\nfrom airflow.sdk import DAG\n\nDAG('a' , functions)\n"

    assert formatted({"a.py": source}) == {
        "a.py": 'from airflow.sdk import DAG\nfrom airflow_smtp_cm.macros import ssis\n\nDAG("a", functions)\n'
    }


def test_invalid_python_is_reported():
    with pytest.raises(FormattingError, match="ruff could not format the DAGs"):
        formatted({"a.py": "with DAG(:\n"})
