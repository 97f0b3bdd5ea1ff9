"""Precedence constraints: a generated DAG runs what SSIS would have run, whatever fails."""

from __future__ import annotations

from pathlib import PurePath
from string import ascii_lowercase

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.ssis.dag_file import dag_source
from airflow_smtp_cm.ssis.lines import Lines
from airflow_smtp_cm.ssis.mails import Managers
from airflow_smtp_cm.ssis.model import Executable, Kind, Outcome, Package, PrecedenceConstraint, Project
from airflow_smtp_cm.ssis.scope import Params
from airflow_smtp_cm.ssis.source_text import formatted

SUCCESS, FAILURE, COMPLETION = Outcome


def container(name, executables, arrows=(), parent="Package"):
    """Return a container; arrows are tuples of source, outcome, target and whether all must hold, by name."""
    ref_id = f"{parent}\\{name}" if name else parent
    return Executable(
        ref_id=ref_id,
        name=name or "Package",
        kind=Kind.SEQUENCE if name else Kind.PACKAGE,
        type="STOCK:SEQUENCE",
        executables=tuple(executables),
        constraints=tuple(
            PrecedenceConstraint(
                ref_id=f"{ref_id}.PrecedenceConstraints[{number}]",
                source=f"{ref_id}\\{source}",
                target=f"{ref_id}\\{target}",
                outcome=outcome,
                logical_and=every,
            )
            for number, (source, outcome, target, every) in enumerate(arrows)
        ),
    )


def task(name, parent="Package"):
    return Executable(ref_id=f"{parent}\\{name}", name=name, kind=Kind.TASK, type="Microsoft.Pipeline")


def tasks(names, parent="Package"):
    return [task(name, parent) for name in names]


def source_of(root):
    package = Package(source=PurePath("P.dtsx"), format_version=8, root=root)
    project = Project(name="", source=PurePath(), packages=(package,))
    source = dag_source(project, package, dag_id="flow", managers=Managers((), {}), params=Params(), lines=Lines())
    return formatted({"flow.py": source})["flow.py"]


# --- what SSIS does


def simulate(executable, failing, outcomes):
    """Note, by name, whether SSIS would run each task without a failure (True), with one (False), or not (None)."""
    if not executable.executables:
        outcomes[executable.ref_id] = executable.name not in failing
        return outcomes[executable.ref_id]
    waiting = list(executable.executables)
    while waiting:
        pending = {one.ref_id for one in waiting}
        one = next(
            one
            for one in waiting
            if not any(c.target == one.ref_id and c.source in pending for c in executable.constraints)
        )
        waiting.remove(one)
        before = [c for c in executable.constraints if c.target == one.ref_id]
        holds = [holds_after(c.outcome, outcomes[c.source]) for c in before]
        every = len(before) == 1 or all(c.logical_and for c in before)
        if not before or (all(holds) if every else any(holds)):
            simulate(one, failing, outcomes)
        else:
            never(one, outcomes)
    outcomes[executable.ref_id] = all(outcomes[one.ref_id] is not False for one in executable.executables)
    return outcomes[executable.ref_id]


def holds_after(outcome, succeeded):
    if succeeded is None:
        return False
    return {SUCCESS: succeeded, FAILURE: not succeeded, COMPLETION: True}[outcome]


def never(executable, outcomes):
    outcomes[executable.ref_id] = None
    for one in executable.executables:
        never(one, outcomes)


def leaves(executable):
    for one in executable.executables:
        if one.executables:
            yield from leaves(one)
        else:
            yield one


def in_airflow(dag_run):
    """Return the same of a DAG run, by name."""
    outcomes = {"success": True, "failed": False, "skipped": None, "upstream_failed": None}
    return {ti.task_id.rpartition(".")[2]: outcomes[ti.state] for ti in dag_run.get_task_instances()}


