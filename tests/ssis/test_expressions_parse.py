"""Parsing of expressions: operators and their precedence, literals, names, and invalid texts."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions import ExpressionError, VariableName, parse
from airflow_smtp_cm.ssis.expressions.parser import MAX_CHARACTERS
from airflow_smtp_cm.ssis.expressions.syntax import Binary, Call, Cast, Conditional, Literal, Unary, Variable


def written(node):  # noqa: PLR0911 - one return for each kind of node
    """Write a tree with all parentheses."""
    match node:
        case Literal(value):
            return str(value.content)
        case Variable(name):
            return str(name)
        case Cast(data_type, arguments, operand):
            return f"[{','.join([data_type.value, *map(str, arguments)])} {written(operand)}]"
        case Unary(operator, operand):
            return f"({operator}{written(operand)})"
        case Binary(operator, left, right):
            return f"({written(left)} {operator} {written(right)})"
        case Conditional(condition, yes, no):
            return f"({written(condition)} ? {written(yes)} : {written(no)})"
        case Call(function, arguments):
            return f"{function}({', '.join(map(written, arguments))})"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("5 + 5 * 4 + 6", "((5 + (5 * 4)) + 6)"),
        ("(5 + 5) * (4 + 6)", "((5 + 5) * (4 + 6))"),
        ("8 - 4 - 2 % 3", "((8 - 4) - (2 % 3))"),
        ("1 || 2 && 3 | 4 ^ 5 & 6 == 7 < 8 + 9", "(1 || (2 && (3 | (4 ^ (5 & (6 == (7 < (8 + 9))))))))"),
        ("1 < 2 == 3 >= 4 != 5", "(((1 < 2) == (3 >= 4)) != 5)"),
        ("1 ? 2 : 3 ? 4 : 5", "(1 ? 2 : (3 ? 4 : 5))"),
        ("1 ? 2 ? 3 : 4 : 5", "(1 ? (2 ? 3 : 4) : 5)"),
        ("- - 1 + !~2", "((-(-1)) + (!(~2)))"),
        ("(DT_I4)-1 * 2", "([DT_I4 (-1)] * 2)"),
        ("-(DT_I4)1", "(-[DT_I4 1])"),
        ("(DT_STR,50,1252)(dt_dbdate)GETDATE()", "[DT_STR,50,1252 [DT_DBDATE GETDATE()]]"),
        ("( DT_NUMERIC , 10 , 2 ) 1", "[DT_NUMERIC,10,2 1]"),
        ("(DT_DBTIMESTAMPOFFSET,7) (DT_DBTIME2,5) 1", "[DT_DBTIMESTAMPOFFSET,7 [DT_DBTIME2,5 1]]"),
        ("Substring ( @A , 1 , 2 )", "SUBSTRING(@[A], 1, 2)"),
        ("[GETDATE]()", "GETDATE()"),
        ("1\r\n\t+\n2", "(1 + 2)"),
    ],
)
def test_operators_have_the_precedence_of_the_reference(text, tree):
    assert written(parse(text).root) == tree


@pytest.mark.parametrize(
    ("text", "content", "data_type"),
    [
        ("457", 457, DataType.I4),
        ("785u", 785, DataType.UI4),
        ("986L", 986, DataType.I8),
        ("7945ul", 7945, DataType.UI8),
        ("18446744073709551615LU", 18446744073709551615, DataType.UI8),
        ("0xFF0A", 0xFF0A, DataType.I4),
        ("0X000010000U", 0x10000, DataType.UI4),
        ("4E8l", 4e8, DataType.R8),
        ("13e-2f", 0.12999999523162842, DataType.R4),
        ("5E+2", 500.0, DataType.R8),
        ("6.45E3f", 6450.0, DataType.R4),
        (".89E-2l", 0.0089, DataType.R8),
        ("1.5L", 1.5, DataType.R8),
        (".9", Decimal(".9"), DataType.NUMERIC),
        ("5.80", Decimal("5.80"), DataType.NUMERIC),
        ("6.", Decimal(6), DataType.NUMERIC),
        ("TRUE", True, DataType.BOOL),
        ("false", False, DataType.BOOL),
        ('"a"', "a", DataType.WSTR),
        ('""', "", DataType.WSTR),
        (r'"\a\b\f\n\r\t\v\"\\"', '\a\b\f\n\r\t\v"\\', DataType.WSTR),
        (r'"\x0041\xd83d\xDE00"', "A\U0001f600", DataType.WSTR),
        (r'"C:\\"', "C:\\", DataType.WSTR),
        ('"two\nlines"', "two\nlines", DataType.WSTR),
        ('"it\'s"', "it's", DataType.WSTR),
        ("NULL(DT_WSTR,10)", None, DataType.WSTR),
        ("null(DT_BOOL)", None, DataType.BOOL),
    ],
)
def test_literals(text, content, data_type):
    value = parse(text).root.value
    assert (value.content, value.data_type) == (content, data_type)
    assert type(value.content) is type(content)


@pytest.mark.parametrize(
    ("text", "namespace", "name"),
    [
        ("@[User::My Name]", "User", "My Name"),
        ("@[$Project::Mail_To]", "$Project", "Mail_To"),
        ("@[$Package::P]", "$Package", "P"),
        ("@[ZipCode+4]", None, "ZipCode+4"),
        ("@Counter", None, "Counter"),
        ("@_a@b$c#1", None, "_a@b$c#1"),
        ("@Größe", None, "Größe"),
    ],
)
def test_variables_and_parameters(text, namespace, name):
    assert parse(text).variables == (VariableName(namespace, name),)


def test_variables_are_listed_once_in_the_order_of_the_text():
    assert [name.name for name in parse("@B + (@A > 1 ? F(@C, @B) : -@A)").variables] == ["B", "A", "C"]


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "empty"),
        (" \n", 2, "empty"),
        ("1 +", 3, "ends before it is complete"),
        ("((1)", 4, "ends before it is complete"),
        ("1 ? 2", 5, "ends before it is complete"),
        ("1)", 1, r"'\)' is not expected here"),
        ('"a', 0, "string has no closing quotation mark"),
        (r'"a\"', 0, "string has no closing quotation mark"),
        ('"a" "b"', 4, "string is where an operator is expected"),
        ("'a'", 0, "double quotation marks"),
        ("1 = 2", 2, "written =="),
        ("@[User::A", 0, "bracket is not closed"),
        ("1 + @[User::]", 4, "no name"),
        ("1 + Column", 4, "column of a data flow"),
        ("#147", 0, "column of a data flow"),
        ('"C:\\dir"', 0, r"\\d"),
        (r'"\x12"', 0, r"\\x"),
        (r'"\x0000"', 0, "U\\+0000"),
        (r'"\xD800"', 0, "lone surrogate"),
        ("3000000000", 0, "does not fit into DT_I4; a suffix L"),
        ("1e999", 0, "does not fit into DT_R8"),
        ("1LL", 0, "whole number ends in"),
        ("1.5u", 0, "cannot end in u"),
        ("(DT_FOO)1", 1, "not a data type"),
        ("(DT_WSTR)1", 1, r"written \(DT_WSTR, length\)"),
        ("(DT_STR,10)1", 1, r"written \(DT_STR, length, code page\)"),
        ("(DT_I4,1)1", 1, r"written \(DT_I4\)"),
        ("(DT_DBTIME2,8)1", 12, "scale is 8; it must be a number from 0 to 7"),
        ("(DT_WSTR,-1)1", 9, "is not expected here"),
        ("FOO(DT_I4)", 0, "not an argument of FOO"),
        ("\0", 0, "is not expected here"),
    ],
)
def test_an_invalid_expression_is_rejected_with_place_and_reason(text, position, reason):
    with pytest.raises(ExpressionError, match=reason) as caught:
        parse(text)
    assert (caught.value.text, caught.value.position) == (text, position)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 40_000 + "1" + ")" * 40_000 + "+",
        "-" * 90_000 + "1",
        "(DT_I4)" * 10_000 + "1",
        "1?1:" * 20_000 + "1",
        "ABS(" * 20_000 + "1" + ")" * 20_000,
        "1" * (MAX_CHARACTERS + 1),
        "1" * MAX_CHARACTERS,
        "." + "0" * (MAX_CHARACTERS - 2) + "1",
        "a" * MAX_CHARACTERS,
        "@[User::" + "a" * 90_000,
        '"' + "a" * 10_000_000 + '"',
    ],
)
def test_hostile_expressions_are_rejected(text):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert len(str(caught.value)) < 1000


@given(st.text('()[]"\\@:?+-*/<>=!&|~^%,.#0123456789eExXlLuUfF abcDT_I4\n\0é', max_size=40))
def test_any_text_is_an_expression_or_an_error_with_a_place(text):
    position = 0
    try:
        parse(text)
    except ExpressionError as error:
        position = error.position
    assert 0 <= position <= len(text)


def test_an_error_shows_the_place_and_what_to_do():
    with pytest.raises(ExpressionError) as caught:
        parse('"a" = "b"')
    assert str(caught.value) == 'Equality is written == (at character 5 of the expression "a" = "b")'


def test_functions_without_the_parser_need_neither_lark_nor_airflow():
    code = "import sys; from airflow_smtp_cm.macros import ssis; print({'lark', 'airflow'} & sys.modules.keys())"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


def test_the_grammar_is_loaded_at_the_first_parse():
    code = "import sys; import airflow_smtp_cm.ssis.expressions; print('lark' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_null_of_a_type_with_a_fraction_keeps_its_scale():
    assert parse("NULL(DT_DBTIME2,3)").root.value == Value(None, DataType.DBTIME2, 3)
