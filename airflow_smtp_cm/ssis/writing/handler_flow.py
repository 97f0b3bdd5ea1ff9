"""Finds the mails of an event handler, and the conditions under which it sends them.

A callback runs notifiers in order, and nothing else. So the control flow of a handler becomes a condition for each
mail (``disable``):

==============================  =================================================================================
the mail's precedence           its condition
==============================  =================================================================================
none, Success, Completion       none, if its source always runs; else that of its source
an expression                   the expression, evaluated when the notifier is called, and that of its source
Failure                         none can be evaluated: work to do
==============================  =================================================================================

What is not a mail does not run. It counts as successful, since the handler was written for that; ``before`` names it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions import Untranslatable
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Outcome, constraints_by_target
from airflow_smtp_cm.ssis.writing.templates import as_operand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_smtp_cm.ssis.model import EventHandler, Executable, PrecedenceConstraint

    Path = tuple[Executable, ...]

# Two ways that lead to a task and part again may double the text at each step.
_LONGEST_CONDITION = 10_000  # characters


@dataclass(frozen=True, slots=True)
class Condition:
    """When something in a handler runs.

    Attributes:
        tests: Jinja expressions that must all be true; none if it always runs.
        to_do: what has no counterpart in a callback; if there is anything, ``tests`` is incomplete.
    """

    tests: tuple[str, ...] = ()
    to_do: tuple[str, ...] = ()

    @property
    def always(self) -> bool:
        """Whether it always runs."""
        return not self.tests and not self.to_do

    @property
    def test(self) -> str:
        """The tests as one Jinja expression."""
        return self.tests[0] if len(self.tests) == 1 else " and ".join(map(as_operand, self.tests))


#: The condition of what always runs.
ALWAYS = Condition()


@dataclass(frozen=True, slots=True)
class HandlerMail:
    """A mail of an event handler.

    Attributes:
        path: the containers within the handler, then the Send Mail task.
        condition: when it is sent.
        before: the tasks before it that are not mail, such as ``Find people (Execute SQL task)``.
    """

    path: Path
    condition: Condition
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Reached:
    """When an executable runs, and what has run before it."""

    condition: Condition = ALWAYS
    before: tuple[str, ...] = ()


def mails_of(handler: EventHandler, expression: Callable[[PrecedenceConstraint, Path], str]) -> Iterator[HandlerMail]:
    """Yield the mails of a handler in the order in which it sends them.

    Args:
        handler: the handler.
        expression: returns a constraint's expression as Jinja, without braces; its second argument are the containers
            around the constraint. If it raises Untranslatable, the condition is work to do.
    """
    yield from _mails(handler, (), _Reached(), expression)


def _mails(
    container: EventHandler | Executable,
    path: Path,
    reached: _Reached,
    expression: Callable[[PrecedenceConstraint, Path], str],
) -> Iterator[HandlerMail]:
    ended: dict[str, _Reached] = {}
    constraints = constraints_by_target(container)
    for one in _ordered(container.executables, constraints):
        start = _start(constraints[one.ref_id], ended, lambda constraint: expression(constraint, path))
        within = _Reached(
            _all((reached.condition, start.condition)), tuple(dict.fromkeys((*reached.before, *start.before)))
        )
        ended[one.ref_id] = replace(start, before=(*start.before, *_work(one)))
        if one.mail:
            yield HandlerMail((*path, one), within.condition, within.before)
        yield from _mails(one, (*path, one), within, expression)


def _work(executable: Executable) -> Iterator[str]:
    """Yield the tasks that are not mail: the executable itself, or those in it."""
    if executable.disabled or executable.mail:
        return
    if not executable.executables:
        yield f"{executable.name} ({executable.type_name})"
    for one in executable.executables:
        yield from _work(one)


def _start(
    constraints: list[PrecedenceConstraint],
    ended: dict[str, _Reached],
    expression: Callable[[PrecedenceConstraint], str],
) -> _Reached:
    """Return when an executable with these constraints runs once its container runs."""
    if not constraints:
        return _Reached()
    # The sources of a cycle have not ended; SSIS does not load such a package.
    sources = [ended.get(one.source, _Reached()) for one in constraints]
    conditions = [
        _holds(constraint, source.condition, expression)
        for constraint, source in zip(constraints, sources, strict=True)
    ]
    every = all(one.logical_and for one in constraints)
    before = dict.fromkeys(task for source in sources for task in source.before)
    return _Reached(_all(conditions) if every else _any(conditions), tuple(before))


def _holds(
    constraint: PrecedenceConstraint, source: Condition, expression: Callable[[PrecedenceConstraint], str]
) -> Condition:
    """Return when a constraint holds; ``source`` is when its source runs."""
    outcome = source
    if constraint.outcome is Outcome.FAILURE:
        outcome = Condition(to_do=(f"the failure of {constraint.source}",))
    if constraint.operation is EvaluatedOperation.CONSTRAINT:
        return outcome
    try:
        true = _all((source, Condition((expression(constraint),))))
    except Untranslatable:
        true = Condition(to_do=(f"the condition {constraint.expression}",))
    match constraint.operation:
        case EvaluatedOperation.EXPRESSION:
            return true
        case EvaluatedOperation.EXPRESSION_AND_CONSTRAINT:
            return _all((outcome, true))
    return _any((outcome, true))


def _all(conditions: Iterable[Condition]) -> Condition:
    made = list(conditions)
    return _limited(
        Condition(
            tuple(dict.fromkeys(test for one in made for test in one.tests)),
            tuple(dict.fromkeys(text for one in made for text in one.to_do)),
        )
    )


def _any(conditions: Iterable[Condition]) -> Condition:
    made = list(dict.fromkeys(conditions))
    if any(one.always for one in made):
        return ALWAYS
    if len(made) == 1:
        return made[0]
    to_do = dict.fromkeys(text for one in made for text in one.to_do)
    return _limited(Condition((" or ".join(as_operand(one.test) for one in made if one.tests),), tuple(to_do)))


def _limited(condition: Condition) -> Condition:
    if sum(map(len, (*condition.tests, *condition.to_do))) <= _LONGEST_CONDITION:
        return condition
    return Condition(to_do=("its precedence constraints, which are too many for one condition",))


def _ordered(
    executables: tuple[Executable, ...], constraints: dict[str, list[PrecedenceConstraint]]
) -> list[Executable]:
    """Return executables in topological order; those of a cycle, which SSIS does not load, at the end."""
    after: dict[str, list[str]] = {one.ref_id: [] for one in executables}
    pending = {one.ref_id: len(constraints[one.ref_id]) for one in executables}
    for target, found in constraints.items():
        for constraint in found:
            after[constraint.source].append(target)
    ready = [ref_id for ref_id, number in pending.items() if number == 0]
    for ref_id in ready:  # it grows
        for target in after[ref_id]:
            pending[target] -= 1
            if pending[target] == 0:
                ready.append(target)
    order = {ref_id: position for position, ref_id in enumerate(ready)}
    return sorted(executables, key=lambda one: order.get(one.ref_id, len(order)))
