"""Template files: a body that is the name of one is looked up below the DAG's template search path, as Airflow does.

Airflow's own ``template_ext`` holds for every field of a task, so that it would also look up an attachment
``report.html``. Here only a body that an operator or notifier is built with may be a name. It becomes a template that
includes the file, which Airflow then renders as any other: also in mapped tasks, and with ``{% extends %}`` in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

# HTML has angle brackets or white space; and quotes, braces and backslashes have a meaning in templates.
_NAME = r"[^\s<>{}\"'\\]+"
_HTML_FILE = re.compile(rf"{_NAME}\.(?:html|html\.jinja|html\.j2|jinja|j2)")
_TEXT_FILE = re.compile(rf"{_NAME}\.(?:jinja|j2)")


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
    is_name = isinstance(message_source, str) and _TEXT_FILE.fullmatch(message_source)
    return _including(message_source) if is_name and message_source_type in (None, "DirectInput") else message_source


def is_html_file(html_content: Any) -> bool:
    """Return whether an HTML body is the name of a template file."""
    return isinstance(html_content, str) and _HTML_FILE.fullmatch(html_content) is not None


def not_found(error: jinja2.TemplateNotFound, environment: jinja2.Environment) -> str:
    """Return the text of an error about a template file that is missing."""
    folders = getattr(environment.loader, "searchpath", ())
    return (
        f'The template file "{error.name}" does not exist. It was looked for below '
        f"{', '.join(map(str, folders)) or 'no folder'}. Put it below the DAG's folder, or add its folder to the "
        "DAG's template_searchpath."
    )


def _including(name: str) -> str:
    return f'{{% include "{name}" %}}'
