"""Converts a Foreach Loop container whose items are known.

====================  ===========================================================================================
in the loop           converted to
====================  ===========================================================================================
one Send Mail task,   ``SendMailOperator(messages=[...])``: a message for each item
no event handlers
anything else         a mapped task group; in templates, ``name_items[ti.map_index]`` is the item
a loop over files     a task that lists them (``control_flow``), and a task group that is mapped over its result
====================  ===========================================================================================

A mapped group has no conditions and trigger rules within, since these would look at all items.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import STRINGS, DataType
from airflow_smtp_cm.ssis.expressions import Constant, Jinja, as_template
from airflow_smtp_cm.ssis.model import Variable
from airflow_smtp_cm.ssis.writing import source_text
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.send_mail_task import Mail
from airflow_smtp_cm.ssis.writing.templates import named, to_do, to_do_all
from airflow_smtp_cm.ssis.writing.values import json_value, read_value

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from airflow_smtp_cm.macros.ssis.data_types import Value
    from airflow_smtp_cm.ssis.expressions import Binding
    from airflow_smtp_cm.ssis.model import FileEnumerator, Foreach
    from airflow_smtp_cm.ssis.writing.control_flow import Node
    from airflow_smtp_cm.ssis.writing.names import Identifiers
    from airflow_smtp_cm.ssis.writing.scope import Known, Scope
    from airflow_smtp_cm.ssis.writing.templates import Translator

# Of a longer list, the DAG file would be hard to read, and slow to parse.
_MOST_ITEMS = 1000
_SAME_FOR_ALL = ("smtp_conn_id", "disable")
_RETRIEVALS = {1: "name_and_extension", 2: "name_only"}
_OFF, _ON = '"{{ true }}"', '"{{ false }}"'


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a loop.

    Attributes:
        rows: the value of each variable, for each item.
    """

    rows: tuple[dict[Known, Value], ...]

    def constants(self) -> list[dict[Known, Binding]]:
        """Return what the variables become in a message for each item."""
        return [{known: Constant(value) for known, value in row.items()} for row in self.rows]

    def by_map_index(self, name: str) -> dict[Known, Jinja]:
        """Return what the variables become in a task that is mapped over the list ``name``."""
        return {
            known: Jinja(
                f"{name}[ti.map_index][{known.source.name!r}]",
                value.data_type,
                iso_text=value.data_type is DataType.DATE,
            )
            for known, value in self.rows[0].items()
        }

    def as_list(self, name: str, computed: Container[str]) -> str:
        """Return the Python source of the list ``name``.

        Args:
            name: the list's name.
            computed: the Jinja expressions whose text a template computes with: it keeps its line ends.
        """
        write = {
            known: source_text.exact if item.expression in computed else source_text.literal
            for known, item in self.by_map_index(name).items()
        }
        rows = (
            _mapping({known.source.name: write[known](json_value(value)) for known, value in row.items()})
            for row in self.rows
        )
        return f"[{', '.join(rows)}]"


@dataclass(slots=True)
class Loops:
    """The loops of a package that were converted.

    Attributes:
        messages: the items of loops with one mail, by the mail.
        mapped: for each mapped group, the Python expression for its items.
        lists: the items of the mapped groups, by the name of the list in the DAG file, which is also a macro.
    """

    messages: dict[Node, Items] = field(default_factory=dict)
    mapped: dict[Node, str] = field(default_factory=dict)
    lists: dict[str, Items] = field(default_factory=dict)

    def enter(self, node: Node, scope: Scope, names: Identifiers) -> Scope:
        """Convert the node if it is a loop whose items are known; return the scope within it.

        Args:
            node: an executable; those around it come first.
            scope: the names that are visible in it.
            names: makes the names of Python variables unique.
        """
        foreach = node.of.foreach
        if foreach is None:
            return scope
        if node.listing:
            self.mapped[node] = f"{node.listing.variable}.output"
            return scope.with_items(_file(foreach, node.listing, scope))
        items = items_of(foreach, scope)
        if items is None:
            return scope
        can_be_mapped = _can_be_mapped(node) and not self.mapped_around(node)
        # The mail of an event handler needs the item, too; only a mapped group has it.
        if _is_one_mail(node) and not (can_be_mapped and _has_event_handlers(node)):
            self.messages[node.children[0]] = items
        elif can_be_mapped:
            name = self.mapped[node] = names.take(f"{node.variable}_items")
            self.lists[name] = items
            return scope.with_items(items.by_map_index(name))
        return scope

    def definitions(self, computed: Container[str]) -> dict[str, str]:
        """Return the Python source of the lists, by name; ``computed`` as for ``Items.as_list``."""
        return {name: items.as_list(name, computed) for name, items in self.lists.items()}

    def mapped_around(self, node: Node) -> Node | None:
        """Return the mapped group that contains a task; None if there is none."""
        around = node.parent
        while around and around not in self.mapped:
            around = around.parent
        return around

    def report(self, node: Node, findings: Findings) -> None:
        """Report what became of a loop."""
        place, group = node.of.ref_id, f"the group {node.full_id}"
        if node in self.mapped:
            findings.converted(About.LOOP, place, f"The group {node.full_id} is mapped over the items of the loop.")
        elif any(child in self.messages for child in node.children):
            findings.converted(About.LOOP, place, f"The task in {group} sends a message for each item of the loop.")
        else:
            findings.manual(
                About.LOOP,
                place,
                f"{node.of.type_name}: {group} runs once. Map it (expand) over the items of the loop.",
            )


