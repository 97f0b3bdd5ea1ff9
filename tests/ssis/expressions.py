"""Random SSIS expressions with variables, and Airflow's rendering of their translation."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG
from hypothesis import strategies as st

from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.ssis.expressions import Jinja, VariableName

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

NOW = datetime.fromisoformat("2020-07-13T14:31:29.566")
NOW_UTC = NOW.astimezone().astimezone(tz=UTC).replace(tzinfo=None)

VARIABLES = {
    "Text": Value("Übung {{ 1 }} ", DataType.WSTR),
    "Empty": Value("", DataType.WSTR),
    "Digits": Value("42", DataType.WSTR),
    "Lines": Value("a\r\nb\n", DataType.WSTR),
    "Null": Value(None, DataType.WSTR),
    "Int": Value(7, DataType.I4),
    "Minus": Value(-3, DataType.I4),
    "Short": Value(300, DataType.I2),
    "Byte": Value(200, DataType.UI1),
    "NullInt": Value(None, DataType.I4),
    "Real": Value(2.5, DataType.R8),
    "Exact": Value(Decimal("12.25"), DataType.NUMERIC),
    "Money": Value(Decimal("9.9900"), DataType.CY),
    "True": Value(True, DataType.BOOL),  # noqa: FBT003 - it is a value
    "False": Value(False, DataType.BOOL),  # noqa: FBT003 - it is a value
    "NullBool": Value(None, DataType.BOOL),
    "Date": Value(datetime.fromisoformat("2024-02-29T23:05:09"), DataType.DATE),
    "Midnight": Value(datetime.fromisoformat("2023-12-31"), DataType.DATE),
}
_BY_KIND = {
    "text": ("Text", "Empty", "Digits", "Lines", "Null"),
    "whole": ("Int", "Minus", "Short", "Byte", "NullInt"),
    "number": ("Real", "Exact", "Money"),
    "truth": ("True", "False", "NullBool"),
    "moment": ("Date", "Midnight"),
}


def lookup(name: VariableName) -> Value:
    return VARIABLES[name.name]


def bind(name: VariableName) -> Jinja:
    value = VARIABLES[name.name]
    return Jinja(
        f"params.{name.name}",
        value.data_type,
        nullable=value.content is None,
        iso_text=isinstance(value.content, date),
    )


def _as_json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


CONTEXT = {"params": json.loads(json.dumps({name: _as_json(value.content) for name, value in VARIABLES.items()}))}
_SSIS = SimpleNamespace(
    **{name: getattr(ssis, name) for name in ssis.__all__} | {"getdate": lambda: NOW, "getutcdate": lambda: NOW_UTC}
)
_TASK = SendMailOperator(task_id="send", dag=DAG("mail", schedule=None, user_defined_macros={"ssis": _SSIS}))
ENVIRONMENT = _TASK.get_template_env()


def render(template: str) -> Any:
    """Render a field of a task, like Airflow before it runs the task."""
    return _TASK.render_template(template, CONTEXT, ENVIRONMENT)


def value_of(jinja_expression: str) -> Any:
    return ENVIRONMENT.compile_expression(jinja_expression, undefined_to_none=False)(CONTEXT)


def quoted(text: str) -> str:
    """Return a string as a literal of SSIS."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r")
    return f'"{escaped}"'


