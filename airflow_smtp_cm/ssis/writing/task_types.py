"""The types of executables, named as in SSIS's designer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import Kind

if TYPE_CHECKING:
    from airflow_smtp_cm.ssis.model import Executable

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|[0-9]+")
_NAMES = {
    "pipeline": "Data Flow task",
    "pipelinetask": "Data Flow task",
    "executesqltask": "Execute SQL task",
    "xmltask": "XML task",
    "ftptask": "FTP task",
}


def type_name(executable: Executable) -> str:
    """Return the name of an executable's type, such as ``Data Flow task`` for ``Microsoft.Pipeline``."""
    if executable.kind is not Kind.TASK:
        return str(executable.kind.value)
    name = executable.type.partition(",")[0].removeprefix("STOCK:")
    last = next((part for part in reversed(name.split(".")) if not part.isdecimal()), name)
    if known := _NAMES.get(last.lower()):
        return known
    words = _WORDS.findall(last)
    if len(words) > 1 and words[-1] == "Task":
        return " ".join((*words[:-1], "task"))
    return executable.type or "task"
