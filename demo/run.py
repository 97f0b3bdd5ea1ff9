"""Runs example_dags/send_mail.py in Airflow with a test server in this process, and shows the received mail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from airflow_smtp_cm.testing import ReceivedMessage, SmtpTestServer

ROOT = Path(__file__).parent.parent
AIRFLOW_HOME = ROOT / ".build" / "demo"
DATABASE = AIRFLOW_HOME / "airflow.db"
AIRFLOW = Path(sys.executable).with_name("airflow")


def environment(server: SmtpTestServer) -> dict[str, str]:
    """Return an environment with a separate Airflow, and a connection to the server."""
    return os.environ | {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW_CONN_SMTP_CM_DEFAULT": server.airflow_connection(),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{DATABASE}",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }


def airflow(*arguments: str, env: dict[str, str]) -> None:
    """Run an airflow command; if it fails, exit with its output."""
    outcome = subprocess.run(
        [AIRFLOW, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if outcome.returncode:
        sys.exit(f"{outcome.stdout}\nairflow {' '.join(arguments)} failed.")


def main() -> None:
    """Run the demo."""
    AIRFLOW_HOME.mkdir(parents=True, exist_ok=True)
    with SmtpTestServer() as server:
        env = environment(server)
        if not DATABASE.exists():
            print("Creating Airflow's database ...", flush=True)
            airflow("db", "migrate", env=env)
        print("Running the DAG send_mail ...", flush=True)
        airflow("dags", "test", "send_mail", env=env)
    for received in server.outbox:
        show(received)
    if len(server.outbox) != 1:
        sys.exit(f"The server received {len(server.outbox)} messages instead of one.")


def show(received: ReceivedMessage) -> None:
    """Print a received message."""
    print(f"\nLogged in:     {received.identity} by {received.mechanism}, under {received.tls_version}")
    print(f"Envelope from: {received.sender}")
    print(f"Envelope to:   {', '.join(received.recipients)}")
    print("Headers:")
    for name, value in received.message.items():
        print(f"  {name}: {value}")
    for part in received.message.walk():
        if not part.is_multipart():
            file_name = part.get_filename()
            print(f"Attachment {file_name}:" if file_name else "Body:")
            for line in part.get_content().splitlines():
                print(f"  {line}")


if __name__ == "__main__":
    main()
