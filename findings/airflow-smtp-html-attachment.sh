#!/usr/bin/env bash
# EmailOperator cannot attach a file whose name ends in .html: it is taken for a template.
#
# Versions: apache-airflow 3.3.2, apache-airflow-providers-smtp 3.2.0.
# Behaviour: template_ext is (".html",), which is meant for html_content; but files is a template field, too. So Airflow
#   looks for the attachment where it looks for templates. If it is not there, rendering fails. If it is there, its
#   content takes the place of its path.
# Why it matters: a report is often an HTML file. The same task works with .htm or .pdf, and the error speaks of a
#   template that is not found, also if the path is absolute and the file exists. literal() keeps the path as it is.
# Seen:
#   .../figures.htm: attaches ['.../figures.htm']
#   .../figures.html: TemplateNotFound
#   figures.html: attaches ['<p>2,150 units</p>']
#   literal(.../figures.html): attaches ['.../figures.html']
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --constraint ../constraints.txt \
    apache-airflow==3.3.2 apache-airflow-providers-smtp==3.2.0

cat >"$folder/try.py" <<'EOF'
import os
from pathlib import Path

from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import DAG, literal
from jinja2 import TemplateNotFound

seen = open(3, "w")
folder = Path(os.environ["AIRFLOW_HOME"])
for name in ("figures.htm", "figures.html"):
    (folder / name).write_text("<p>2,150 units</p>")


def attach(file, called):
    with DAG("report", template_searchpath=str(folder)):
        task = EmailOperator(task_id="send", to="alice@corp.example", subject="Figures", html_content="-", files=[file])
    try:
        task.render_template_fields({})
        outcome = f"attaches {task.files}"
    except TemplateNotFound:
        outcome = "TemplateNotFound"
    print(f"{called}: {outcome}".replace(str(folder), "..."), file=seen)


attach(f"{folder}/figures.htm", f"{folder}/figures.htm")
attach(f"{folder}/figures.html", f"{folder}/figures.html")
attach("figures.html", "figures.html")
attach(literal(f"{folder}/figures.html"), f"literal({folder}/figures.html)")
EOF
AIRFLOW_HOME=$folder "$folder/venv/bin/python" "$folder/try.py" 3>"$folder/seen" >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
}

diff - "$folder/seen" <<'EOF'
.../figures.htm: attaches ['.../figures.htm']
.../figures.html: TemplateNotFound
figures.html: attaches ['<p>2,150 units</p>']
literal(.../figures.html): attaches ['.../figures.html']
EOF
echo "As described."
