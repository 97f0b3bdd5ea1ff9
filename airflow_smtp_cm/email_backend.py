"""Airflow's own alerts through this provider: ``[email] email_backend = airflow_smtp_cm.email_backend.send_email``.

Then the mails of ``email_on_failure`` and ``email_on_retry`` use the connection of ``[email] email_conn_id``.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.house_style import HouseStyle
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.mail.plain_text import text_of_html
from airflow_smtp_cm.task.alert_text import fit_headers, fit_line, fit_text, styled
from airflow_smtp_cm.task.message_source import locate_attachments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["send_email"]

logger = logging.getLogger(__name__)

# The repr of a task instance, which is in the subjects of Airflow's alerts, in Airflow 3 and in Airflow 2.
# Airflow 3's ends with the subject: Airflow's own template is "Airflow alert: {{ti}}".
_AIRFLOW_3 = re.compile(r"\bid=UUID\('[^']*'\) .*")
_FIELD = re.compile(r"\b(dag_id|task_id|run_id|try_number|map_index)=(?:'([^']*)'|([^' ]+))")
_AIRFLOW_2 = re.compile(
    r"<TaskInstance: (?P<dag_id>\S+)\.(?P<task_id>[^\s.]+) (?P<run_id>\S+) (?:map_index=(?P<map_index>\d+) )?.*"
    r"\[(?P<state>\w+)\]>"
)

# Airflow's sender if none is configured; no server accepts it.
_AIRFLOW_DEFAULT_SENDER = "airflow@airflow"


def send_email(  # noqa: PLR0917 - Airflow's signature
    to: str | Iterable[str],
    subject: str,
    html_content: str,
    files: Iterable[str] | None = None,
    dryrun: bool = False,  # noqa: FBT001, FBT002 - as above
    cc: str | Iterable[str] | None = None,
    bcc: str | Iterable[str] | None = None,
    mime_subtype: str = "mixed",  # noqa: ARG001 - the HTML decides: what it names is related to it
    mime_charset: str = "utf-8",  # noqa: ARG001 - text is ASCII or UTF-8
    conn_id: str | None = None,
    from_email: str | None = None,
    custom_headers: Mapping[str, str] | None = None,
    house_style: bool = True,  # noqa: FBT001, FBT002 - as above
    **_: Any,
) -> None:
    """Send a message for ``airflow.utils.email.send_email``.

    Subject, body and headers quote the errors of tasks, so what mail does not allow in them is replaced or removed.

    Args:
        to: recipients.
        subject: the subject; see ``readable``.
        html_content: the body; a plain text is made from it. A file that it names, as in ``<img src="cid:a.png">``,
            is shown in its place.
        files: paths of attachments.
        dryrun: check the message without sending it.
        cc: recipients of a copy.
        bcc: recipients who are hidden from all others.
        mime_subtype: ignored.
        mime_charset: ignored.
        conn_id: the Airflow connection, of type ``smtp_cm``.
        from_email: the sender; if it is None or Airflow's default ``airflow@airflow``, that of the connection.
        custom_headers: further headers.
        house_style: whether the site's ``subject_prefix`` and ``html_template`` ([smtp_cm]) are applied, if it has
            them. A template that cannot be used is logged, and the message is sent without it.

    Raises:
        InvalidMessage: all problems with the message.
        SmtpError: it could not be sent.
    """
    hook = SmtpCmHook(conn_id or SmtpCmHook.default_conn_name)
    style = hook.safety.house_style if house_style else HouseStyle()
    subject = fit_line("subject", style.subject(readable(fit_line("subject", subject))))
    html = styled(style, fit_text("html_content", html_content), subject)
    sender = None if from_email == _AIRFLOW_DEFAULT_SENDER else from_email
    message = MailMessage(
        from_email=sender or None,
        to=_lines(to),
        cc=_lines(cc),
        bcc=_lines(bcc),
        subject=subject,
        text=text_of_html(html),
        html=html,
        attachments=locate_attachments(list(files or ())),
        headers=fit_headers(custom_headers or {}),
    )
    if dryrun:
        message = hook.connection_manager.prepared(message)
        logger.info("Dry run: %s to %s is not sent.", message.message_id, ", ".join(message.recipients))
        return
    hook.send(message)


def readable(subject: str) -> str:
    """Return a subject with DAG, task, run and try in place of a task instance's repr."""
    if match := _AIRFLOW_2.search(subject):
        found = match.groupdict()
    elif match := _AIRFLOW_3.search(subject):
        found = {name: quoted or bare for name, quoted, bare in _FIELD.findall(match[0])}
    if match is None or not {"dag_id", "task_id", "run_id"} <= found.keys():
        return subject
    start, end = match.span()
    index = found.get("map_index") or "-1"
    task = f"{found['dag_id']}.{found['task_id']}" + (f"[{index}]" if index.isdecimal() else "")
    tried = f", try {found['try_number']}" if "try_number" in found else ""
    state = f" {found['state']}" if "state" in found else ""
    return f"{subject[:start]}{task}{state} ({found['run_id']}{tried}){subject[end:]}"


def _lines(addresses: str | Iterable[str] | None) -> str | list[str] | None:
    return addresses if addresses is None or isinstance(addresses, str) else list(addresses)
