#!/usr/bin/env bash
# Airflow's commands write warnings of the log to standard output, before and between what they are asked for.
#
# Versions: apache-airflow 3.3.2, with Python 3.11.7 and 3.14.8.
# Behaviour: Airflow 3.3 logs to standard output, in its commands too. With Python 3.14 every command begins with two
#   warnings that argparse.FileType is deprecated. With every Python, a connection whose type has an underscore adds
#   one when its URI is made. Most commands silence the log while they do their work, but not before; "connections
#   export" does not silence it at all, though it writes its own message to standard error.
# Why it matters: with Python 3.14, $(airflow config get-value ...) is not the value, and what --output json prints is
#   not JSON. "airflow connections import" reports the warning in the export as a connection that it cannot import.
#   Remedies: read the last line only; export to a file by its name instead of "-".
# Seen, without times and places in the code (the lines with FileType only with Python 3.14):
#   $ airflow config get-value core executor
#   [warning  ] FileType is deprecated. Simply open files after parsing arguments.
#   [warning  ] FileType is deprecated. Simply open files after parsing arguments.
#   LocalExecutor
#   $ airflow connections export - --file-format env
#   [warning  ] FileType is deprecated. Simply open files after parsing arguments.
#   [warning  ] FileType is deprecated. Simply open files after parsing arguments.
#   [warning  ] Connection schemes (type: google_cloud_platform) shall not contain '_' according to RFC3986.
#   warehouse=google-cloud-platform:///?project=figures
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --constraint ../constraints.txt apache-airflow==3.3.2

export AIRFLOW_HOME=$folder AIRFLOW__CORE__LOAD_EXAMPLES=False PATH=$folder/venv/bin:$PATH
warehouse='{"conn_type": "google_cloud_platform", "extra": {"project": "figures"}}'
{
    airflow db migrate && airflow connections add warehouse --conn-json "$warehouse"
} >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
}
for command in "config get-value core executor" "connections export - --file-format env"; do
    echo "$ airflow $command"
    airflow $command 2>>"$folder/log" # not quoted: a command of several words
done | sed -E 's/^[-0-9T:.]+Z (.*[^ ]) +\[(py.warnings|airflow.models)[^ ]*\] .*/\1/' >"$folder/seen"

cat >"$folder/expected" <<'EOF'
$ airflow config get-value core executor
[warning  ] FileType is deprecated. Simply open files after parsing arguments.
[warning  ] FileType is deprecated. Simply open files after parsing arguments.
LocalExecutor
$ airflow connections export - --file-format env
[warning  ] FileType is deprecated. Simply open files after parsing arguments.
[warning  ] FileType is deprecated. Simply open files after parsing arguments.
[warning  ] Connection schemes (type: google_cloud_platform) shall not contain '_' according to RFC3986.
warehouse=google-cloud-platform:///?project=figures
EOF
if python -c 'import sys; sys.exit(sys.version_info >= (3, 14))'; then
    sed -i '/FileType/d' "$folder/expected"
fi
diff "$folder/expected" "$folder/seen"
echo "As described."