def _formed(form: str, *parts: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.tuples(*parts).map(lambda written: form.format(*written))


def _mostly(leaves: SearchStrategy[str], *compound: SearchStrategy[str]) -> SearchStrategy[str]:
    """Choose a leaf in two of three cases, so that the expression ends."""
    return st.sampled_from([leaves, leaves, st.one_of(compound)]).flatmap(lambda chosen: chosen)


def _variables(kind: str) -> SearchStrategy[str]:
    return st.sampled_from(_BY_KIND[kind]).map(lambda name: f"@[User::{name}]")


_PIECES = st.sampled_from(
    ["{{", "}}", "{%", "{#", "{", "'", '"', "\\", "\n", "\r", "\t", " ", "é", "x", "\U0001f600"]
)
strings = st.one_of(st.lists(_PIECES, max_size=5).map("".join), st.text("ab ;", max_size=6)).map(quoted)
_COUNTS = st.integers(0, 6).map(str)
_PARTS = st.sampled_from(["yy", "q", "Month", "dy", "Day", "wk", "dw", "hh", "mi", "ss", "ms"]).map(quoted)

texts: SearchStrategy[str] = st.deferred(
    lambda: _mostly(
        strings | _variables("text"),
        _formed("{} + {}", texts, texts),
        _formed("({} + {} + {})", texts, texts, texts),
        _formed("({} ? {} : {})", truths, texts, texts),
        _formed("(DT_WSTR,{}){}", st.sampled_from(["3", "12", "50"]), st.one_of(_casted, _casted, _literals)),
        _formed("(DT_STR,30,1252)({})", st.one_of(texts, _casted)),
        _formed("SUBSTRING({},{},{})", texts, wholes_or_counts, wholes_or_counts),
        _formed("{}({},{})", st.sampled_from(["LEFT", "RIGHT", "REPLICATE"]), texts, wholes_or_counts),
        _formed("{}({})", st.sampled_from(["UPPER", "lower", "TRIM", "LTRIM", "RTRIM", "REVERSE"]), texts),
        _formed("REPLACE({},{},{})", texts, texts, texts),
        _formed("TOKEN({},{},{})", texts, texts, wholes_or_counts),
        _formed("HEX({})", wholes),
        _formed("REPLACENULL({},{})", texts, texts),
        st.just("NULL(DT_WSTR,10)"),
    )
)
wholes: SearchStrategy[str] = st.deferred(
    lambda: _mostly(
        st.integers(0, 99).map(str) | st.sampled_from(["0x1F", "5L", "7U", "2147483647"]) | _variables("whole"),
        _formed("({} {} {})", wholes, st.sampled_from("+-*/%&|^"), wholes),
        _formed("{}({})", st.sampled_from("-~"), wholes),
        _formed("LEN({})", texts),
        _formed("{}({})", st.sampled_from(["YEAR", "MONTH", "DAY"]), moments),
        _formed("DATEPART({},{})", _PARTS, moments),
        _formed("DATEDIFF({},{},{})", _PARTS, moments, moments),
        _formed("FINDSTRING({},{},{})", texts, texts, _COUNTS),
        _formed("TOKENCOUNT({},{})", texts, texts),
        _formed("CODEPOINT({})", texts),
        _formed("SIGN({})", numbers),
        _formed("ABS({})", wholes),
        _formed(
            "({})({})", st.sampled_from(["DT_I4", "DT_I8", "DT_UI1", "DT_I2"]), st.one_of(numbers, truths, texts)
        ),
        _formed("({} ? {} : {})", truths, wholes, wholes),
    )
)
wholes_or_counts = st.one_of(_COUNTS, _COUNTS, wholes)
numbers: SearchStrategy[str] = st.deferred(
    lambda: _mostly(
        st.sampled_from(["1.5", ".25", "2.", "3E2", "1.5f", "0.10", "1E-3L", "7"]) | _variables("number"),
        wholes,
        _formed("({} {} {})", numbers, st.sampled_from("+-*/"), numbers),
        _formed("-({})", numbers),
        _formed("ROUND({},{})", numbers, _COUNTS),
        _formed("{}({})", st.sampled_from(["ABS", "CEILING", "FLOOR", "SQUARE", "SQRT", "LN", "LOG"]), numbers),
        _formed("POWER({},{})", numbers, _COUNTS),
        _formed("({})({})", st.sampled_from(["DT_R8", "DT_R4", "DT_NUMERIC,10,2", "DT_DECIMAL,1", "DT_CY"]), numbers),
        _formed("({} ? {} : {})", truths, numbers, numbers),
    )
)
truths: SearchStrategy[str] = st.deferred(
    lambda: _mostly(
        st.sampled_from(["TRUE", "false"]) | _variables("truth"),
        _formed("({} {} {})", truths, st.sampled_from(["&&", "||", "==", "!="]), truths),
        _formed("!({})", truths),
        _formed("({} {} {})", numbers, _COMPARISONS, numbers),
        _formed("({} {} {})", texts, st.sampled_from(["==", "!="]), texts),
        _formed("({} {} {})", moments, _COMPARISONS, moments),
        _formed("ISNULL({})", st.one_of(texts, wholes, truths)),
        _formed("(DT_BOOL)({})", numbers),
    )
)
moments: SearchStrategy[str] = st.deferred(
    lambda: _mostly(
        st.sampled_from(
            ["GETDATE()", "GETUTCDATE()", '(DT_DBTIMESTAMP)"8/1/2003 1:02:03 PM"', '(DT_DBDATE)"1999-10-11"']
        )
        | _variables("moment"),
        _formed("DATEADD({},{},{})", _PARTS, wholes, moments),
        _formed(
            "({})({})",
            st.sampled_from(
                [
                    "DT_DATE",
                    "DT_DBDATE",
                    "DT_DBTIMESTAMP",
                    "DT_DBTIMESTAMP2,3",
                    "DT_DBTIMESTAMPOFFSET,2",
                    "DT_FILETIME",
                ]
            ),
            moments,
        ),
        _formed("({} ? {} : {})", truths, moments, moments),
    )
)
_times = _formed("({})({})", st.sampled_from(["DT_DBTIME", "DT_DBTIME2,2"]), moments)
_COMPARISONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_casted = _formed("({})", st.one_of(wholes, numbers, truths, moments, _times))
_literals = st.sampled_from(["5", "TRUE", "1.50", "2.5E0"])

expressions = st.one_of(
    texts,
    wholes,
    numbers,
    truths,
    moments,
    _times,
    _formed("{} + {} + (DT_WSTR,40){}", texts, texts, _casted),
    _formed("{} ? {} + (DT_WSTR,9){} : {}", truths, texts, _casted, texts),
    _formed("SUBSTRING({} + REPLACE({},{},{}),{},{})", texts, texts, texts, texts, wholes, wholes),
)
