"""SSIS's expressions ("Integration Services (SSIS) Expressions"): parser, evaluator, and translator to Jinja."""

from __future__ import annotations

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions.bindings import Binding, Constant, Inline, Jinja, Template
from airflow_smtp_cm.ssis.expressions.errors import ExpressionError, Untranslatable
from airflow_smtp_cm.ssis.expressions.evaluator import evaluate
from airflow_smtp_cm.ssis.expressions.line_ends import with_newlines
from airflow_smtp_cm.ssis.expressions.parser import parse
from airflow_smtp_cm.ssis.expressions.syntax import Expression, VariableName
from airflow_smtp_cm.ssis.expressions.translator import as_template, to_jinja

__all__ = [
    "Binding",
    "Constant",
    "DataType",
    "Expression",
    "ExpressionError",
    "Inline",
    "Jinja",
    "Template",
    "Untranslatable",
    "Value",
    "VariableName",
    "as_template",
    "evaluate",
    "parse",
    "to_jinja",
    "with_newlines",
]
