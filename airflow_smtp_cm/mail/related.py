"""Images inside HTML: the attachments that it names, and their Content-IDs (RFC 2387, RFC 2392).

HTML names an attachment by its file name or its own ``content_id``. The recipient's mail program finds it by its
Content-ID, which must be unique in the world (RFC 2045, section 7), as no file name is. So the URLs in the HTML are
replaced.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.problems import Problems
from airflow_smtp_cm.shortening import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_smtp_cm.mail.attachments import Attachment

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MSG_ID = rf"{_ATOM}(?:\.{_ATOM})*@{_ATOM}(?:\.{_ATOM})*"  # RFC 5322, section 3.6.4, without brackets
_SAFE_IN_URL = "!$*+/=@"  # in a path (RFC 3986, section 3.3), in the quotes of HTML, and in CSS without quotes
_MOST_NAMES = 10  # attachments named in an error


class Related(NamedTuple):
    """HTML and the attachments that it names.

    Attributes:
        html: the HTML; its ``cid:`` URLs are those of the Content-IDs.
        inline: these attachments, by their Content-IDs without angle brackets, in the order in which they are named.
        attached: the other attachments, in order.
    """

    html: str | None
    inline: Mapping[str, Attachment]
    attached: tuple[Attachment, ...]

    def __repr__(self) -> str:
        return f"Related(inline={self.inline!r}, attached={self.attached!r})"  # the HTML is private


def relate(html: str | None, attachments: tuple[Attachment, ...]) -> Related:
    """Find the attachments that HTML names.

    A Content-ID is the attachment's own ``content_id`` if that has the form of one, ``logo@corp.example``. Otherwise
    it is a new one.

    Args:
        html: the HTML, if there is any.
        attachments: all attachments.

    Raises:
        InvalidMessage: a ``cid:`` URL names no attachment or several, or the attachment that it names is empty.
    """
    if not html or "cid:" not in html.lower():
        return Related(html, {}, attachments)
    from airflow_smtp_cm.mail.html_references import replace_content_ids  # noqa: PLC0415 - most messages need none

    names = _Names(attachments)
    unique = secrets.token_hex(16)
    problems = Problems()
    content_ids: dict[int, str] = {}

    def replace(name: str) -> str:
        index = problems.attempt(names.find, name)
        if index is None:
            return name
        if index not in content_ids:
            own = attachments[index].content_id or ""
            content_ids[index] = own if re.fullmatch(_MSG_ID, own) else f"{len(content_ids) + 1}@{unique}"
        return quote(content_ids[index], safe=_SAFE_IN_URL)

    html = replace_content_ids(html, replace)
    Problems(dict.fromkeys(problems)).raise_as(InvalidMessage)  # each once
    return Related(
        html,
        {content_id: attachments[index] for index, content_id in content_ids.items()},
        tuple(attachment for index, attachment in enumerate(attachments) if index not in content_ids),
    )


class _Names:
    """The names by which HTML may name attachments."""

    def __init__(self, attachments: Sequence[Attachment]) -> None:
        self._attachments = attachments
        self._by_content_id: dict[str, list[int]] = defaultdict(list)
        self._by_name: dict[str, list[int]] = defaultdict(list)
        for index, attachment in enumerate(attachments):
            if attachment.content_id:
                self._by_content_id[attachment.content_id].append(index)
            self._by_name[attachment.name].append(index)

    def find(self, name: str) -> int:
        """Return the index of the attachment with this name, percent-encoded or not.

        Raises:
            InvalidMessage: there is none, or more than one, or it is empty.
        """
        shown = visible(f"cid:{name}")
        spellings = (name, unquote(name))
        known = (self._by_content_id, self._by_name)
        found = next((by[spelling] for by in known for spelling in spellings if spelling in by), [])
        if not found:
            raise InvalidMessage(f'The HTML names "{shown}", but no attachment has this name. {self._all()}')
        if len(found) > 1:
            raise InvalidMessage(
                f'The HTML names "{shown}", and {len(found)} attachments have this name. Give each its own '
                f'content_id, as in Attachment("logo.png", content_id="logo"), and name that: "cid:logo".'
            )
        if not self._attachments[found[0]].size:
            raise InvalidMessage(f'The attachment that the HTML names "{shown}" is empty (0 bytes).')
        return found[0]

    def _all(self) -> str:
        names = [f'"{visible(attachment.name)}"' for attachment in self._attachments]
        return f"The attachments are {listed(names, _MOST_NAMES)}." if names else "The message has no attachments."
