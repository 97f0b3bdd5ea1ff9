"""Translation to Jinja: Airflow renders a translated expression to the value that SSIS computes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions import (
    Constant,
    ExpressionError,
    Inline,
    Jinja,
    Untranslatable,
    as_template,
    evaluate,
    parse,
    to_jinja,
)
from airflow_smtp_cm.ssis.expressions.casts import as_text
from airflow_smtp_cm.ssis.expressions.typed import Constant as TypedConstant

from .expressions import NOW, bind, expressions, lookup, quoted, render, strings, texts, value_of


def with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_of(value: Value) -> str:
    written = as_text(TypedConstant(value.content, value.data_type, 0, value.scale))
    assert isinstance(written, TypedConstant)
    return "" if written.content is None else str(written.content)


@settings(max_examples=2 * settings().max_examples, suppress_health_check=[HealthCheck.filter_too_much])
@given(expressions)
@example("-(ABS(@[User::Minus]))")
@example("TRUE == @[User::True] ? ISNULL(@[User::Null]) : @[User::False]")
@example('SUBSTRING(@[User::Null],0,FINDSTRING("","",0))')
@example("(@[User::False] ? GETDATE() : (DT_DBTIMESTAMP2,3)(GETDATE()))")
@example('@[User::True] || FINDSTRING("", NULL(DT_WSTR,1), 0) == FINDSTRING("", "", 0)')
@example("NULL(DT_BOOL) || (@[User::NullBool] && @[User::True]) || @[User::False]")
@example("(DT_WSTR,1)@[User::Int] + LEFT((DT_WSTR,1)@[User::Int],1)")
def test_a_template_renders_to_the_evaluated_value(text):
    expression = parse(text)
    try:
        expected = evaluate(expression, lookup, NOW)
    except ExpressionError:
        assume(False)  # noqa: FBT003 - SSIS fails, the template may succeed
    template = to_jinja(expression, bind)
    assert template.data_type is expected.data_type
    assert with_newlines(render(template.text)) == with_newlines(text_of(expected)), template.text
    assert value_of(template.as_jinja_expression()) == expected.content
    assert template.uses_functions == ("ssis." in template.text + template.as_jinja_expression())


@settings(max_examples=settings().max_examples // 2)
@given(texts, texts)
@example('@[User::Text] + "\n"', '""')
def test_inlined_and_constant_variables_render_the_same(left, right):
    names = {"Left": parse(left), "Right": parse(right)}
    expression = parse("@Left + @Right")
    try:
        values = {name: evaluate(inner, lookup, NOW) for name, inner in names.items()}
        expected = text_of(evaluate(expression, lambda name: values[name.name], NOW))
    except ExpressionError:
        assume(False)  # noqa: FBT003 - SSIS fails, the template may succeed

    def inlined(name):
        return Inline(names[name.name]) if name.name in names else bind(name)

    for resolve in (inlined, lambda name: Constant(values[name.name])):
        assert with_newlines(render(to_jinja(expression, resolve).text)) == with_newlines(expected)


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ('"Load of " + @[User::What] + " failed"', "Load of {{ params.What }} failed"),
        ("@[User::What]", "{{ params.What }}"),
        ('"plain"', "plain"),
        ('"a" + "b" + (DT_WSTR,3)12', "ab12"),
        ("(DT_WSTR,12)@[User::Count]", "{{ params.Count }}"),
        ('"Rows: " + (DT_WSTR,10)(@Count + 1)', "Rows: {{ params.Count + 1 }}"),
        ("(DT_STR,50,1252)GETDATE()", "{{ ssis.timestamp_text(ssis.getdate()) }}"),
        ("(DT_STR,10,1252)(DT_DBDATE)GETDATE()", "{{ ssis.getdate().date() }}"),
        ("(DT_STR,25,1252)(DT_DATE)GETDATE()", "{{ ssis.date_text(ssis.getdate()) }}"),
        (
            '(DT_WSTR,4)YEAR(GETDATE()) + "-" + RIGHT("0" + (DT_WSTR,2)MONTH(GETDATE()), 2)',
            "{{ ssis.getdate().year }}-{{ ('0' ~ ssis.getdate().month)[-2:] }}",
        ),
        ('@Count == 0 ? "none" : "some"', "{{ 'none' if params.Count == 0 else 'some' }}"),
        ("@Flag && @Count > 3 || !@Flag", "{{ params.Flag and params.Count > 3 or not params.Flag }}"),
        ("SUBSTRING(@What, 1, 4000)", "{{ params.What[:4000] }}"),
        ("SUBSTRING(@What, 3, 2)", "{{ params.What[2:4] }}"),
        ("UPPER(TRIM(@What))", "{{ params.What|trim(' ')|upper }}"),
        ('REPLACE(@What, "a", "b")', "{{ params.What|replace('a', 'b') }}"),
        ('FINDSTRING(@What, "a", 1) > 0', "{{ params.What.find('a') + 1 > 0 }}"),
        ("LEN(RTRIM(@What))", "{{ params.What.rstrip(' ')|length }}"),
        ("@Count / 2", "{{ ssis.divide(params.Count, 2) }}"),
        ("-(@Count + 1) * 2", "{{ -(params.Count + 1) * 2 }}"),
        ("(@Count == 1) == (@Count == 2)", "{{ (params.Count == 1) == (params.Count == 2) }}"),
        ('ISNULL(@Maybe) ? "-" : @What', "{{ '-' if params.Maybe is none else params.What }}"),
        ('"a" + @Maybe', "{{ ssis.concatenate('a', params.Maybe) or '' }}"),
        ("YEAR(@Day)", "{{ ssis.dt_date(params.Day).year }}"),
        ("NULL(DT_WSTR, 10)", ""),
        ('"Rows:\\n" + (DT_WSTR,12)@Count + "\\n"', "Rows:\n{{ params.Count }}{{ '\\n' }}"),
        ('"Rows:\\n" + "" + (DT_WSTR,12)@Count + "\\n" + ""', "Rows:\n{{ params.Count }}{{ '\\n' }}"),
        ('@What + "{" + "{"', "{{ params.What }}{{ '{{' }}"),
        ('"{" + @What + "}"', "{{ '{' }}{{ params.What }}}"),
        ('"{{ x }} {% y %} {# z #} {"', "{{ '{{' }} x }} {{ '{%' }} y %} {{ '{#' }} z #} {"),
        ('"it\'s \\\\ \\"x\\""', 'it\'s \\ "x"'),
    ],
)
def test_a_template_is_readable(text, template):
    kinds = {"Count": DataType.I4, "Flag": DataType.BOOL, "Day": DataType.DATE}

    def bind(name):
        kind = kinds.get(name.name, DataType.WSTR)
        return Jinja(f"params.{name.name}", kind, nullable=name.name == "Maybe", iso_text=kind is DataType.DATE)

    assert to_jinja(parse(text), bind).text == template


@given(strings | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(quoted))
@example('"{{"')
@example('""')
@example('"\n"')
@example('"line\n"')
@example('"line\n\n"')
@example('"line\\r\n"')
@example('"line\\r"')
@example('"{{ x }}\n"')
@example('"C:\\\\report.sql"')
@example('"{\n"')
@example('"\\r\\n{\\r{% raw %}"')
def test_literal_text_renders_unchanged_with_newlines_as_line_ends(text):
    expression = parse(text)
    content = expression.root.value.content
    template = to_jinja(expression, bind).text
    assert render(template) == render(as_template(content)) == with_newlines(content)
    assert "\r" not in template


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ('"One\\r\\nTwo\\r\\n"', "One\nTwo{{ '\\n' }}"),
        ('"One\\r\\n" + @[User::What] + "\\r\\nTwo"', "One\n{{ params.What }}\nTwo"),
        ('"One\\r" + "\\nTwo\\rThree"', "One\nTwo\nThree"),
        ('@[User::Flag] ? "One\\r\\n" : "Two\\r\\n"', "{{ 'One\\n' if params.Flag else 'Two\\n' }}"),
        # A function that computes with a text gets it unchanged.
        ('REPLACE(@[User::What], "\\r\\n", ", ")', "{{ params.What|replace('\\r\\n', ', ') }}"),
        ('LEN("One\\r\\n" + @[User::What])', "{{ ('One\\r\\n' ~ params.What)|length }}"),
        ('@[User::What] == "\\r\\n" ? "a\\r\\n" : ""', "{{ 'a\\n' if params.What == '\\r\\n' else '' }}"),
        # The first half of a line end, perhaps.
        ('"One\\r" + @[User::What]', "One{{ '\\r' }}{{ params.What }}"),
    ],
)
def test_line_ends_of_the_result_are_newlines(text, template):
    def bind(name):
        return Jinja(f"params.{name.name}", DataType.BOOL if name.name == "Flag" else DataType.WSTR)

    assert to_jinja(parse(text), bind).text == template


def test_the_variables_whose_text_is_computed_with_are_known():
    def bind(name):
        return Jinja(f"params.{name.name}", DataType.WSTR)

    text = '@A + (@B == "x" ? @C : REPLACE(@D, "a", @E)) + (DT_WSTR, 4)LEN(TRIM(@F))'
    assert to_jinja(parse(text), bind).computed == {f"params.{name}" for name in "BDEF"}


@pytest.mark.parametrize(
    "nothing",
    [
        '""',
        '"" + ""',
        'TRIM(" ")',
        "@[User::Empty]",
        "@[User::Null]",
        'REPLACENULL(@[User::Null], "")',
        "NULL(DT_WSTR, 10)",
        '@[User::Empty] + "" + @[User::Empty]',
        'SUBSTRING(@[User::Text], 1, 0) + ""',
        '(@[User::False] ? "x" : "")',
        '(@[User::True] ? @[User::Empty] : "x") + ""',
        "(@[User::False] ? @[User::Text] : @[User::Null])",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "{\n", "{{\r\n"])
@pytest.mark.parametrize("start", ['""', "@[User::Text]"])
def test_the_end_of_a_text_is_kept_after_an_empty_value(start, end, nothing):
    """Jinja drops the newline at the end of a template."""
    expression = parse(f"{start} + {quoted(end)} + {nothing}")
    rendered = render(to_jinja(expression, bind).text)
    assert with_newlines(rendered) == with_newlines(text_of(evaluate(expression, lookup, NOW)))


def test_a_condition_is_a_value_without_braces():
    template = to_jinja(parse("@Int > 3"), bind)
    assert template.as_jinja_expression() == "params.Int > 3"
    assert value_of(template.as_jinja_expression()) is True


def test_a_name_without_binding_is_reported_with_its_place():
    def unknown(name):
        raise Untranslatable(str(name), 0, f"Nothing is known of {name}")

    with pytest.raises(Untranslatable) as caught:
        to_jinja(parse('"a" + @[User::Secret]'), unknown)
    assert (caught.value.text, caught.value.position) == ('"a" + @[User::Secret]', 6)
    assert caught.value.reason == "Nothing is known of @[User::Secret]"


def test_a_problem_within_an_inlined_variable_names_both():
    with pytest.raises(ExpressionError, match=r'@\[A\]: \+ does not apply.* \(in its own expression 1 \+ "a"\)'):
        to_jinja(parse("@A"), lambda _: Inline(parse('1 + "a"')))


def test_a_variable_that_refers_to_itself_is_rejected():
    expressions = {"A": "@B", "B": "@A"}
    with pytest.raises(Untranslatable, match="refers to itself"):
        to_jinja(parse("@A"), lambda name: Inline(parse(expressions[name.name])))


@pytest.mark.parametrize("form", ["@V{0} + @V{0}", '@V{0} == @V{0} ? @V{0} : "x"', "UPPER(@V{0}) + LOWER(@V{0})"])
def test_variables_that_double_each_other_are_rejected(form):
    def double(name):
        number = int(name.name[1:])
        return Inline(parse(form.format(number + 1))) if number < 60 else Jinja("params.V", DataType.WSTR)

    with pytest.raises((Untranslatable, ExpressionError), match=r"characters|texts are joined"):
        to_jinja(parse("@V0"), double)


def test_variables_that_are_nested_too_deeply_are_rejected():
    def deep(name):
        return Inline(parse("-" * 60 + f"@V{int(name.name[1:]) + 1}"))

    with pytest.raises(Untranslatable, match="nested too deeply"):
        to_jinja(parse("@V0"), deep)


def test_a_long_sum_of_numbers_is_rejected():
    with pytest.raises(ExpressionError, match="More than 128 operators"):
        to_jinja(parse("+".join(["@[User::Int]"] * 1000)), bind)


def test_notes_of_bindings_are_passed_on():
    template = to_jinja(parse("@[System::X]"), lambda _: Jinja("x", DataType.WSTR, note="differs"))
    assert template.notes == {"@[System::X]": "differs"}


def test_a_binding_in_parentheses_keeps_them_only_where_needed():
    def bind(_):
        return Jinja("(a or b)", DataType.WSTR)

    assert to_jinja(parse("@X"), bind).text == "{{ a or b }}"
    assert to_jinja(parse("LEFT(@X, 2)"), bind).text == "{{ (a or b)[:2] }}"
