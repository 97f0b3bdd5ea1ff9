#!/usr/bin/env bash
# A callback of a DAG that comes while the dag-processor reads the DAG's file waits until the file is read again.
#
# Versions: apache-airflow 3.3.2.
# Behaviour: the dag-processor puts the file of a callback at the front of its queue, and calls the callback when it has
#   read the file. If a process reads this file at that moment, as it does every min_file_process_interval, and another
#   process may start (parsing_processes, by default 2), the file is removed from the queue. The callback is kept in memory
#   until the file is in the queue for another reason: after the next interval, or with the next callback of the same file.
#   So it is for a bundle without versions, such as a local folder.
# Why it matters: the alert about a failed run is late by the interval, which is often set to many minutes to save CPU
#   time. Nothing is logged above DEBUG.
# Seen, with an interval of 90 seconds:
#   requested while the file is read: not called in the 30 seconds after that
#   called when the file is read again
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
processor=
trap '[ -z "$processor" ] || kill "$processor" || true; wait; rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --constraint ../constraints.txt apache-airflow==3.3.2

mkdir "$folder/dags"
# While there is "slow", reading the file takes as long as this script wants.
cat >"$folder/dags/sales.py" <<'EOF'
import time
from pathlib import Path

from airflow.sdk import DAG

home = Path(__file__).parents[1]


def alert(context):
    (home / "called").touch()


if (home / "slow").exists() and not (home / "go_on").exists():
    (home / "reading").touch()
    while not (home / "go_on").exists():
        time.sleep(0.1)

with DAG("sales", schedule=None, on_failure_callback=alert):
    pass
EOF

# Hands a callback over as the scheduler does.
cat >"$folder/request.py" <<'EOF'
from airflow.callbacks.callback_requests import DagCallbackRequest
from airflow.callbacks.database_callback_sink import DatabaseCallbackSink

DatabaseCallbackSink().send(
    DagCallbackRequest(
        filepath="sales.py", bundle_name="dags-folder", bundle_version=None, dag_id="sales", run_id="manual"
    )
)
EOF

cat >"$folder/pending.py" <<'EOF'
from airflow.models.db_callback_request import DbCallbackRequest
from airflow.utils.session import create_session
from sqlalchemy import func, select

with create_session() as session:
    print(session.scalar(select(func.count()).select_from(DbCallbackRequest)))
EOF

fail() {
    cat "$folder/log" >&2
    echo "$1" >&2
    exit 1
}
wait_for() {
    for _ in $(seq 600); do
        if "$@" >>"$folder/log" 2>&1; then return; fi
        kill -0 "$processor" || break
        sleep 0.5
    done
    fail "In vain: $*"
}
is_read() { "$folder/venv/bin/airflow" dags details sales; }
are_fetched() { [ "$("$folder/venv/bin/python" "$folder/pending.py" 2>>"$folder/log" | tail -n 1)" = 0 ]; }

export AIRFLOW_HOME=$folder AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=90
# Airflow ends a read after 30 or 50 seconds, which may be too soon for this script on a slow machine.
export AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT=600 AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT=600
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1 || fail "The database cannot be made."
"$folder/venv/bin/airflow" dag-processor >>"$folder/log" 2>&1 &
processor=$!
wait_for is_read

touch "$folder/slow" "$folder/dags/sales.py"
wait_for test -e "$folder/reading"
"$folder/venv/bin/python" "$folder/request.py" >>"$folder/log" 2>&1 || fail "The callback cannot be requested."
wait_for are_fetched
touch "$folder/go_on"

sleep 30
[ -e "$folder/called" ] || echo "requested while the file is read: not called in the 30 seconds after that" >"$folder/seen"
wait_for test -e "$folder/called"
echo "called when the file is read again" >>"$folder/seen"

diff - "$folder/seen" <<'EOF'
requested while the file is read: not called in the 30 seconds after that
called when the file is read again
EOF
echo "As described."
