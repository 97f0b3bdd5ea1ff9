"""Very many messages to Postfix: sent, counted, and what they cost the process that sends them."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp.errors import Refused
from airflow_smtp_cm.smtp.settings import MechanismChoice
from tests.servers.people import ALICE, MAIL_DOMAIN, MAIL_HOST
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_smtp_cm.smtp.client import SmtpClient
    from tests.servers.certificates import Certificates
    from tests.servers.postfix import Postfix

MAILBOX = "many"
MAY_GROW_KIB = 2048

# To each message; so large that whoever keeps what it was sent as needs more memory than that.
_ATTACHED = b"0123456789,0123456789,0123456789\n" * 300
_SESSION_ENDED = 421


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What some messages cost the process that sent them.

    Attributes:
        messages: how many they were.
        put_off: how many of them had to be sent again, because the server ended the session with 421 instead.
        seconds: how long it took.
        early_kib: the process's largest memory until each thread had sent a tenth of its share.
        peak_kib: the same, to the end.
        files_before: files and sockets that it had open before.
        files_after: and after.
    """

    messages: int
    put_off: int
    seconds: float
    early_kib: int
    peak_kib: int
    files_before: int
    files_after: int

    @property
    def is_flat(self) -> bool:
        """Whether memory did not grow with the number of messages, and nothing was left open."""
        return self.peak_kib - self.early_kib <= MAY_GROW_KIB and self.files_after == self.files_before


def send(open_client: Callable[[], SmtpClient], case: str, messages: int, *, threads: int = 1) -> Cost:
    """Send messages by threads that have a client each.

    Args:
        open_client: what opens one.
        case: tells these messages from others, as the extension of the recipient.
        messages: how many, all threads together.
        threads: how many.

    Raises:
        SmtpError: a message was refused, and not by a 421 that another session made up for.
    """
    files_before, started = open_files(), time.perf_counter()
    early_kib: list[int] = []
    # Before that, a thread that has not had its turn needs the memory of a session later.
    all_have_sent_a_tenth = Barrier(threads, action=lambda: early_kib.append(peak_kib()))

    def send_share(message_ids: list[str]) -> int:
        put_off = 0
        try:
            with open_client() as client:
                for number, message_id in enumerate(message_ids, 1):
                    put_off += _send(client, _message(message_id, case, attachment))
                    if number == len(message_ids) // 10:
                        all_have_sent_a_tenth.wait()
        except BaseException:
            all_have_sent_a_tenth.abort()
            raise
        return put_off

    with tempfile.NamedTemporaryFile() as attachment_file:
        attachment_file.write(_ATTACHED)
        attachment_file.flush()
        attachment = attachment_file.name
        ids = message_ids(case, messages)
        with ThreadPoolExecutor(threads) as pool:
            put_off = sum(pool.map(send_share, [ids[thread::threads] for thread in range(threads)]))
    return Cost(
        messages=messages,
        put_off=put_off,
        seconds=time.perf_counter() - started,
        early_kib=early_kib[0],
        peak_kib=peak_kib(),
        files_before=files_before,
        files_after=open_files(),
    )


def send_from_new_process(manager: SmtpConnectionManager, case: str, messages: int, *, threads: int = 1) -> Cost:
    """Do the same in a process that has done nothing else, so that its memory tells of this alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(send, manager.acquire, case, messages, threads=threads).result()


def to_postfix(postfix: Postfix, certificates: Certificates, port: str = "default") -> SmtpConnectionManager:
    """Return a connection manager by which alice logs in to one of Postfix's ports, by NTLM under STARTTLS."""
    return SmtpConnectionManager(
        smtp_server=LOOPBACK,
        port=postfix.port(port),
        server_name=MAIL_HOST,
        enable_ssl=True,
        ca_bundle=str(certificates.authority),
        use_windows_authentication=True,
        mechanism=MechanismChoice.NTLM,
        username=ALICE.down_level,
        password=ALICE.password,
    )


def message_ids(case: str, messages: int) -> list[str]:
    """Return the Message-IDs of the messages that ``send`` sends."""
    return [f"<{number}.{case}@{MAIL_DOMAIN}>" for number in range(messages)]


def copies(postfix: Postfix, ids: list[str]) -> dict[int, int]:
    """Count the delivered copies of each message; ``{1: 200}`` says that each of 200 was delivered once."""
    delivered = postfix.copies(MAILBOX)
    return dict(Counter(delivered[message_id] for message_id in ids))


def peak_kib() -> int:
    """Return the largest memory that the process has needed."""
    # Not getrusage's, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def open_files() -> int:
    """Count the files and sockets that the process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))  # one of them is the listing's own


def _message(message_id: str, case: str, attachment: str) -> MailMessage:
    return MailMessage(
        from_email=ALICE.address,
        to=f"{MAILBOX}+{case}@{MAIL_DOMAIN}",
        subject=f"Message {message_id}",
        text="The figures are attached.\n",
        attachments=[attachment],
        message_id=message_id,
    )


def _send(client: SmtpClient, message: MailMessage) -> bool:
    """Send a message, again if the session was over; return whether that was so."""
    try:
        client.send(message)
    except Refused as error:
        if error.code != _SESSION_ENDED:
            raise
        client.send(message)
        return True
    return False
