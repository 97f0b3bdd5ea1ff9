"""``airflow smtp-cm``, as definitions for Airflow's command line; what a command does is imported when it runs."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

_CONN_ID = Arg(("conn_id",), help="Id of the Airflow connection")


def get_cli_commands() -> list[CLICommand]:
    """Return the commands (key ``cli`` of the provider's metadata)."""
    commands = "airflow_smtp_cm.cli_commands"
    return [
        GroupCommand(
            name="smtp-cm",
            help="Use SMTP connection managers",
            subcommands=(
                ActionCommand(
                    name="test",
                    help="Log in to the server of a connection, and send a test message if asked",
                    func=lazy_load_command(f"{commands}.test"),
                    args=(
                        _CONN_ID,
                        Arg(("--to",), help="Send a test message to this address"),
                        Arg(("--trace",), help="Show the dialogue, secrets replaced", action="store_true"),
                    ),
                    epilog="Ends with 0 if all went well, else with 1.",
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
            ),
        )
    ]
