#!/usr/bin/env bash
# demo/from_wheel.sh WHEEL: installs the wheel in a new virtual environment, and runs the demo there. Python cannot
# import the checkout: the demo is copied to a temporary folder, and the DAGs are those in the wheel.
set -euo pipefail

wheel=$(realpath -- "${1:?the path of the wheel is required}")
cd "$(dirname "$0")/.."
unset PYTHONPATH

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
PIP_CONSTRAINT=constraints.txt "$folder/venv/bin/pip" --disable-pip-version-check --quiet install "$wheel[testing]"

mkdir "$folder/demo"
cp demo/run.py "$folder/demo"
cd "$folder"
package=$(venv/bin/python -c 'import airflow_smtp_cm; print(*airflow_smtp_cm.__path__)')
cp -r "$package/example_dags" .
echo "Running the demo from $package ..."
venv/bin/python demo/run.py
