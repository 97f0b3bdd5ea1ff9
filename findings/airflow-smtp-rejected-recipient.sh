#!/usr/bin/env bash
# EmailOperator succeeds although the server rejected one of the recipients, and nothing reports it.
#
# Versions: apache-airflow 3.3.2, apache-airflow-providers-smtp 3.2.0.
# Behaviour: smtplib's sendmail() raises only if the server rejects every recipient; else it returns the replies to the
#   rejected ones. The provider's hook ignores that result.
# Why it matters: when a mailbox is closed, its owner's successor gets no report, and every task stays green. There is
#   no bounce either: the server never accepted a message for that address.
# Seen:
#   RCPT TO:<alice@corp.example> -> 250 2.1.5 Ok
#   RCPT TO:<gone@corp.example> -> 550 5.1.1 No such mailbox
#   delivered to ['alice@corp.example']
#   the task returned None
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --constraint ../constraints.txt \
    apache-airflow==3.3.2 apache-airflow-providers-smtp==3.2.0 aiosmtpd==1.4.6

cat >"$folder/try.py" <<'EOF'
import json
import os
import socket

from aiosmtpd.controller import Controller
from airflow.providers.smtp.operators.smtp import EmailOperator

seen = open(3, "w")


class Mailboxes:
    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = "550 5.1.1 No such mailbox"
        if address == "alice@corp.example":
            envelope.rcpt_tos.append(address)
            reply = "250 2.1.5 Ok"
        print(f"RCPT TO:<{address}> -> {reply}", file=seen)
        return reply

    async def handle_DATA(self, server, session, envelope):
        print("delivered to", envelope.rcpt_tos, file=seen)
        return "250 2.0.0 Ok"


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
os.environ["AIRFLOW_CONN_SMTP_DEFAULT"] = json.dumps(
    {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": {"disable_ssl": True, "disable_tls": True}}
)
task = EmailOperator(
    task_id="report",
    from_email="reports@corp.example",
    to=["alice@corp.example", "gone@corp.example"],
    subject="Figures",
    html_content="2,150 units",
)
server = Controller(Mailboxes(), hostname="127.0.0.1", port=port)
server.start()
try:
    print("the task returned", task.execute({}), file=seen)
finally:
    server.stop()
EOF
AIRFLOW_HOME=$folder "$folder/venv/bin/python" "$folder/try.py" 3>"$folder/seen" >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
}

diff - "$folder/seen" <<'EOF'
RCPT TO:<alice@corp.example> -> 250 2.1.5 Ok
RCPT TO:<gone@corp.example> -> 550 5.1.1 No such mailbox
delivered to ['alice@corp.example']
the task returned None
EOF
echo "As described."