def check(root, failing, dag, run):
    expected = {}
    succeeded = simulate(root, failing, expected)
    ids = {one.name: one.ref_id for one in leaves(root)}
    dag_run = run(dag, [task_id for task_id in dag.task_ids if task_id.rpartition(".")[2] in failing])
    found = in_airflow(dag_run)
    assert {name: found[name] for name in ids} == {name: expected[ref_id] for name, ref_id in ids.items()}
    assert (dag_run.state == "success") is succeeded


CASES = {
    "a chain": (container("", tasks("abc"), [("a", SUCCESS, "b", True), ("b", SUCCESS, "c", True)]), ["", "a", "b"]),
    "after a failure": (container("", tasks("ab"), [("a", FAILURE, "b", True)]), ["", "a"]),
    "after a failure of what may never run": (
        container("", tasks("abc"), [("a", SUCCESS, "b", True), ("b", FAILURE, "c", True)]),
        ["", "a", "b"],
    ),
    "after all failures": (
        container("", tasks("abc"), [("a", FAILURE, "c", True), ("b", FAILURE, "c", True)]),
        ["", "a", "ab"],
    ),
    "after any failure": (
        container("", tasks("abc"), [("a", FAILURE, "c", False), ("b", FAILURE, "c", False)]),
        ["", "a", "ab"],
    ),
    "after any success": (
        container("", tasks("abc"), [("a", SUCCESS, "c", False), ("b", SUCCESS, "c", False)]),
        ["", "a", "ab"],
    ),
    "after completion": (container("", tasks("ab"), [("a", COMPLETION, "b", True)]), ["", "a"]),
    "after completion of what may never run": (
        container("", tasks("abc"), [("a", SUCCESS, "b", True), ("b", COMPLETION, "c", True)]),
        ["", "a", "b"],
    ),
    "after a success and a failure": (
        container("", tasks("abc"), [("a", SUCCESS, "c", True), ("b", FAILURE, "c", True)]),
        ["", "a", "b", "ab"],
    ),
    "after a success or a failure": (
        container("", tasks("abc"), [("a", SUCCESS, "c", False), ("b", FAILURE, "c", False)]),
        ["", "a", "b", "ab"],
    ),
    "after a container whose failure is handled within": (
        container(
            "",
            [container("s", tasks("ab", "Package\\s"), [("a", FAILURE, "b", True)]), *tasks("cd")],
            [("s", SUCCESS, "c", True), ("s", FAILURE, "d", True)],
        ),
        ["", "a", "ab"],
    ),
    "a container after a failure": (
        container(
            "",
            [task("a"), container("s", tasks("bcd", "Package\\s"), [("b", COMPLETION, "c", True)])],
            [("a", FAILURE, "s", True)],
        ),
        ["", "a", "ab"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_runs_what_ssis_runs(name, load, run):
    root, failing = CASES[name]
    dag = load(source_of(root))
    for names in failing:
        check(root, set(names), dag, run)


# --- any flow


@st.composite
def flows(draw, depth=1, parent="Package", name="", numbers=None):
    numbers = numbers if numbers is not None else iter(ascii_lowercase)
    ref_id = f"{parent}\\{name}" if name else parent
    children = []
    for _ in range(draw(st.integers(1, 4))):
        child = next(numbers)
        if depth and draw(st.booleans()):
            children.append(draw(flows(depth - 1, ref_id, child, numbers)))
        else:
            children.append(task(child, ref_id))
    names = [child.name for child in children]
    arrows = []
    for position, target in enumerate(names):
        every = draw(st.booleans())
        sources = draw(st.lists(st.sampled_from(names[:position]), max_size=2, unique=True)) if position else []
        arrows += [(source, draw(st.sampled_from(Outcome)), target, every) for source in sources]
    return container(name, children, arrows, parent)


# To run a DAG takes a while: nothing is made smaller that fails.
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(root=flows(), data=st.data())
def test_runs_what_ssis_runs_of_any_flow(root, data, load, run):
    dag = load(source_of(root))
    names = [one.name for one in leaves(root)]
    check(root, data.draw(st.sets(st.sampled_from(names))), dag, run)
