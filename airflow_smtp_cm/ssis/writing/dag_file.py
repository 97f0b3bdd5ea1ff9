"""Writes the source of a package's DAG: mail as tasks and callbacks, everything else as placeholders."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.ssis.expressions import Untranslatable
from airflow_smtp_cm.ssis.expressions.system_variables import in_task
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.writing.control_flow import Node, handled_failures, plan
from airflow_smtp_cm.ssis.writing.events import Events
from airflow_smtp_cm.ssis.writing.execute_package import Child, Children, file_of, has_other_target, trigger_of
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.foreach import Loops, listing_of
from airflow_smtp_cm.ssis.writing.messages import Messages, Place
from airflow_smtp_cm.ssis.writing.names import Identifiers
from airflow_smtp_cm.ssis.writing.notifiers import Notifiers, changed_callbacks, default_args
from airflow_smtp_cm.ssis.writing.scope import Params, Scope
from airflow_smtp_cm.ssis.writing.send_mail_task import Managers, Switch
from airflow_smtp_cm.ssis.writing.source_text import arrows, call, exact, indented, listed, literal, nested, text
from airflow_smtp_cm.ssis.writing.templates import Translator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.ssis.model import (
        Executable,
        FileEnumerator,
        Package,
        PrecedenceConstraint,
        Project,
    )

_IMPORTS = {
    "DAG": "airflow.sdk",
    "EmptyOperator": "airflow.providers.standard.operators.empty",
    "ForeachFileOperator": "airflow_smtp_cm.operators.foreach",
    "PackageFailureOperator": "airflow_smtp_cm.operators.precedence",
    "Param": "airflow.sdk",
    "PrecedenceOperator": "airflow_smtp_cm.operators.precedence",
    "SendMailNotifier": "airflow_smtp_cm.notifications.send_mail",
    "SendMailOperator": "airflow_smtp_cm.operators.send_mail",
    "TaskGroup": "airflow.sdk",
    "task_group": "airflow.sdk",
    "TriggerDagRunOperator": "airflow.providers.standard.operators.trigger_dagrun",
    "ssis": "airflow_smtp_cm.macros",
}
_LONGEST_NAME = 70  # characters, in the first line
_LOOPS = (Kind.FOR_LOOP, Kind.FOREACH_LOOP)
_CONTAINERS = (Kind.SEQUENCE, *_LOOPS)


def has_mail(executable: Executable) -> bool:
    """Return whether this is a Send Mail task or contains one, event handlers included."""
    return any(one.mail for one in executable.everything())


def dag_source(
    project: Project,
    package: Package,
    *,
    dag_id: str,
    params: Params,
    managers: Managers,
    children: Children,
    findings: Findings,
) -> str:
    """Return the source of a package's DAG, not yet formatted.

    Args:
        project: the package's project.
        package: the package.
        dag_id: the DAG's id.
        params: collects the DAG's params.
        managers: the connection managers that its tasks can use.
        children: the packages that its tasks can run.
        findings: collects what was converted, what is manual and what was skipped.
    """
    return _DagFile(project, package, dag_id, managers, params, children, findings).source()


@dataclass(slots=True)
class _DagFile:
    project: Project
    package: Package
    dag_id: str
    managers: Managers
    params: Params
    children: Children
    findings: Findings
    used: set[str] = field(default_factory=lambda: {"DAG"})
    uses_functions: bool = False
    loops: Loops = field(default_factory=Loops)
    places: dict[Node, Place] = field(default_factory=dict)
    handled: list[Node] = field(default_factory=list)
    messages: Messages = field(init=False)
    events: Events = field(init=False)
    names: Identifiers = field(default_factory=lambda: Identifiers(*_IMPORTS))

    def source(self) -> str:
        root = plan(self.package.root, self._condition, self.names)
        self._enter(root, Place(Scope.of_package(self.project, self.package, self.params, in_task), Switch()))
        self.handled = handled_failures(root)
        self.messages = Messages(self.managers, self.findings)
        notifiers = Notifiers(self.messages, self.places, self._expression, self.names, self.findings)
        self.events = Events(root, notifiers.add, self.findings)
        self.uses_functions |= notifiers.uses_functions
        if notifiers.definitions:
            self.used.add("SendMailNotifier")
        body = [*self._body(root), *self._failures(root)]
        if self.uses_functions:
            self.used.add("ssis")
        head = self._dag(root)
        lists = self.loops.definitions(self.params.computed)
        definitions = [f"{name} = {value}" for name, value in (lists | notifiers.definitions).items()]
        blocks = [[self._docstring()], list(self._imports()), definitions, nested(head, body)]
        return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"

    # --- the file

    def _docstring(self) -> str:
        return f'"""The mail of the SSIS package {shorten(_plain(self.package.root.name), _LONGEST_NAME)}."""'

    def _imports(self) -> Iterator[str]:
        """Yield the imports in the order of isort."""
        by_module: dict[str, list[str]] = {}
        for name in sorted(self.used):
            by_module.setdefault(_IMPORTS[name], []).append(name)
        for module in sorted(by_module):
            yield f"from {module} import {', '.join(by_module[module])}"

    def _dag(self, root: Node) -> str:
        arguments = {"dag_id": literal(self.dag_id)}
        package = self.package.root
        if package.name != self.dag_id:
            arguments["dag_display_name"] = text(package.name)
        if package.description:
            arguments["description"] = text(package.description)
        arguments["schedule"] = "None"
        if callbacks := default_args(self.events.of(root), {}):
            arguments["default_args"] = callbacks
        if params := self.params.by_name:
            self.used.add("Param")
            items = (
                f"{literal(name)}: {_param(one.arguments, computed=f'params.{name}' in self.params.computed)}"
                for name, one in params.items()
            )
            arguments["params"] = f"{{{', '.join(items)},}}"
        if macros := [*(["ssis"] if self.uses_functions else []), *self.loops.lists]:
            arguments["user_defined_macros"] = f"{{{', '.join(f'{literal(name)}: {name}' for name in macros)}}}"
        return f"with {call('DAG', arguments)}:"

    def _enter(self, node: Node, place: Place) -> None:
        """Record the place of every executable."""
        if node.executable is None:
            return
        within = place.within(node.executable, node.executable.variables)
        self.places[node] = replace(within, scope=self.loops.enter(node, within.scope, self.names))
        for child in node.children:
            self._enter(child, self.places[node])

    def _condition(self, constraint: PrecedenceConstraint) -> str:
        scope = Scope.of_package(self.project, self.package, self.params, in_task)
        for executable in _path(self.package.root, constraint.source.rpartition("\\")[0]):
            scope = scope.within(executable.ref_id, executable.variables)
        return self._expression(constraint, scope)

    def _expression(self, constraint: PrecedenceConstraint, scope: Scope) -> str:
        """Return the expression of a constraint as Jinja, without braces."""
        translator = Translator(scope, constraint.ref_id, self.findings)
        template = translator.template("the constraint", constraint.expression)
        if template is None:
            raise Untranslatable(constraint.expression, 0, "It has no counterpart")
        self.uses_functions |= translator.uses_functions
        return template.as_jinja_expression()

    # --- tasks

    def _body(self, group: Node) -> Iterator[str]:
        in_arrows = {node for arrow in group.arrows for node in arrow}
        # Variables of a mapped group are those of a function.
        handled = [self.loops.mapped_around(node) or node for node in self.handled]
        ordered = group.ordered()
        for node in ordered:
            if node.children:
                yield from self._group(node, named=node in in_arrows or node in handled)
            else:
                assigned = f"{node.variable} = " if node in in_arrows or node in handled else ""
                yield f"{assigned}{self._task(node)}"
        yield from arrows(
            [node.variable for node in ordered], [(one.variable, other.variable) for one, other in group.arrows]
        )

    def _group(self, node: Node, *, named: bool) -> Iterator[str]:
        executable = node.of
        arguments = {"group_id": literal(node.id)}
        if executable.name != node.id:
            arguments["group_display_name"] = text(executable.name)
        about = [] if executable.kind is Kind.SEQUENCE else [f"{executable.type_name} of SSIS"]
        if description := _description(executable):
            about.append(description)
        if about:
            arguments["tooltip"] = text(". ".join(about))
        callbacks = self.events.of(node)
        if callbacks != self.events.inherited(node):
            arguments["default_args"] = default_args(callbacks, self.events.inherited(node))
        if node in self.loops.mapped:
            self.used.add("task_group")
            yield f"@{call('task_group', arguments)}"
            yield f"def {node.variable}(_item):"
            yield from map(indented, self._body(node))
            yield f"{f'{node.variable} = ' if named else ''}{node.variable}.expand(_item={self.loops.mapped[node]})"
        else:
            self.used.add("TaskGroup")
            head = f"with {call('TaskGroup', arguments)}{f' as {node.variable}' if named else ''}:"
            yield from nested(head, list(self._body(node)))
        self._report_group(node)

    def _task(self, node: Node) -> str:
        if node.files:
            return self._listing(node, node.files)
        if node.executable is None:
            self.used.add("PrecedenceOperator")
            arguments = {"task_id": literal(node.id), "condition": text(node.condition)}
            return call("PrecedenceOperator", arguments)
        if node.of.mail:
            return self._mail(node)
        child = self._child(node)
        return self._trigger(node, child) if child else self._placeholder(node)

    def _listing(self, node: Node, files: FileEnumerator) -> str:
        """Return the task that lists the files of a loop."""
        self.used.add("ForeachFileOperator")
        loop = next(one for one in self.places if one.listing is node)
        translator = Translator(self.places[loop].scope, loop.of.ref_id, self.findings)
        arguments = {"task_id": literal(node.id)} | listing_of(files, translator)
        self.uses_functions |= translator.uses_functions
        self.findings.manual(
            About.FILE, loop.of.ref_id, f"It loops over files. The workers need access to them: {files.folder}"
        )
        if node.trigger_rule != "all_success":
            arguments["trigger_rule"] = literal(node.trigger_rule)
        return call("ForeachFileOperator", arguments)

    def _common(self, node: Node) -> dict[str, str]:
        arguments = {"task_id": literal(node.id)}
        if node.of.name != node.id:
            arguments["task_display_name"] = text(node.of.name)
        return arguments

    def _rest(self, node: Node, doc: list[str]) -> dict[str, str]:
        arguments = {"doc_md": text("\n\n".join(doc))} if doc else {}
        if node.trigger_rule != "all_success":
            arguments["trigger_rule"] = literal(node.trigger_rule)
        own, inherited = self.events.of(node), self.events.inherited(node)
        return arguments | changed_callbacks(own, inherited)

    def _mail(self, node: Node) -> str:
        self.used.add("SendMailOperator")
        executable = node.of
        mail = (
            self.messages.many(executable, self._items(node))
            if node in self.loops.messages
            else self.messages.one(executable, self.places[node])
        )
        self.uses_functions |= mail.uses_functions
        description = _description(executable)
        arguments = self._common(node) | mail.arguments | self._rest(node, [description] if description else [])
        self.findings.converted(About.MAIL, executable.ref_id, f"Task {node.full_id}.")
        return call("SendMailOperator", arguments)

    def _items(self, node: Node) -> list[Place]:
        """Return the places of a task in a loop, one for each item."""
        place = self.places[node.parent] if node.parent else self.places[node]
        within = (replace(place, scope=place.scope.with_items(row)) for row in self.loops.messages[node].constants())
        return [each.within(node.of, node.of.variables) for each in within]

    def _child(self, node: Node) -> Child | None:
        """Return the package with a DAG that a task always runs; None if there is none."""
        task, switch = node.of, self.places[node].switch
        if task.run is None or switch.disabled or switch.expressions or has_other_target(task):
            return None
        file, folder = file_of(task.run, self.managers.all), self.package.source.parent
        # A project is complete; without one, the path is that of another machine.
        return self.children.find(file, folder, anywhere=not self.project.name)

    def _trigger(self, node: Node, child: Child) -> str:
        self.used.add("TriggerDagRunOperator")
        trigger = trigger_of(node.of, child, self.places[node].scope, self.findings)
        self.uses_functions |= trigger.uses_functions
        description = _description(node.of)
        arguments = self._common(node) | trigger.arguments | self._rest(node, [description] if description else [])
        self.findings.converted(
            About.EXECUTE_PACKAGE, node.of.ref_id, f"Task {node.full_id}, which runs the DAG {child.dag_id}."
        )
        return call("TriggerDagRunOperator", arguments)

    def _placeholder(self, node: Node) -> str:
        self.used.add("EmptyOperator")
        executable, place = node.of, self.places[node]
        what, kind, class_name = executable.type_name, executable.kind, executable.type.partition(",")[0]
        doc = [what if what == class_name or kind in _CONTAINERS else f"{what} ({class_name})"]
        replacement = ""
        if executable.run and (file := file_of(executable.run, self.managers.all)):
            doc.append(f"Runs {file}.")
            replacement = f", for example by a TriggerDagRunOperator for the DAG of {file}"
            if file not in self.children:
                replacement += ". If that package sends mail, import the two together"
        if description := _description(executable):
            doc.append(description)
        if place.switch.disabled:
            doc.append("Disabled in the package.")
        doc += [f"Disabled in the package if: `{expression}`" for _, expression, _ in place.switch.expressions]
        self.findings.manual(
            About.PLACEHOLDER,
            executable.ref_id,
            f"{what}: replace the placeholder {node.full_id}{' (disabled)' if place.switch.disabled else ''}"
            f"{replacement}.",
            kind=what,
        )
        if kind in _LOOPS:
            self._report_group(node)
        return call("EmptyOperator", self._common(node) | self._rest(node, doc))

    def _report_group(self, node: Node) -> None:
        executable = node.of
        if executable.kind in _LOOPS:
            self.loops.report(node, self.findings)
        if expression := executable.expressions.get("Disable"):
            self.findings.manual(
                About.DISABLED,
                executable.ref_id,
                f"Its mail is disabled if {expression}; its placeholders are not.",
            )

    def _failures(self, root: Node) -> Iterator[str]:
        """Yield the task that fails the run where the package fails although the failure is handled."""
        if not self.handled:
            return
        self.used.add("PackageFailureOperator")
        failure = call("PackageFailureOperator", {"task_id": literal(_free("package_failure", root))})
        handled = dict.fromkeys((self.loops.mapped_around(node) or node).variable for node in self.handled)
        yield f"{listed(list(handled))} >> {failure}"


def _param(arguments: dict[str, Any], *, computed: bool) -> str:
    default = (exact if computed else literal)(arguments.get("default"))
    positional = not isinstance(arguments.get("default"), bool)
    written = (
        (default if positional else f"default={default}") if name == "default" else f"{name}={literal(value)}"
        for name, value in arguments.items()
    )
    return f"Param({', '.join(written)})"


def _description(executable: Executable) -> str:
    """Return its description, unless it is the designer's default."""
    description = executable.description.strip()
    return "" if description.lower() in {executable.type_name.lower(), executable.name.lower()} else description


def _path(package: Executable, ref_id: str) -> Iterator[Executable]:
    """Yield the executables from the package down to the one with this ``ref_id``."""
    executable = package
    while True:
        yield executable
        inner = next(
            (one for one in executable.executables if ref_id == one.ref_id or ref_id.startswith(f"{one.ref_id}\\")),
            None,
        )
        if inner is None:
            return
        executable = inner


def _free(wanted: str, root: Node) -> str:
    return wanted if wanted not in {child.id for child in root.children} else f"{wanted}_2"


def _plain(name: str) -> str:
    """Return a text without what cannot stand in a docstring."""
    return " ".join(name.replace("\\", "/").replace('"', "'").split())
