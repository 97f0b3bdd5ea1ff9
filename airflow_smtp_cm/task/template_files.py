"""Template files: a body that is the name of one is looked up below the DAG's template search path, as Airflow does.

Airflow's own ``template_ext`` holds for every field of a task, so that it would also look up an attachment
``report.html``. Here only a body that an operator or notifier is built with may be a name. It becomes a template that
includes the file, which Airflow then renders as any other: also in mapped tasks, and with ``{% extends %}`` in it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jinja2

# No regular expressions: every DAG file would pay for compiling them.
_TEXT_ENDINGS = (".jinja", ".j2")
_HTML_ENDINGS = (".html", *_TEXT_ENDINGS)
# A name has no white space either. HTML has angle brackets; the others have a meaning in templates.
_INCLUDE = '{% include "NAME" %}'
_NOT_IN_A_NAME = frozenset("<>{}\"'\\")


def html_template(html_content: Any) -> Any:
    """Return the template for an HTML body: if it is a name such as ``mail.html``, a template that includes the file.

    Args:
        html_content: the argument of an operator or notifier.
    """
    return _including(html_content) if is_html_file(html_content) else html_content


def text_template(message_source: Any, message_source_type: Any) -> Any:
    """Return the template for a text, as ``html_template`` does.

    Args:
        message_source: the argument of an operator or notifier; a name ends with ``.jinja`` or ``.j2``.
        message_source_type: the type of the source: only a direct input may be a name.
    """
    is_name = message_source_type in (None, "DirectInput") and _is_name(message_source, _TEXT_ENDINGS)
    return _including(message_source) if is_name else message_source


def is_html_file(html_content: Any) -> bool:
    """Return whether an HTML body is the name of a template file."""
    return _is_name(html_content, _HTML_ENDINGS)


def unrendered_file(value: Any) -> str | None:
    """Return the name of the template file if a body is the template that includes it, and nobody has rendered it."""
    start, end = _INCLUDE.split("NAME")
    if not isinstance(value, str) or not value.startswith(start) or not value.endswith(end):
        return None
    name = value.removeprefix(start).removesuffix(end)
    return name if _is_name(name, _HTML_ENDINGS) else None


def folders_of(dag: Any) -> list[str]:
    """Return the folders for the template files of a serialized DAG, whose search path is lost; none without one."""
    fileloc = getattr(dag, "fileloc", None)
    return [os.path.dirname(fileloc)] if fileloc else []  # noqa: PTH120 - as Airflow


@contextmanager
def missing_file_as(error_type: type[Exception], environment: jinja2.Environment) -> Iterator[None]:
    """Raise an error of this type, with where the file was looked for, if a template needs one that is missing."""
    from jinja2 import TemplateNotFound  # noqa: PLC0415 - imported when it renders

    try:
        yield
    except TemplateNotFound as error:
        raise error_type(_not_found(error, environment)) from error


def _not_found(error: jinja2.TemplateNotFound, environment: jinja2.Environment) -> str:
    folders = getattr(environment.loader, "searchpath", ())
    if not folders:
        return (
            f'The template file "{error.name}" cannot be looked for: Airflow passes no DAG, and so no folder, for '
            f"instance when it reports a missed deadline. Write the text itself into the argument."
        )
    return (
        f'There is no template file "{error.name}" below {", ".join(map(str, folders))}. Put it below the DAG\'s '
        f"folder, or add its folder to the DAG's template_searchpath, and name it relative to that folder."
    )


def _is_name(value: Any, endings: tuple[str, ...]) -> bool:
    return (
        isinstance(value, str)
        and value.endswith(endings)
        and value.split() == [value]
        and _NOT_IN_A_NAME.isdisjoint(value)
    )


def _including(name: str) -> str:
    return _INCLUDE.replace("NAME", name)
