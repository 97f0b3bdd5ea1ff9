"""Converts precedence constraints to dependencies and trigger rules, or to tasks where no trigger rule is equivalent.

In SSIS, an executable that never ran satisfies no constraint. In Airflow its state is skipped or upstream_failed. So:

=====================================  =========================================================================
constraints of a task                  converted to
=====================================  =========================================================================
Success (and)                          ``all_success``, unless a source is a container whose outcome may differ
                                       from that of its last tasks
Success (or)                           ``one_success``, outside of containers
Failure                                ``all_failed`` (and), ``one_failed`` (or) where the sources always run
Completion                             ``all_done`` (and), ``one_done`` (or) where the sources always run
all others                             a PrecedenceOperator before the target
=====================================  =========================================================================

A loop over files becomes a task that lists them, and a group that is mapped over the list. Without files, the group
is skipped; in SSIS the loop succeeds. So a PrecedenceOperator follows it, which also looks at the listing task.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions import Untranslatable
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Outcome, constraints_by_target
from airflow_smtp_cm.ssis.writing.names import Identifiers, Names, slug
from airflow_smtp_cm.ssis.writing.templates import as_operand, to_do

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_smtp_cm.ssis.model import Executable, FileEnumerator, PrecedenceConstraint

_OUTCOMES = {Outcome.SUCCESS: "succeeded", Outcome.FAILURE: "failed", Outcome.COMPLETION: "completed"}
# Outcome, and whether all constraints must hold. With one_success, one_failed and one_done, the target may run while
# some sources are still running. Something may wait for the end of a container, so they are not used in containers.
_RULES = {
    (Outcome.SUCCESS, True): "all_success",
    (Outcome.SUCCESS, False): "one_success",
    (Outcome.FAILURE, True): "all_failed",
    (Outcome.FAILURE, False): "one_failed",
    (Outcome.COMPLETION, True): "all_done",
    (Outcome.COMPLETION, False): "one_done",
}


@dataclass(slots=True, eq=False)
class Node:
    """A task or task group of the DAG.

    It is an executable; or a precedence constraint that became a task (a condition); or it lists the files of a loop.

    Attributes:
        id: its id within its group.
        variable: its Python variable in the DAG file.
        parent: the group that contains it; None for the package itself.
        executable: the executable in the package; None for a condition, and for what lists files.
        condition: the template of the PrecedenceOperator, for a condition.
        files: the enumerator, for what lists files.
        listing: the task that lists the files, for a loop over files.
        trigger_rule: its trigger rule.
        children: members of the group, in the order of the file; conditions stand before their targets.
        arrows: dependencies between children: (source, target).
    """

    id: str
    variable: str
    parent: Node | None
    executable: Executable | None = None
    condition: str = ""
    files: FileEnumerator | None = None
    listing: Node | None = None
    trigger_rule: str = "all_success"
    children: list[Node] = field(default_factory=list)
    arrows: list[tuple[Node, Node]] = field(default_factory=list)

    @property
    def of(self) -> Executable:
        """The executable in the package; conditions, and tasks that list files, have none."""
        if self.executable is None:
            raise TypeError(f"{self.id} has no executable.")
        return self.executable

    @property
    def entry(self) -> Node:
        """What must run first: the task that lists the files of a loop, else the node itself."""
        return self.listing or self

    @property
    def full_id(self) -> str:
        """Its id within the DAG."""
        return self.id if self.parent is None or self.parent.parent is None else f"{self.parent.full_id}.{self.id}"

    def everything(self) -> Iterator[Node]:
        """Yield all descendants."""
        for child in self.children:
            yield child
            yield from child.everything()

    def ordered(self) -> list[Node]:
        """Return the children in topological order; where that leaves a choice, in the order of the file."""
        before = {child: [source for source, target in self.arrows if target is child] for child in self.children}
        done: dict[Node, None] = {}

        def visit(child: Node, path: tuple[Node, ...] = ()) -> None:
            for source in before[child]:
                if source not in done and source not in path:
                    visit(source, (*path, child))
            done[child] = None

        for child in self.children:
            if child not in done:
                visit(child)
        return list(done)


def plan(package: Executable, expression: Callable[[PrecedenceConstraint], str], variables: Identifiers) -> Node:
    """Return the control flow of a package.

    Args:
        package: the package.
        expression: returns a constraint's expression as Jinja, without braces. If it raises Untranslatable, the
            condition is a text that names the work to do, and its task fails.
        variables: makes the names of Python variables unique.
    """
    root = _nodes(package, None, variables)
    _Constraints(root, variables, expression).resolve()
    return root


def handled_failures(root: Node) -> list[Node]:
    """Return the tasks whose failure does not fail the run, because its last tasks succeed all the same."""
    after: dict[Node, list[Node]] = {}
    for group in (root, *(node for node in root.everything() if node.children)):
        for source, target in group.arrows:
            for last in _ends(source, 0):
                after.setdefault(last, []).extend(_ends(target, 1))
    return [
        node
        for node in root.everything()
        if node.executable and any(target.trigger_rule != "all_success" for target in after.get(node, ()))
    ]


def _nodes(executable: Executable, parent: Node | None, variables: Identifiers) -> Node:
    node = Node("", "", parent, executable)
    ids = Names()
    for child in executable.executables:
        made = _nodes(child, node, variables)
        made.id = ids.take(slug(child.name, "task"))
        made.variable = variables.take(made.id)
        if child.foreach and child.foreach.files and _can_be_mapped(child) and not _is_disabled(made):
            name = ids.take(f"{made.id}_files")
            made.listing = Node(name, variables.take(name), node, files=child.foreach.files)
            node.children.append(made.listing)
            node.arrows.append((made.listing, made))
        node.children.append(made)
    return node


def _can_be_mapped(loop: Executable) -> bool:
    """Return whether a loop over files can become a mapped group: no conditions, and no such loop, within."""
    return (
        bool(loop.executables)
        and all(
            one.operation is EvaluatedOperation.CONSTRAINT and one.outcome is Outcome.SUCCESS and one.logical_and
            for executable in loop.everything()
            for one in executable.constraints
        )
        and not any(one.foreach and one.foreach.files for child in loop.executables for one in child.everything())
    )


def _is_disabled(node: Node) -> bool:
    """Return whether an executable never runs, or an expression decides whether it runs."""
    around: Node | None = node
    while around and around.executable:
        if around.executable.disabled or "Disable" in around.executable.expressions:
            return True
        around = around.parent
    return False


def _ends(node: Node, side: int) -> list[Node]:
    """Return the first (1) or last (0) tasks of a group, or the task itself."""
    if not node.children:
        return [node]
    inner = {arrow[side] for arrow in node.arrows}
    return [end for child in node.children if child not in inner for end in _ends(child, side)]


class _Constraints:
    """Resolves the constraints of a package into arrows, rules and conditions."""

    def __init__(self, root: Node, variables: Identifiers, expression: Callable[[PrecedenceConstraint], str]) -> None:
        self._root = root
        self._variables = variables
        self._expression = expression
        self._by_ref_id = {node.executable.ref_id: node for node in root.everything() if node.executable}

    def resolve(self) -> None:
        for group in (self._root, *(node for node in list(self._root.everything()) if node.children)):
            conditions: dict[str, Node] = {}
            for target in list(group.children):
                if constraints := self._of(target):
                    self._resolve(group, target, constraints, conditions)

    def _of(self, target: Node) -> list[PrecedenceConstraint]:
        """Return the constraints of a target whose source exists."""
        if target.parent is None or target.parent.executable is None or target.executable is None:
            return []
        return constraints_by_target(target.parent.executable)[target.executable.ref_id]

    def _resolve(
        self, group: Node, target: Node, constraints: list[PrecedenceConstraint], conditions: dict[str, Node]
    ) -> None:
        sources = list(dict.fromkeys(self._by_ref_id[one.source] for one in constraints))
        rule = self._rule(target, constraints, sources)
        if rule:
            target.entry.trigger_rule = rule
            group.arrows += [(source, target.entry) for source in sources]
            return
        condition = self._condition(constraints)
        if condition not in conditions:
            conditions[condition] = self._add_condition(group, target, constraints, condition)
            group.arrows += [(source, conditions[condition]) for source in sources]
        group.arrows.append((conditions[condition], target.entry))

    def _rule(self, target: Node, constraints: list[PrecedenceConstraint], sources: list[Node]) -> str | None:
        """Return the equivalent trigger rule; None if there is none."""
        if (
            not _plain(constraints)
            or len({one.outcome for one in constraints}) > 1
            or any(source.listing for source in sources)
        ):
            return None
        outcome, every = constraints[0].outcome, _every(constraints)
        if outcome is Outcome.SUCCESS and every:
            return "all_success" if all(map(self._ends_as_its_last_tasks, sources)) else None
        if target.children or any(source.children for source in sources):
            return None
        if len(sources) > 1 and not every and target.parent is not self._root:
            return None
        if outcome is not Outcome.SUCCESS and not all(map(self._always_runs, sources)):
            return None
        if outcome is Outcome.FAILURE and len(sources) == 1:
            every = False
        return _RULES[outcome, every]

    def _always_runs(self, node: Node) -> bool:
        return node.parent is None or (not self._of(node) and self._always_runs(node.parent))

    def _ends_as_its_last_tasks(self, node: Node) -> bool:
        """Return whether the group succeeds exactly if its last tasks succeed."""
        for child in node.children:
            constraints = self._of(child)
            if (
                child.listing
                or not _plain(constraints)
                or any(one.outcome is not Outcome.SUCCESS for one in constraints)
            ):
                return False
            if not _every(constraints) or not self._ends_as_its_last_tasks(child):
                return False
        return True

    def _condition(self, constraints: list[PrecedenceConstraint]) -> str:
        try:
            tests = [self._test(one) for one in constraints]
        except Untranslatable as error:
            return to_do(f"the condition {error.text}")
        if len(tests) == 1:
            return f"{{{{ {tests[0]} }}}}"
        every = _every(constraints)
        # In Jinja, `and` binds more tightly than `or`, as in SSIS.
        joined = (" and " if every else " or ").join(
            f"({test})" if every and " or " in test else test for test in tests
        )
        return f"{{{{ {joined} }}}}"

    def _test(self, constraint: PrecedenceConstraint) -> str:
        source = self._by_ref_id[constraint.source]
        outcome, completed = _outcome(source, constraint.outcome), _outcome(source, Outcome.COMPLETION)
        if constraint.operation is EvaluatedOperation.CONSTRAINT:
            return outcome
        expression = as_operand(self._expression(constraint))
        match constraint.operation:
            case EvaluatedOperation.EXPRESSION:
                return f"{completed} and {expression}"
            case EvaluatedOperation.EXPRESSION_AND_CONSTRAINT:
                return f"{as_operand(outcome)} and {expression}"
        return f"{outcome} or {completed} and {expression}"

    def _add_condition(
        self, group: Node, target: Node, constraints: list[PrecedenceConstraint], condition: str
    ) -> Node:
        first = constraints[0]
        if _plain(constraints) and len(constraints) == 1:
            wanted = f"{self._by_ref_id[first.source].id}_{_OUTCOMES[first.outcome]}"
        else:
            wanted = f"before_{target.id}"
        taken = Names(*(child.id for child in group.children))
        node = Node(
            taken.take(wanted), self._variables.take(wanted), group, condition=condition, trigger_rule="all_done"
        )
        group.children.insert(group.children.index(target), node)
        return node


def _outcome(source: Node, outcome: Outcome) -> str:
    """Return the test for an outcome of a source as Jinja."""
    test = f"{_OUTCOMES[outcome]}('{source.full_id}')"
    if source.listing is None:
        return test
    listing = source.listing.full_id
    match outcome:
        case Outcome.SUCCESS:
            return f"succeeded('{listing}') and not failed('{source.full_id}')"
        case Outcome.FAILURE:
            return f"failed('{listing}') or {test}"
    return f"completed('{listing}')"


def _plain(constraints: Iterable[PrecedenceConstraint]) -> bool:
    return all(one.operation is EvaluatedOperation.CONSTRAINT for one in constraints)


def _every(constraints: list[PrecedenceConstraint]) -> bool:
    """Return whether all must hold (LogicalAnd)."""
    return len(constraints) == 1 or all(one.logical_and for one in constraints)
