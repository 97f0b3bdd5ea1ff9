"""Event handlers with precedence constraints: each mail is sent for the events for which SSIS sends it."""

from __future__ import annotations

from ast import literal_eval
from string import ascii_lowercase

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.expressions import ExpressionError, evaluate, parse, to_jinja
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Executable, Outcome
from airflow_smtp_cm.ssis.writing.findings import Findings
from airflow_smtp_cm.ssis.writing.handler_flow import Condition
from airflow_smtp_cm.ssis.writing.send_mail_task import Mail, Switch
from tests.ssis.building import Converted, arrow, handler, mail, package, project, task, variable
from tests.ssis.expressions import NOW, bind, lookup, render, truths, value_of
from tests.ssis.simulation import Simulation

PLACE = "Package.EventHandlers[OnError]"
OF_A = '@[System::SourceName] == "a"'
YES, NO = "@[User::Yes]", "!@[User::Yes]"


def handled(*executables, arrows=(), **given):
    """Return a package with the tasks a and b, whose handler has these executables and arrows."""
    made = tuple(arrow(source, target, PLACE, **rest) for source, target, rest in arrows)
    return package(
        task("a"),
        task("b"),
        event_handlers=(handler("Package", "OnError", *executables, constraints=made),),
        variables=(variable("Yes", "True", DataType.BOOL),),
        **given,
    )


def if_(expression, **given):
    return {"operation": EvaluatedOperation.EXPRESSION_AND_CONSTRAINT, "expression": expression, **given}


def test_a_condition_is_evaluated_for_each_event(subjects_of):
    root = handled(task("Start", PLACE), "Tell", arrows=[("Start", "Tell", if_(OF_A))])

    assert subjects_of(root, {"a"}) == ["Tell"]
    assert subjects_of(root, {"b"}) == []
    assert "disable=\"{{ not (task.task_display_name == 'a') }}\"" in Converted(root).source


def test_a_mail_after_a_conditional_one_needs_its_condition_too(subjects_of):
    root = handled(
        task("Start", PLACE), "First", "Then", arrows=[("Start", "First", if_(OF_A)), ("First", "Then", {})]
    )

    assert subjects_of(root, {"a"}) == ["First", "Then"]
    assert subjects_of(root, {"b"}) == []


def test_what_runs_before_a_mail_is_reported_and_the_mail_is_sent(subjects_of):
    root = handled(
        task("Find people", PLACE), task("Build text", PLACE), "Tell",
        arrows=[("Find people", "Build text", {}), ("Build text", "Tell", {})],
    )  # fmt: skip

    assert subjects_of(root, {"a"}) == ["Tell"]
    assert (
        f"{PLACE}\\Tell: Before it, the handler runs Find people (Data Flow task), Build text (Data Flow task). A "
        f"callback runs no tasks: if the mail needs their results, write a function that does their work and then "
        f"calls the notifier tell."
    ) in Converted(root).findings()


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"outcome": Outcome.FAILURE}, f"the failure of {PLACE}\\Start"),
        (if_("@[User::Rows] > 0"), "the condition @[User::Rows] > 0"),
        (if_('@[System::TaskName] == "Tell"'), 'the condition @[System::TaskName] == "Tell"'),
    ],
)  # fmt: skip
def test_a_condition_that_a_callback_cannot_evaluate_sends_nothing_and_is_reported(subjects_of, fields, what):
    root = handled(task("Start", PLACE), "Tell", "Tell others", arrows=[("Start", "Tell", fields)])
    converted = Converted(root)

    assert subjects_of(root, {"a"}) == ["Tell others"]
    assert f"To do: write disable ({what})" in converted.source.replace("\\\\", "\\").replace('\\"', '"')
    assert f"{PLACE}\\Tell: Nothing is sent until you write its disable." in converted.findings()


def test_one_of_several_constraints_may_suffice(subjects_of):
    either = {"logical_and": False}
    root = handled(
        task("Start", PLACE), task("Other", PLACE), "Tell",
        arrows=[("Start", "Tell", if_(OF_A, **either)), ("Other", "Tell", if_(NO, **either))],
    )  # fmt: skip

    assert subjects_of(root, {"a"}) == ["Tell"]
    assert subjects_of(root, {"b"}) == []
    assert subjects_of(root, {"b"}, {"Yes": False}) == ["Tell"]


