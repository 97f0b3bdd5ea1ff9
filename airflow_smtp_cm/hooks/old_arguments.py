"""The arguments of Airflow's EmailOperator, SmtpNotifier and SmtpHook, and what to use instead.

It is imported only if there is an unknown argument, so that a DAG file does not pay for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEW = {
    "auth_type": "remove it; the connection defines the login",
    "conn_id": "use smtp_conn_id",
    "custom_headers": "use headers, reply_to for Reply-To, and priority for X-Priority",
    "dryrun": "use the command airflow smtp-cm preview",
    "files": "use attachments",
    "html": "use html_content",
    "mime_charset": "remove it; a text is sent as ASCII or UTF-8",
    "mime_subtype": "remove it; an attachment that the HTML names as cid: is shown in it",
    "template": "use html_content, which may be the name of a template file",
    "text": "use message_source",
}


def advice_on(names: Iterable[str]) -> str:
    """Return what to use instead of unknown arguments, in sentences; empty if none of them is an old one."""
    return " ".join(f"Instead of {name}: {_NEW[name]}." for name in sorted(_NEW.keys() & set(names)))


def with_advice(error: Exception, names: Iterable[str]) -> Exception:
    """Return an error about unknown arguments with the advice on them; the same error if there is none."""
    advice = advice_on(names)
    return type(error)(f"{error}. {advice}") if advice else error
