"""An operator of generated DAGs: the files over which SSIS's Foreach File enumerator loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

__all__ = ["ForeachFileOperator"]

# The loop itself raises other events in SSIS than the tasks in it.
_NO_CALLBACKS = dict.fromkeys(("on_execute_callback", "on_skipped_callback", "on_success_callback"))
_RETRIEVE: dict[str, Callable[[Path], str]] = {
    "fully_qualified": str,
    "name_and_extension": lambda path: path.name,
    "name_only": lambda path: path.stem,
}


class ForeachFileOperator(BaseOperator):
    """Lists the files of a folder, for a task group that is mapped over them (SSIS Foreach File enumerator).

    If there are no files, the group is skipped. SSIS would also skip it if the folder did not exist; here the task
    fails, since a worker may lack the access that the server of SSIS had.

    Args:
        folder: the folder (Directory).
        file_spec: a name with the wildcards ``*`` and ``?``, in which case does not matter (FileSpec).
        retrieve: ``fully_qualified``, ``name_and_extension`` or ``name_only`` (FileNameRetrieval).
        recurse: whether to list the files of its folders, too (Recurse).

    Raises:
        ValueError: ``retrieve`` is none of these.
    """

    template_fields: Sequence[str] = ("folder", "file_spec")
    ui_color = "#f5f5f5"

    def __init__(
        self,
        *,
        folder: str,
        file_spec: str = "*",
        retrieve: str = "fully_qualified",
        recurse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**(kwargs | _NO_CALLBACKS))
        if retrieve not in _RETRIEVE:
            raise ValueError(f"retrieve must be one of {', '.join(_RETRIEVE)}, not {retrieve!r}.")
        self.folder = folder
        self.file_spec = file_spec
        self.retrieve = retrieve
        self.recurse = recurse

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow passes it
        """Return the files, in the order of their names.

        Raises:
            FileNotFoundError: there is no such folder on the worker.
        """
        from fnmatch import translate  # noqa: PLC0415 - not needed when a DAG file is parsed
        from pathlib import Path  # noqa: PLC0415
        from re import IGNORECASE, compile  # noqa: A004, PLC0415

        folder = Path(self.folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {self.folder} on this worker, or it has no access to it.")
        # In Windows, brackets are no wildcards, and *.* matches names without a dot.
        spec = "*" if self.file_spec in {"", "*.*"} else self.file_spec.replace("[", "[[]")
        matches = compile(translate(spec), IGNORECASE).match
        files = (path for path in (folder.rglob("*") if self.recurse else folder.iterdir()) if path.is_file())
        found = sorted((path for path in files if matches(path.name)), key=_in_order)
        self.log.info("%d files in %s match %s.", len(found), self.folder, self.file_spec)
        return [_RETRIEVE[self.retrieve](path) for path in found]


def _in_order(path: Path) -> tuple[str, ...]:
    return tuple(part.casefold() for part in path.parts)
