#!/usr/bin/env bash
# SmtpHook cannot send with asyncio where the server uses STARTTLS, over the same connection that works without asyncio.
#
# Versions: apache-airflow 3.3.2, apache-airflow-providers-smtp 3.2.0 (aiosmtplib 5.1.3).
# Behaviour: aiosmtplib is told to begin TLS when it connects; then the hook begins TLS once more, which aiosmtplib
#   refuses.
# Why it matters: deadline alerts (AsyncCallback with SmtpNotifier) go this way, in the triggerer. "Test connection" and
#   every EmailOperator work with the connection, and the one mail that says that a run is late does not come.
# Seen:
#   with: sent
#   async with: SMTPException: Connection already using TLS
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --constraint ../constraints.txt \
    apache-airflow==3.3.2 apache-airflow-providers-smtp==3.2.0 aiosmtplib==5.1.3 aiosmtpd==1.4.6 trustme==1.2.1

cat >"$folder/try.py" <<'EOF'
import asyncio
import json
import os
import socket
import ssl

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtplib import SMTPException
from airflow.providers.smtp.hooks.smtp import SmtpHook

seen = open(3, "w")
authority = trustme.CA()
os.environ["SSL_CERT_FILE"] = f"{os.environ['AIRFLOW_HOME']}/authority.pem"
authority.cert_pem.write_to_path(os.environ["SSL_CERT_FILE"])
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
authority.issue_cert("localhost").configure_cert(tls)

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
os.environ["AIRFLOW_CONN_SMTP_DEFAULT"] = json.dumps(
    {"conn_type": "smtp", "host": "localhost", "port": port, "extra": {"disable_ssl": True}}
)
mail = {"from_email": "airflow@corp.example", "to": "alice@corp.example", "subject": "Late", "html_content": "-"}


async def send():
    async with SmtpHook() as hook:
        await hook.asend_email_smtp(**mail)


server = Controller(Sink(), hostname="127.0.0.1", port=port, tls_context=tls, require_starttls=True)
server.start()
try:
    with SmtpHook() as hook:
        hook.send_email_smtp(**mail)
    print("with: sent", file=seen)
    try:
        asyncio.run(send())
        print("async with: sent", file=seen)
    except SMTPException as error:
        print(f"async with: {type(error).__name__}: {error}", file=seen)
finally:
    server.stop()
EOF
AIRFLOW_HOME=$folder "$folder/venv/bin/python" "$folder/try.py" 3>"$folder/seen" >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
}

diff - "$folder/seen" <<'EOF'
with: sent
async with: SMTPException: Connection already using TLS
EOF
echo "As described."
