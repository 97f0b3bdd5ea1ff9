"""The kinds of executables: what the reader keeps of each, and what is written for it.

To add a kind of task, add a member to ``Kind``; reader, DAG file and report follow from it. Only a kind that becomes
an operator, as the Send Mail and the Execute Package task do, needs more: a class in ``model``, a module in
``reading`` (called by ``dtsx``), one in ``writing`` (called by ``dag_file``), and a row in the conversion table of
docs/import.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|[0-9]+")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is specific to a kind of executables.

    Attributes:
        title: its name in SSIS's designer; empty if it depends on the executable.
        classes: its class names, or its whole types, in lower case.
        data: the child of ObjectData that the reader keeps, and does not search for mail (``Executable.mailer``); a
            task that has it is of this kind.
    """

    title: str
    classes: tuple[str, ...] = ()
    data: str = ""


class Kind(Enum):
    """The kinds of executables that the import distinguishes; a task is of the first kind that fits."""

    PACKAGE = Declaration("Package")
    SEQUENCE = Declaration("Sequence container", ("stock:sequence",))
    FOR_LOOP = Declaration("For Loop container", ("stock:forloop",))
    FOREACH_LOOP = Declaration("Foreach Loop container", ("stock:foreachloop",))
    SEND_MAIL = Declaration("Send Mail task", ("sendmailtask",), data="SendMailTaskData")
    EXECUTE_PACKAGE = Declaration("Execute Package task", ("executepackagetask",), data="ExecutePackageTask")
    DATA_FLOW = Declaration("Data Flow task", ("pipeline", "pipelinetask"))
    EXECUTE_SQL = Declaration("Execute SQL task", ("executesqltask",))
    FTP = Declaration("FTP task", ("ftptask",))
    XML = Declaration("XML task", ("xmltask",))
    TASK = Declaration("")


_DECLARED = tuple((kind, kind.value) for kind in Kind)


def kind_of(type_: str, data: Container[str]) -> Kind:
    """Return the kind of an executable.

    Args:
        type_: its type in the file.
        data: the names of the kept children of its ObjectData.
    """
    names = {type_.lower(), class_name(type_).lower()}
    return next((kind for kind, one in _DECLARED if not names.isdisjoint(one.classes) or one.data in data), Kind.TASK)


def title_of(type_: str) -> str:
    """Return the name of a task in SSIS's designer, made of its class name; else the type itself."""
    words = _WORDS.findall(class_name(type_))
    if len(words) > 1 and words[-1] == "Task":
        return " ".join((*words[:-1], "task"))
    return type_ or "task"


def class_name(type_: str) -> str:
    """Return the class name without namespace, version and assembly: ``Pipeline`` of ``DTS.Pipeline.1``."""
    name = type_.partition(",")[0].removeprefix("STOCK:")
    return next((part for part in reversed(name.split(".")) if not part.isdecimal()), name)
