"""What a large attachment costs: seconds, and memory over the idle process.

Sends to Postfix's smtp-sink on loopback, which throws the mail away.
Run: .venv/bin/python benchmarks/attachment.py [MB ...]
"""

from __future__ import annotations

import getpass
import multiprocessing
import resource
import socket
import subprocess
import sys
import tempfile
import time

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.mail.sources import Attachment

SINK = "/usr/sbin/smtp-sink"
MEGABYTE = 1_000_000


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def send(port: int, path: str, results: multiprocessing.SimpleQueue[tuple[float, float, int]]) -> None:
    manager = SmtpConnectionManager(smtp_server="127.0.0.1", port=port)
    small = MailMessage(
        from_email="a@bench.test",
        to="b@bench.test",
        text="warm up",
        attachments=[Attachment(b"x" * 100_000, "warm-up")],
    )
    with manager.acquire() as client:
        client.send(small)
        idle = peak_kib()
        message = MailMessage(from_email="a@bench.test", to="b@bench.test", text="", attachments=[path])
        started, cpu = time.perf_counter(), time.process_time()
        client.send(message)
        results.put((time.perf_counter() - started, time.process_time() - cpu, peak_kib() - idle))


def measure(megabytes: int, port: int) -> None:
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        for _ in range(megabytes):
            file.write(bytes(range(256)) * (MEGABYTE // 256))
        file.flush()
        fresh = multiprocessing.get_context("spawn")
        results = fresh.SimpleQueue()
        child = fresh.Process(target=send, args=(port, file.name, results))
        child.start()
        child.join()
        seconds, cpu, kib = results.get()
        print(f"{megabytes:4d} MB: {seconds:6.2f} s, CPU {cpu:6.2f} s, {kib / 1024:6.2f} MiB over idle")


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sink = subprocess.Popen([SINK, "-u", getpass.getuser(), f"127.0.0.1:{port}", "100"])
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        for megabytes in map(int, sys.argv[1:] or (1, 10, 100)):
            measure(megabytes, port)
    finally:
        sink.terminate()
        sink.wait()


if __name__ == "__main__":
    main()
