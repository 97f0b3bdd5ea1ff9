"""References in HTML: ``cid:`` URLs (RFC 2392) and the sources of images.

A reference is replaced, and all other characters stay as they are. A parser that writes the HTML again would change
what mail programs depend on: Outlook's conditional comments, its VML, the author's entities. ``html.parser`` keeps
positions, but before Python 3.14 it fails at a declaration such as ``<![x]>``. So the tags are found here, by the
grammar of start tags, attributes and comments (HTML Living Standard, section 13.1).
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# In the wrong place, a quote, "<" or "=" is part of a name, and what is not closed ends with the text. So every start
# of a tag begins a match, and no text is searched twice.
_ATTRIBUTE = r"""(?P<name>[^\s/>][^\s/>=]*+)
    (?:(?P<equals>\s*+=\s*+)(?:"(?P<double>[^"]*+)(?:"|\Z)|'(?P<single>[^']*+)(?:'|\Z)|(?P<bare>[^\s"'>][^\s>]*+)))?"""
# A conditional comment is HTML to Outlook; so only its marks are comments here.
_MARKUP = re.compile(
    rf"""
      <!--(?!\[if\b)(?:-?>|.*?(?:--!?>|\Z))
    | (?P<style><style\b[^<>]*+>)(?P<css>.*?)(?=</style\b|\Z)
    | <(?P<tag>[a-z][^\s/>]*+)(?P<attributes>(?:[\s/]*+{_ATTRIBUTE})*+[\s/]*+)(?:(?P<end>>)|\Z)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_VALUE = re.compile(_ATTRIBUTE, re.VERBOSE)
_CID = "cid:"
_CID_IN_CSS = re.compile(
    r"""(url\(\s*+)(?:"cid:([^"]*+)"|'cid:([^']*+)'|cid:([^\s"'()]*+))(?=\s*+\))""", re.IGNORECASE
)
_CID_IN_SRCSET = re.compile(r"(?<![^\s,])cid:([^\s,]++)", re.IGNORECASE)


def replace_content_ids(html: str, replace: Callable[[str], str]) -> str:
    """Return HTML with other ``cid:`` URLs.

    They are searched in the attributes of every tag (as the whole value, in the CSS of ``style``, and in ``srcset``),
    in the element ``style``, and in Outlook's conditional comments; not in text.

    Args:
        html: the HTML.
        replace: returns what follows ``cid:`` in the new URL; its argument is what follows it now, without entities.
    """

    def in_css(css: str) -> str:
        return _CID_IN_CSS.sub(lambda url: f"{url[1]}{_CID}{replace(url[2] or url[3] or url[4] or '')}", css)

    def in_attribute(_: str, name: str, value: str) -> str:
        if name == "style":
            return in_css(value)
        if name == "srcset":
            return _CID_IN_SRCSET.sub(lambda url: _CID + replace(url[1]), value)
        url = value.strip()
        return _CID + replace(url[len(_CID) :]) if url[: len(_CID)].lower() == _CID else value

    return _replace(html, in_attribute, in_css)


def replace_image_sources(html: str, replace: Callable[[str], str]) -> str:
    """Return HTML with other values of ``src`` of the ``<img>`` tags.

    Args:
        html: the HTML.
        replace: returns the new value; its argument is the value now, without entities and without white space at
            its ends.
    """

    def in_attribute(tag: str, name: str, value: str) -> str:
        return replace(value.strip()) if (tag, name) == ("img", "src") else value

    return _replace(html, in_attribute, lambda css: css)


def _replace(html: str, in_attribute: Callable[[str, str, str], str], in_css: Callable[[str], str]) -> str:
    def in_markup(markup: re.Match[str]) -> str:
        if markup["style"]:
            return markup["style"] + in_css(markup["css"])
        if not markup["end"]:
            return markup[0]
        tag = markup["tag"].lower()

        def in_value(found: re.Match[str]) -> str:
            if not found["equals"]:
                return found[0]
            value = unescape(found["double"] or found["single"] or found["bare"] or "")
            new = in_attribute(tag, found["name"].lower(), value)
            return found[0] if new == value else f'{found["name"]}{found["equals"]}"{escape(new)}"'

        return f"<{markup['tag']}{_VALUE.sub(in_value, markup['attributes'])}>"

    return _MARKUP.sub(in_markup, html)
