"""The commands of ``airflow smtp-cm``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.cli import cli_parser
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_smtp_cm import standard_output
from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp.errors import SettingsError, SmtpError

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_smtp_cm.smtp.trace import TraceEvent


def test(args: Namespace) -> None:
    """Log in, and send a test message if ``--to`` is given."""
    hook = _hook(args.conn_id)
    trace = _show if args.trace else None
    succeeded, description = hook.test_connection(trace=trace)
    if not succeeded:
        sys.exit(description)
    standard_output.write(f"{description}\n")
    if args.to:
        _send_test_message(hook, args.to)


def connection_string(args: Namespace) -> None:
    """Print the connection string."""
    try:
        standard_output.write(f"{_hook(args.conn_id).connection_manager.connection_string}\n")
    except SettingsError as error:
        sys.exit(str(error))


def add(args: Namespace) -> None:
    """Add a connection with Airflow's own command."""
    try:
        manager = SmtpConnectionManager.from_connection_string(args.connection_string)
        manager.validate()
    except SettingsError as error:
        sys.exit(str(error))
    arguments = ["connections", "add", args.conn_id, "--conn-json", manager.to_airflow(args.conn_id).as_json()]
    parsed = cli_parser.get_parser().parse_args(arguments)
    parsed.func(parsed)


def import_packages(args: Namespace) -> None:
    """Convert SSIS packages to DAGs."""
    try:
        from airflow_smtp_cm.ssis.command import import_packages  # noqa: PLC0415 - needs the extra import
    except ModuleNotFoundError as error:
        sys.exit(f"The import needs the extra: pip install 'airflow-smtp-cm[import]' ({error}).")
    sys.exit(
        import_packages(
            [Path(path) for path in args.paths],
            output=Path(args.output),
            connections=Path(args.connections),
            configurations=[Path(path) for path in args.configuration],
            form=args.format,
            overwrite=args.overwrite,
        )
    )


def _hook(conn_id: str) -> SmtpCmHook:
    # In a command, a hook looks up connections only in the environment; this looks them up in the database, too.
    try:
        return SmtpCmHook.from_connection(Connection.get_connection_from_secrets(conn_id))
    except (AirflowNotFoundException, SettingsError) as error:
        sys.exit(str(error))


def _send_test_message(hook: SmtpCmHook, to: str) -> None:
    try:
        message = MailMessage(
            from_email=hook.connection_manager.from_email or to,
            to=to,
            subject=f"Test of the Airflow connection {hook.smtp_conn_id}",
            text="This message was sent by `airflow smtp-cm test`.",
        )
        result = hook.send(message)
    except (InvalidMessage, SmtpError) as error:
        sys.exit(str(error))
    standard_output.write(f"Sent {result.message_id} to {', '.join(result.accepted)}: {result.reply}\n")


def _show(event: TraceEvent) -> None:
    print(event, file=sys.stderr)  # noqa: T201 - the command's output
