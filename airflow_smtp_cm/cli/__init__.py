"""``airflow smtp-cm``: its definition for Airflow's command line. The commands are imported when they run."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

_CONN_ID = Arg(("conn_id",), help="Id of the Airflow connection")
_IMPORT_ARGUMENTS = (
    Arg(
        ("paths",),
        metavar="PATH",
        nargs="+",
        help="Files (.dtsx, .ispac, .dtproj, .params, .conmgr), or folders that contain them",
    ),
    Arg(("--output",), metavar="DIR", default="dags", help="Folder for the DAG files (default: dags)"),
    Arg(
        ("--connections",),
        metavar="FILE",
        default="connections.json",
        help="File for the connections, for `airflow connections import` (default: connections.json)",
    ),
    Arg(
        ("--configuration",),
        metavar="FILE",
        action="append",
        default=[],
        help="A .dtsConfig file that applies to every package, as with `dtexec /ConfigFile`; may be repeated",
    ),
    Arg(
        ("--format",),
        choices=("dag", "report", "json", "html"),
        default="dag",
        help="dag: write the files and print the report; report, json, html: only print it, as text, JSON or HTML",
    ),
    Arg(("--overwrite",), help="Replace existing files", action="store_true"),
)
_PREVIEW_ARGUMENTS = (
    Arg(("dag_id",), help="Id of the DAG"),
    Arg(("task_id",), help="Id of a task of type SendMailOperator"),
    Arg(("--run-id",), help="Id of a run whose parameters and XComs the templates use (default: no run, now)"),
    Arg(("--conf",), metavar="JSON", help="Parameters of a run that does not exist, as of `airflow dags trigger`"),
    Arg(("--map-index",), type=int, default=-1, help="Index of a mapped task"),
    Arg(("--output",), metavar="DIR", default=".", help="Folder for message.eml and message.html (default: .)"),
)


def get_cli_commands() -> list[CLICommand]:
    """Return the commands (key ``cli`` of the provider's metadata)."""
    commands = "airflow_smtp_cm.cli.commands"
    return [
        GroupCommand(
            name="smtp-cm",
            help="Use SMTP connection managers",
            subcommands=(
                ActionCommand(
                    name="test",
                    help="Log in to the server of a connection; with --to, send a test message",
                    func=lazy_load_command(f"{commands}.test"),
                    args=(
                        _CONN_ID,
                        Arg(("--to",), help="Send a test message to this address"),
                        Arg(("--trace",), help="Show the SMTP dialogue, with secrets replaced", action="store_true"),
                    ),
                    epilog="Exit status 0 on success, else 1.",
                ),
                ActionCommand(
                    name="preview",
                    help="Write the message of a task to files, without sending it or connecting to the server",
                    func=lazy_load_command("airflow_smtp_cm.cli.preview.preview"),
                    args=_PREVIEW_ARGUMENTS,
                    epilog="Exit status 0 if the message can be sent, else 1, with the same errors as sending.",
                ),
                ActionCommand(
                    name="connection-string",
                    help="Show a connection as SSIS's connection string",
                    func=lazy_load_command(f"{commands}.connection_string"),
                    args=(_CONN_ID,),
                ),
                ActionCommand(
                    name="add",
                    help="Add a connection from SSIS's connection string",
                    func=lazy_load_command(f"{commands}.add"),
                    args=(
                        _CONN_ID,
                        Arg(
                            ("connection_string",),
                            help="'SmtpServer=...;UseWindowsAuthentication=True;EnableSsl=True;', or a server's name",
                        ),
                    ),
                ),
                ActionCommand(
                    name="import",
                    help="Convert the mail of SSIS packages: DAGs, connections, and a report",
                    func=lazy_load_command(f"{commands}.import_packages"),
                    args=_IMPORT_ARGUMENTS,
                    epilog=(
                        "Exit status 0 if every file was read and written, even if manual work remains; 1 if a file "
                        "could not be read or converted, or was not written because it exists and differs, or if "
                        "there are no SSIS files."
                    ),
                ),
            ),
        )
    ]
