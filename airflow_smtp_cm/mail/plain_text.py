"""The plain text beside HTML, made by inscriptis: links with their URLs, tables in columns.

It is slow to import (20 ms), so only mail with HTML alone imports it.
"""

from __future__ import annotations

import logging
import re
from itertools import zip_longest
from typing import TYPE_CHECKING

from inscriptis import Inscriptis
from inscriptis.model.config import ParserConfig
from lxml.etree import ParserError
from lxml.html import HTMLParser, document_fromstring

if TYPE_CHECKING:
    from lxml.html import HtmlElement

logger = logging.getLogger(__name__)

_MAX_HTML = 256 * 1024  # characters; more take a second, and nobody reads so much as text
_MAX_TABLE = (
    4 * 1024 * 1024
)  # characters: in every row of a table, a cell becomes as wide as the widest one of its column
_MAX_COLUMNS = 1_000  # the time for a row grows faster than its cells
_EMPTY_LINES = re.compile(r"\n{3,}")


def text_of_html(html: str) -> str:
    """Return HTML as plain text; empty if it has no text, or if none can be made of it (logged).

    Args:
        html: the HTML; it is converted if it has up to 256 Ki characters, and no table that would become larger than
            4 Mi characters or has more than 1,000 columns.
    """
    try:
        document = document_fromstring(html.encode(errors="replace"), parser=HTMLParser(encoding="utf-8"))
    except ParserError:  # of an empty document
        return ""
    if len(html) > _MAX_HTML or any(map(_is_too_large, document.iter("table"))):
        logger.info("The message has no plain text beside its HTML, which is too large to make one.")
        return ""
    config = ParserConfig(display_links=True, display_images=True)
    try:
        text = Inscriptis(document, config).get_text()
    except Exception as error:  # noqa: BLE001 - inscriptis documents none, and the HTML is enough for a mail
        logger.warning("The message has no plain text beside its HTML: %s: %s", type(error).__name__, error)
        return ""
    text = "\n".join(map(str.rstrip, text.split("\n")))
    return _EMPTY_LINES.sub("\n\n", text).strip("\n")


def _is_too_large(table: HtmlElement) -> bool:
    rows = [[len(cell.text_content()) for cell in row.iterchildren("td", "th")] for row in table.xpath("tr|*/tr")]
    columns = list(map(max, zip_longest(*rows, fillvalue=0)))
    return len(columns) > _MAX_COLUMNS or len(rows) * sum(columns) > _MAX_TABLE
