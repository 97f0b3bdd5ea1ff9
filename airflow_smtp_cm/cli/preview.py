"""``airflow smtp-cm preview``: the message of a task, written to files and not sent."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import DecoratedOperator

from airflow_smtp_cm import standard_output
from airflow_smtp_cm.cli.rendering import rendered
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.page import page_of
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import SmtpError
from airflow_smtp_cm.task.composition import check_connection, compose, truth_of
from airflow_smtp_cm.task.delivery.items import Items

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import Context

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage

_MOST_MESSAGES = 10
_NEEDS_RUN = " If it needs the results of other tasks, name a run that has them with --run-id."


def preview(args: Namespace) -> None:
    """Write the message of a task as ``message.eml`` and ``message.html``.

    Of many messages, the first ten are written, with their index in the name of the file.
    """
    if args.run_id and args.conf:
        sys.exit("Give --run-id or --conf, not both: a run has its own parameters.")
    with ExitStack() as stack:
        context = _rendered(stack, args)
        task = _send_mail_task(context["task"])
        needs_run = bool(task.upstream_task_ids) and not args.run_id
        try:
            for path in _write_messages(task, context, Path(args.output), needs_run=needs_run):
                standard_output.write(f"{path}\n")
        except (InvalidMessage, SmtpError, OSError) as error:
            sys.exit(f"{error}{_NEEDS_RUN if needs_run else ''}")


def _rendered(stack: ExitStack, args: Namespace) -> Context:
    """Render the task's templates; the stack ends what they need."""
    rendering = rendered(
        args.dag_id,
        args.task_id,
        map_index=args.map_index,
        run_id=args.run_id,
        conf=_parameters(args.conf) if args.conf else None,
    )
    try:
        return stack.enter_context(rendering)
    except Exception as error:  # noqa: BLE001 - a template may raise anything
        sys.exit(
            f"The templates of the task {args.task_id} cannot be rendered: {type(error).__name__}: "
            f"{str(error).rstrip('.')}. The index of a mapped task is named with --map-index.{_NEEDS_RUN}"
        )


def _parameters(conf: str) -> dict[str, Any]:
    try:
        parameters = json.loads(conf)
    except ValueError as error:
        sys.exit(f"--conf is not JSON: {error}.")
    if not isinstance(parameters, dict):
        sys.exit('--conf must be a JSON object, such as {"region": "North"}.')
    return parameters


def _send_mail_task(task: object) -> SendMailOperator:
    if isinstance(task, SendMailOperator) and not isinstance(task, DecoratedOperator):
        return task
    sys.exit(
        f"The task is of type {type(task).__name__}. Only the message of a SendMailOperator has a preview: a "
        f"function under @task.send_mail would have to be called, and a notifier needs the event that it reports. To "
        f"see their mail, send it to the test server (airflow_smtp_cm.testing), and call save_page() of the received "
        f"message."
    )


def _write_messages(task: SendMailOperator, context: Context, output: Path, *, needs_run: bool) -> Iterator[Path]:
    """Compose the messages, write them, and yield the paths of the pages."""
    hook = task.hook()
    messages = _messages(task, hook, context)
    settings = ["disable: The task is disabled, and sends nothing."] if truth_of(task.disable) else []
    if needs_run:
        others = ", ".join(sorted(task.upstream_task_ids))
        settings.append(f"--run-id: No run is named, so that results of other tasks ({others}) are missing here.")
    if truth_of(task.house_style):
        settings += hook.safety.house_style.effects()
    for name, message in messages:
        output.mkdir(parents=True, exist_ok=True)
        source = output / f"{name}.eml"
        with source.open("wb") as file:
            file.writelines(message.content(eight_bit=True, binary=False, utf8=True).chunks())
        page = page_of(source.read_bytes(), message.recipients, [*settings, *hook.safety.effects_on(message)])
        source.with_suffix(".html").write_text(page, encoding="utf-8")
        yield source.with_suffix(".html")


def _messages(task: SendMailOperator, hook: SmtpCmHook, context: Context) -> Iterator[tuple[str, MailMessage]]:
    """Yield the messages with the names of their files; all are checked before the first one."""
    if not task.has_many:
        yield "message", compose(task, hook, context)
        return
    items = Items(task, task.messages, context)
    check_connection(hook)
    items.check(range(len(items)), hook)
    for index in range(min(len(items), _MOST_MESSAGES)):
        yield f"message-{index}", items.compose(index, hook)
