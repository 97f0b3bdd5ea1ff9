"""Why Airflow does not find a connection; a variable that it cannot read is the same to it as one that is not set."""

from __future__ import annotations

import json
import os

from airflow_smtp_cm.characters.control import visible


def why_missing(conn_id: str) -> str:
    """Return the error for a connection that Airflow does not find, in the words of SSIS (0xC00291D3).

    The value of an environment variable is not part of it, because it contains the password.
    """
    missing = f'The specified connection "{visible(conn_id)}" does not exist.'
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    value = os.environ.get(variable, "").strip() if variable.isprintable() else ""  # else it cannot be in there
    if not value:
        return f"{missing} Add it under Admin > Connections, with the type SMTP Connection Manager (smtp_cm)."
    unreadable = f"{missing} The environment variable {visible(variable)} is set, but"
    if not value.startswith("{"):
        return f"{unreadable} Airflow cannot read it. Write it as JSON or as a URI."
    try:
        json.loads(value)
    except json.JSONDecodeError as error:
        reason = error.msg.partition(":")[0]
        place = f"line {error.lineno}, column {error.colno}"
        escape = r' In JSON, a backslash is written twice: "CORP\\reports".' if "escape" in reason else ""
        return f"{unreadable} it is not valid JSON ({reason}, {place}).{escape}"
    return f"{unreadable} Airflow cannot make a connection of this JSON. Check its keys and the port."