def _file(foreach: Foreach, listing: Node, scope: Scope) -> dict[Known, Binding]:
    """Return what the variable of a loop over files becomes."""
    known = scope.find(named(foreach.variables.get(0, "")))
    if known is None or known.source.data_type not in STRINGS:
        return {}
    return {known: Jinja(f"ti.xcom_pull(task_ids='{listing.full_id}')[ti.map_index]", DataType.WSTR)}


def _is_one_mail(loop: Node) -> bool:
    return len(loop.children) == 1 and loop.children[0].executable is not None and bool(loop.children[0].of.mail)


def _has_event_handlers(loop: Node) -> bool:
    return any(node.executable and node.of.event_handlers for node in (loop, *loop.everything()))


def _can_be_mapped(loop: Node) -> bool:
    within = list(loop.everything())
    return bool(within) and all(node.executable and node.trigger_rule == "all_success" for node in within)


def listing_of(files: FileEnumerator, translator: Translator) -> dict[str, str]:
    """Return the arguments of the ForeachFileOperator that lists the files of a loop."""
    arguments = {
        "folder": _property("Directory", files.folder, files, translator),
        "file_spec": _property("FileSpec", files.file_spec, files, translator),
    }
    if retrieve := _RETRIEVALS.get(files.retrieval):
        arguments["retrieve"] = source_text.literal(retrieve)
    return arguments | ({"recurse": "True"} if files.recurse else {})


def _property(name: str, stored: str, files: FileEnumerator, translator: Translator) -> str:
    expression = files.expressions.get(name)
    if expression is None:
        return source_text.text(as_template(stored))
    template = translator.template(name, expression)
    return source_text.text(template.text if template else to_do(f"write {expression}"))


def items_of(foreach: Foreach, scope: Scope) -> Items | None:
    """Return the items of a loop; None if a variable cannot have such a value, or there are too many.

    Args:
        foreach: the loop.
        scope: the names that are visible at the loop.
    """
    if len(foreach.rows) > _MOST_ITEMS:
        return None
    variables = {index: scope.find(named(name)) for index, name in foreach.variables.items()}
    rows = []
    for values in foreach.rows:
        row = {}
        for index, known in variables.items():
            if known is None or not isinstance(known.source, Variable) or known.source.expression is not None:
                return None
            if known.source.data_type is None or index >= len(values):
                return None
            try:
                row[known] = read_value(values[index], known.source.data_type)
            except ValueError:
                return None
        rows.append(row)
    if not rows:
        return None
    names = {known.source.name for known in rows[0]}
    return Items(tuple(rows)) if len(names) == len(rows[0]) else None


def together(mails: Sequence[Mail]) -> Mail:
    """Return the mails of all items as one with many messages."""
    sent = [mail for mail in mails if mail.arguments.get("disable") != _OFF] or list(mails)
    for mail in sent:
        if mail.arguments.get("disable") == _ON:
            del mail.arguments["disable"]
    first, same = sent[0], {}
    to_dos = {name: why for mail in sent for name, why in mail.to_do.items()}
    for name in dict.fromkeys(name for mail in sent for name in mail.arguments):
        if all(mail.arguments.get(name) == first.arguments.get(name) for mail in sent):
            same[name] = first.arguments[name]
        elif name in _SAME_FOR_ALL:
            to_dos[name] = "it differs between the items"
    if to_dos:
        same["disable"] = source_text.text(to_do_all(to_dos))
    rows = [{name: value for name, value in mail.arguments.items() if name not in same} for mail in sent]
    for row in rows:
        for name in _SAME_FOR_ALL:
            row.pop(name, None)
    # The messages are the last argument, except for disable.
    disable = {"disable": same.pop("disable")} if "disable" in same else {}
    arguments = same | {"messages": f"[{', '.join(map(_mapping, rows))}]"} | disable
    return Mail(arguments, to_dos, any(mail.uses_functions for mail in sent))


def _mapping(items: dict[str, str]) -> str:
    return f"{{{', '.join(f'{source_text.literal(name)}: {value}' for name, value in items.items())}}}"
