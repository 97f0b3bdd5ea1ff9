"""The house style of a site: a prefix for subjects, and a template around HTML bodies."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.mail.errors import InvalidMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jinja2

_BODY = r"(?is)<body(?=[\s>])(?P<attributes>[^>]*)>?(?P<content>.*(?=</body)|.*)"
_DIRECTION = r"""(?i)<html\s[^>]*?\b(dir\s*=\s*["']?\w+["']?)"""
_COLOUR = r"""(?i)(?<![\w-])(bgcolor|text)\s*=\s*["']?\s*(#?\w+)"""
_PROPERTIES = {"bgcolor": "background-color", "text": "color"}
# A style in one of Outlook's conditional comments is for Outlook only; one in another comment is for nobody.
_STYLE = r"(?is)<!--(?!\[if\b).*?-->|(<!--\[if\b.*?endif\]-->|<style[\s>].*?(?:</style\s*>|\Z))"
_WITH_CONTENT = "{% extends file %}{% block content %}{{ content }}{% endblock %}"


class HouseStyle(NamedTuple):
    """A prefix for subjects, and a template around HTML bodies.

    Attributes:
        subject_prefix: the text before each subject; if empty, there is none.
        html_template: the path of a Jinja file with a block ``content``; if empty, bodies are unchanged. The file may
            also show ``subject``, and include or extend other files in its folder. HTML is escaped in it, except the
            content, which is HTML.
    """

    subject_prefix: str = ""
    html_template: str = ""

    def effects(self) -> Iterator[str]:
        """Yield what it changes in messages, in sentences."""
        if self.subject_prefix:
            yield f"[smtp_cm] subject_prefix: The subject begins with {self.subject_prefix}."
        if self.html_template:
            yield f"[smtp_cm] html_template: An HTML body is in the template {self.html_template}."

    def subject(self, subject: str) -> str:
        """Return a subject with the prefix."""
        return f"{self.subject_prefix} {subject}".strip() if self.subject_prefix else subject

    def html(self, html: str, subject: str) -> str:
        """Return an HTML body in the template; of a whole document, its body, and the styles of its head.

        Args:
            html: the body; if it is empty, it stays so.
            subject: the subject, which the template may show.

        Raises:
            InvalidMessage: the template cannot be rendered, names an attachment, or does not show the content.
        """
        if not html or not self.html_template:
            return html
        path, content = Path(self.html_template), _content_of(html)
        try:
            page = _around(path.parent).render(file=path.name, content=_as_html(content), subject=subject)
        except Exception as error:  # a template may raise anything
            raise InvalidMessage(
                f'[smtp_cm] html_template: The file "{path}" cannot be rendered: {type(error).__name__}: {error}. '
                f"Correct it, or set house_style=False to send the message without it."
            ) from error
        if content not in page:
            raise InvalidMessage(
                f'[smtp_cm] html_template: The file "{path}" does not show the content. It needs a block for it: '
                f"{{% block content %}}{{% endblock %}}"
            )
        if name := _named_attachment(page.replace(content, "", 1)):
            raise InvalidMessage(
                f'[smtp_cm] html_template: The file "{path}" names "cid:{visible(name)}", but a template has no '
                f"attachments. Give the image a URL (https:)."
            )
        return page


@lru_cache(maxsize=8)
def _around(folder: Path) -> jinja2.Template:
    """Return a template with the content for the files of a folder; Jinja notices when they change."""
    import jinja2  # noqa: PLC0415 - only if there is a template

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_WITH_CONTENT)


def _as_html(content: str) -> str:
    from markupsafe import Markup  # noqa: PLC0415 - only if there is a template

    return Markup(content)  # noqa: S704 - it is HTML


def _named_attachment(html: str) -> str | None:
    """Return the first name of an attachment in HTML, if there is any."""
    if "cid:" not in html.lower():
        return None
    from airflow_smtp_cm.mail.html_references import replace_content_ids  # noqa: PLC0415 - hardly ever needed

    names: list[str] = []

    def remember(name: str) -> str:
        names.append(name)
        return name

    replace_content_ids(html, remember)
    return next(iter(names), None)


def _content_of(html: str) -> str:
    """Return what is to be shown of an HTML document; HTML that is not a whole document is unchanged."""
    if not (found := re.search(_BODY, html)):
        return html
    head, body = html[: found.start()], found["content"]
    # The attributes have the fonts, the colours and the direction of the text.
    attributes = " ".join(filter(None, [*re.findall(_DIRECTION, head), found["attributes"].strip()]))
    if attributes:
        body = f"<div {attributes}>{body}</div>"
    if colours := "; ".join(_colours(attributes)):
        body = f'<div style="{colours}">{body}</div>'
    return "".join(re.findall(_STYLE, head)) + body


def _colours(attributes: str) -> Iterator[str]:
    """Yield the styles for the colours that only ``<body>`` has as attributes."""
    for name, colour in re.findall(_COLOUR, attributes):
        is_hexadecimal = re.fullmatch("(?i)[0-9a-f]{6}", colour)  # HTML, unlike CSS, does not need the #
        yield f"{_PROPERTIES[name.lower()]}: {'#' if is_hexadecimal else ''}{colour}"
