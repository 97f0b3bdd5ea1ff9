"""Precedence constraints: a generated DAG runs the same tasks as SSIS, for any failures."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_lowercase

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Executable, ExecutePackage, Foreach, Outcome
from airflow_smtp_cm.ssis.writing.source_text import arrows
from tests.ssis.building import Converted, arrow, handler, package, project, task, variable
from tests.ssis.simulation import Simulation

SUCCESS, FAILURE, COMPLETION = Outcome
YES, NO = "@[User::Yes]", "!@[User::Yes]"


def container(name, *executables, arrows=(), parent="Package", **given):
    return Executable(
        ref_id=f"{parent}\\{name}",
        name=name,
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        executables=executables,
        constraints=constraints(arrows, f"{parent}\\{name}"),
        **given,
    )


def repeated(one):
    """Return a container as a Foreach Loop container with two items."""
    foreach = Foreach(variables={0: "User::Item"}, rows=(("1",), ("2",)))
    return replace(one, kind=Kind.FOREACH_LOOP, type="STOCK:FOREACHLOOP", foreach=foreach)


def running(one):
    """Return a task as one that runs the package itself, which stands for any package with a DAG."""
    run = ExecutePackage(package_name="Orders.dtsx")
    return replace(one, kind=Kind.EXECUTE_PACKAGE, type="Microsoft.ExecutePackageTask", run=run)


def constraints(arrows, parent="Package"):
    """Return constraints; an arrow is a source, an outcome, a target, and fields that differ from the defaults."""
    return tuple(
        arrow(source, target, parent, outcome=outcome, **dict(*rest)) for source, outcome, target, *rest in arrows
    )


def tasks(names, parent="Package"):
    return [task(name, parent) for name in names]


def flow(*executables, arrows=()):
    """Return a package; it has an event handler with mail, so that it becomes a DAG."""
    return package(
        *executables,
        constraints=constraints(arrows),
        variables=(variable("Yes", "True", DataType.BOOL), variable("Item", "0")),
        event_handlers=(handler("Package", "OnPreExecute", "Begin", disabled=True),),
    )


def leaves(executable):
    """Yield its tasks, without those in disabled containers, whose outcome does not matter."""
    for one in executable.executables:
        if not one.executables:
            yield one
        elif not one.disabled:
            yield from leaves(one)


def check(package, failing, dag, run):
    """Run it, and compare the outcome of each task and of the run with the simulation of SSIS."""
    ssis = Simulation(package, project(package), failing)
    succeeded = ssis.run()
    dag_run = run(dag, [task.task_id for task in dag.tasks if task.task_id.rpartition(".")[2] in failing])

    states = {"success": True, "failed": False, "skipped": None, "upstream_failed": None}
    found = {ti.task_id.rpartition(".")[2]: states[ti.state] for ti in dag_run.get_task_instances()}
    expected = {one.name: ssis.outcomes[one.ref_id] for one in leaves(package.root)}
    assert {name: found[name] for name in expected} == expected
    assert (dag_run.state == "success") is succeeded


OR = {"logical_and": False}
CASES = {
    "a chain": (flow(*tasks("abc"), arrows=[("a", SUCCESS, "b"), ("b", SUCCESS, "c")]), ["", "a", "b"]),
    "after a failure": (flow(*tasks("ab"), arrows=[("a", FAILURE, "b")]), ["", "a"]),
    "after a failure of what may never run": (
        flow(*tasks("abc"), arrows=[("a", SUCCESS, "b"), ("b", FAILURE, "c")]),
        ["", "a", "b"],
    ),
    "after all failures": (flow(*tasks("abc"), arrows=[("a", FAILURE, "c"), ("b", FAILURE, "c")]), ["", "a", "ab"]),
    "after any failure": (
        flow(*tasks("abc"), arrows=[("a", FAILURE, "c", OR), ("b", FAILURE, "c", OR)]),
        ["", "a", "ab"],
    ),
    "after any success": (
        flow(*tasks("abc"), arrows=[("a", SUCCESS, "c", OR), ("b", SUCCESS, "c", OR)]),
        ["", "a", "ab"],
    ),
    "after completion": (flow(*tasks("ab"), arrows=[("a", COMPLETION, "b")]), ["", "a"]),
    "after any completion": (
        flow(*tasks("abc"), arrows=[("a", COMPLETION, "c", OR), ("b", COMPLETION, "c", OR)]),
        ["", "ab"],
    ),
    "after completion of what may never run": (
        flow(*tasks("abc"), arrows=[("a", SUCCESS, "b"), ("b", COMPLETION, "c")]),
        ["", "a", "b"],
    ),
    "after a success and a failure": (
        flow(*tasks("abc"), arrows=[("a", SUCCESS, "c"), ("b", FAILURE, "c")]),
        ["", "a", "b", "ab"],
    ),
    "after a success or a failure": (
        flow(*tasks("abc"), arrows=[("a", SUCCESS, "c", OR), ("b", FAILURE, "c", OR)]),
        ["", "a", "b", "ab"],
    ),
    "after a container whose failure is handled within": (
        flow(
            container("s", *tasks("ab", "Package\\s"), arrows=[("a", FAILURE, "b")]),
            *tasks("cd"),
            arrows=[("s", SUCCESS, "c"), ("s", FAILURE, "d")],
        ),
        ["", "a", "ab"],
    ),
    "after a container that may be over at two ends": (
        flow(
            container("s", *tasks("abc", "Package\\s"), arrows=[("a", SUCCESS, "c", OR), ("b", SUCCESS, "c", OR)]),
            task("d"),
            arrows=[("s", SUCCESS, "d")],
        ),
        ["", "a", "b", "ab"],
    ),
    "after a container that is empty": (flow(container("s"), task("d"), arrows=[("s", SUCCESS, "d")]), ["", "s"]),
    "a container after a failure": (
        flow(
            task("a"),
            container("s", *tasks("bcd", "Package\\s"), arrows=[("b", COMPLETION, "c")]),
            arrows=[("a", FAILURE, "s")],
        ),
        ["", "a", "ab"],
    ),
    "after a loop with two items": (
        flow(
            repeated(container("s", *tasks("ab", "Package\\s"), arrows=[("a", SUCCESS, "b")])),
            *tasks("cd"),
            arrows=[("s", SUCCESS, "c"), ("s", FAILURE, "d")],
        ),
        ["", "a", "b", "ab"],
    ),
    "after another package": (
        flow(running(task("a")), *tasks("bc"), arrows=[("a", SUCCESS, "b"), ("a", FAILURE, "c")]),
        ["", "a"],
    ),
    "if an expression is true": (
        flow(
            *tasks("abc"),
            arrows=[
                ("a", FAILURE, "b", {"operation": EvaluatedOperation.EXPRESSION, "expression": YES}),
                ("a", SUCCESS, "c", {"operation": EvaluatedOperation.EXPRESSION, "expression": NO}),
            ],
        ),
        ["", "a"],
    ),
    "if an expression is true and a constraint holds": (
        flow(
            *tasks("abc"),
            arrows=[
                ("a", FAILURE, "b", {"operation": EvaluatedOperation.EXPRESSION_AND_CONSTRAINT, "expression": YES}),
                ("a", SUCCESS, "c", {"operation": EvaluatedOperation.EXPRESSION_AND_CONSTRAINT, "expression": NO}),
            ],
        ),
        ["", "a"],
    ),
    "if an expression is true or a constraint holds": (
        flow(
            *tasks("abcd"),
            arrows=[
                ("a", FAILURE, "b", {"operation": EvaluatedOperation.EXPRESSION_OR_CONSTRAINT, "expression": NO}),
                ("b", SUCCESS, "c"),
                ("b", SUCCESS, "d", {"operation": EvaluatedOperation.EXPRESSION_OR_CONSTRAINT, "expression": YES}),
            ],
        ),
        ["", "a", "ab"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_dag_runs_the_same_tasks_as_ssis(name, load, run):
    root, failing = CASES[name]
    dag = load(Converted(root).source)
    for names in failing:
        check(root, set(names), dag, run)


@st.composite
def children(draw, parent="Package", depth=1, names=None):
    """Return some executables and the arrows between them."""
    names = names or iter(ascii_lowercase)
    made = []
    for _ in range(draw(st.integers(1, 4))):
        name, disabled = next(names), draw(st.sampled_from([False, False, False, True]))
        if depth and draw(st.booleans()):
            executables, inner = draw(children(f"{parent}\\{name}", depth - 1, names))
            one = container(name, *executables, arrows=inner, parent=parent, disabled=disabled)
            made.append(repeated(one) if draw(st.booleans()) else one)
        else:
            one = task(name, parent, disabled=disabled)
            made.append(running(one) if draw(st.integers(0, 3)) == 0 else one)
    found = []
    for position, target in enumerate(made[1:], start=1):
        every = draw(st.booleans())
        for source in draw(st.lists(st.sampled_from(made[:position]), max_size=2, unique_by=lambda one: one.name)):
            operation = draw(st.sampled_from([EvaluatedOperation.CONSTRAINT] * 3 + list(EvaluatedOperation)))
            given = {"operation": operation, "expression": draw(st.sampled_from([YES, NO])), "logical_and": every}
            found.append((source.name, draw(st.sampled_from(Outcome)), target.name, given))
    return made, found


# Running a DAG is slow, so failing examples are not shrunk.
@settings(
    max_examples=settings().max_examples // 8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=children(), data=st.data())
def test_the_dag_of_any_flow_runs_the_same_tasks_as_ssis(made, data, load, run):
    executables, found = made
    root = flow(*executables, arrows=found)
    dag = load(Converted(root).source)
    names = [one.name for one in leaves(root.root) if not one.disabled]
    check(root, data.draw(st.sets(st.sampled_from(names))) if names else set(), dag, run)


def test_a_condition_without_counterpart_runs_nothing_and_is_reported(load, run):
    root = flow(
        *tasks("ab"),
        arrows=[("a", SUCCESS, "b", {"operation": EvaluatedOperation.EXPRESSION, "expression": "@[User::Rows] > 0"})],
    )
    converted = Converted(root)
    dag_run = run(load(converted.source))

    states = {ti.task_id: ti.state for ti in dag_run.get_task_instances()}
    assert states == {"a": "success", "before_b": "failed", "b": "upstream_failed", "package_failure": "skipped"}
    assert dag_run.state == "failed"
    assert any("There is no @[User::Rows] here" in line for line in converted.findings())


# --- arrows


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1])))
def test_each_arrow_is_written_once(pairs):
    names = [f"t{number}" for number in range(8)]
    written = []

    class Task:
        def __init__(self, name):
            self.name = name

        def __rshift__(self, other):
            written.extend((self.name, one.name) for one in (other if isinstance(other, list) else [other]))
            return other

        def __rrshift__(self, others):
            written.extend((one.name, self.name) for one in others)
            return self

    edges = {(names[source], names[target]) for source, target in pairs}
    for statement in arrows(names, edges):
        eval(statement, {name: Task(name) for name in names})

    assert sorted(written) == sorted(edges)


@pytest.mark.parametrize(
    ("edges", "written"),
    [
        ("ab bc cd", ["a >> b >> c >> d"]),
        ("ac bc", ["[a, b] >> c"]),
        ("ab ac bd cd", ["a >> [b, c] >> d"]),
        ("ac ad bc bd", ["[a, b] >> c", "[a, b] >> d"]),
        ("ab ac bc", ["a >> [b, c]", "b >> c"]),
    ],
)
def test_arrows_are_written_in_readable_form(edges, written):
    assert arrows("abcd", [tuple(edge) for edge in edges.split()]) == written