def test_the_disable_of_a_mail_and_its_condition_are_both_kept(subjects_of):
    quiet = mail("Tell", PLACE, expressions={"Disable": NO})
    root = handled(task("Start", PLACE), quiet, arrows=[("Start", "Tell", if_(OF_A))])

    assert subjects_of(root, {"a"}) == ["Tell"]
    assert subjects_of(root, {"b"}) == []
    assert subjects_of(root, {"a"}, {"Yes": False}) == []


def test_conditions_that_would_double_at_each_step_are_work_to_do():
    """400 tasks with two ways to each: the text of the last condition would be astronomic."""
    names = [f"t{number}" for number in range(400)]
    found = [
        (source, target, if_(f"@[User::Yes] == {yes}", logical_and=False))
        for first, second in zip(names[::2], names[2::2], strict=False)
        for source, target, yes in ((first, second, "TRUE"), (f"{first}x", second, "FALSE"))
    ]
    ways = [task(name, PLACE) for name in names[::2]] + [task(f"{name}x", PLACE) for name in names[::2]]
    found += [(source, f"{target}x", fields) for source, target, fields in found]
    root = handled(*ways, "Tell", arrows=[*found, (names[-2], "Tell", {})])

    assert "which are too many for one condition" in Converted(root).source


@given(truths, truths)
def test_conditions_of_any_expressions_have_the_values_of_ssis(left, right):
    try:
        expected = [evaluate(parse(text), lookup, NOW).content for text in (left, right)]
    except ExpressionError:
        assume(False)  # noqa: FBT003 - SSIS fails, the template may succeed
    assume(None not in expected)  # SSIS fails
    both = Condition(tuple(to_jinja(parse(text), bind).as_jinja_expression() for text in (left, right)))
    converted = Mail()
    Switch().only_if(both).apply(converted, Findings())

    assert value_of(both.test) is all(expected)
    assert render(literal_eval(converted.arguments["disable"])) == str(not all(expected))


@st.composite
def parts(draw, parent=PLACE, depth=1, names=None):
    """Return executables of a handler and the arrows between them."""
    names = names or iter(ascii_lowercase)
    made, found = [], []
    for _ in range(draw(st.integers(1, 4))):
        name, disabled = next(names), draw(st.sampled_from([False, False, False, True]))
        if depth and draw(st.integers(0, 3)) == 0:
            inner, arrows = draw(parts(f"{parent}\\{name}", depth - 1, names))
            made.append(
                Executable(
                    ref_id=f"{parent}\\{name}",
                    name=name,
                    kind=Kind.SEQUENCE,
                    type="STOCK:SEQUENCE",
                    disabled=disabled,
                    executables=tuple(inner),
                    constraints=arrows,
                )
            )
        else:
            make = draw(st.sampled_from([mail, mail, task]))
            made.append(make(name, parent, disabled=disabled))
    for position, target in enumerate(made[1:], start=1):
        every = draw(st.booleans())
        for source in draw(st.lists(st.sampled_from(made[:position]), max_size=2, unique_by=lambda one: one.name)):
            operation = draw(st.sampled_from([EvaluatedOperation.CONSTRAINT, *EvaluatedOperation]))
            outcome = draw(st.sampled_from([Outcome.SUCCESS, Outcome.COMPLETION]))
            expression = draw(st.sampled_from([YES, NO, OF_A, f"{OF_A} || {NO}", f"({OF_A}) ? {NO} : {YES}"]))
            found.append(
                arrow(
                    source.name, target.name, parent,
                    operation=operation, outcome=outcome, expression=expression, logical_and=every,
                )
            )  # fmt: skip
    return made, tuple(found)


@settings(
    max_examples=settings().max_examples // 8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=parts(), failing=st.sets(st.sampled_from("ab"), min_size=1), yes=st.booleans())
@example(made=([task("a", PLACE, disabled=True)], ()), failing={"a", "b"}, yes=False)
def test_any_handler_sends_the_same_mails_as_ssis(made, failing, yes, subjects_of):
    executables, found = made
    of_package = handler("Package", "OnError", *executables, constraints=found)
    # With a mail of its own, it becomes a DAG even if the handler has none.
    root = package(
        task("a"), task("b"), mail("Done"),
        event_handlers=(of_package,), variables=(variable("Yes", str(yes), DataType.BOOL),),
    )  # fmt: skip
    ssis = Simulation(root, project(root), failing)
    ssis.run()

    assert subjects_of(root, failing) == sorted(sent.subject for sent in ssis.sent)
