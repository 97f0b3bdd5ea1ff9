"""Send many messages to Postfix, count the delivered ones, and measure the cost for the sending process."""

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
from airflow_smtp_cm.smtp.errors import Refused, SmtpError
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

# Attached to each message: so large that a client that keeps the sent messages exceeds MAY_GROW_KIB.
_ATTACHED = b"0123456789,0123456789,0123456789\n" * 300
_SESSION_ENDED = 421


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of some messages for the process that sent them.

    Attributes:
        messages: number of messages.
        resent: how many of them had to be sent again, because the server ended the session with 421.
        seconds: duration.
        early_kib: peak memory of the process when each thread had sent a tenth of its share.
        peak_kib: peak memory at the end.
        files_before: number of open files and sockets before.
        files_after: the same number after.
    """

    messages: int
    resent: int
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
    """Send messages from threads that have a client each.

    Args:
        open_client: opens a client.
        case: distinguishes these messages from others; it is the extension of the recipient.
        messages: number of messages of all threads together.
        threads: number of threads.

    Raises:
        SmtpError: a message was refused; a 421 counts only if a new session did not help.
    """
    with open_client():  # so that what the process opens once, such as libffi its own file, is not counted
        pass
    files_before, started = open_files(), time.perf_counter()
    early_kib: list[int] = []
    # A thread that starts later would otherwise need the memory of its session after the first measurement.
    all_have_sent_a_tenth = Barrier(threads, action=lambda: early_kib.append(peak_kib()))

    def send_share(message_ids: list[str]) -> int:
        resent = 0
        try:
            with open_client() as client:
                for number, message_id in enumerate(message_ids, 1):
                    resent += _send(client, _message(message_id, case, attachment))
                    if number == len(message_ids) // 10:
                        all_have_sent_a_tenth.wait()
        except BaseException:
            all_have_sent_a_tenth.abort()
            raise
        return resent

    with tempfile.NamedTemporaryFile() as attachment_file:
        attachment_file.write(_ATTACHED)
        attachment_file.flush()
        attachment = attachment_file.name
        ids = message_ids(case, messages)
        with ThreadPoolExecutor(threads) as pool:
            resent = sum(pool.map(send_share, [ids[thread::threads] for thread in range(threads)]))
    return Cost(
        messages=messages,
        resent=resent,
        seconds=time.perf_counter() - started,
        early_kib=early_kib[0],
        peak_kib=peak_kib(),
        files_before=files_before,
        files_after=open_files(),
    )


def send_over_connections(open_client: Callable[[], SmtpClient], case: str, messages: int, connections: int) -> Cost:
    """Send messages with ``send_all`` over several connections at the same time.

    Raises:
        SmtpError: a message was refused.
    """
    with open_client():  # as in ``send``
        pass
    files_before, started = open_files(), time.perf_counter()
    early_kib = 0
    with tempfile.NamedTemporaryFile() as attachment, open_client() as client:
        attachment.write(_ATTACHED)
        attachment.flush()
        client.further += [client.open_another() for _ in range(connections - 1)]
        mails = (_message(message_id, case, attachment.name) for message_id in message_ids(case, messages))
        for number, outcome in enumerate(client.send_all(mails, connections=connections), 1):
            if isinstance(outcome, SmtpError):
                raise outcome
            if number == messages // 10:
                early_kib = peak_kib()
    return Cost(
        messages=messages,
        resent=0,
        seconds=time.perf_counter() - started,
        early_kib=early_kib,
        peak_kib=peak_kib(),
        files_before=files_before,
        files_after=open_files(),
    )


def send_from_new_process(
    manager: SmtpConnectionManager, case: str, messages: int, *, threads: int = 1, connections: int = 1
) -> Cost:
    """Send from a new process, whose memory is that of sending; several connections are those of one client."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        if connections > 1:
            return process.submit(send_over_connections, manager.acquire, case, messages, connections).result()
        return process.submit(send, manager.acquire, case, messages, threads=threads).result()


def to_postfix(postfix: Postfix, certificates: Certificates, port: str = "default") -> SmtpConnectionManager:
    """Return a connection manager that logs in to a port of Postfix as alice, with NTLM under STARTTLS."""
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
    """Count the delivered copies of each message; ``{1: 200}`` means that each of 200 was delivered once."""
    delivered = postfix.copies(MAILBOX)
    return dict(Counter(delivered[message_id] for message_id in ids))


def peak_kib() -> int:
    """Return the peak memory of the process."""
    # Not that of getrusage, which a process inherits from its parent.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def open_files() -> int:
    """Count the files and sockets that the process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))  # including the folder that is listed


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
    """Send a message; if the session has ended, send it again. Return whether that was necessary."""
    try:
        client.send(message)
    except Refused as error:
        if error.code != _SESSION_ENDED:
            raise
        client.send(message)
        return True
    return False
