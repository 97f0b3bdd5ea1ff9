"""Postfix with Cyrus SASL: one instance, with a port for each variant of a server. It runs as root only.

The machine's own /etc/postfix is neither read nor changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.maildir import Maildir, Which
from tests.servers.people import ALICE, BOB, MAIL_DOMAIN, MAIL_HOST, NTLM_USERS
from tests.servers.processes import LOOPBACK, free_ports, running, wait_until

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage

    from tests.servers.certificates import Certificate, Certificates
    from tests.servers.kdc import Kdc

SIZE_LIMIT = 20_000
MESSAGES_PER_SESSION = 20
RECIPIENT_LIMIT = 100
# The last three are for large messages and for many messages, which would disturb tests that read the others.
MAILBOXES = ("alice", "bob", "carol", "bøb", "postmaster", "first", "last", "many")
# Replies to MAIL and RCPT, on every port.
SENDERS = {f"blocked@{MAIL_DOMAIN}": "550 5.7.1 Not from you"}
RECIPIENTS = {
    f"refused@{MAIL_DOMAIN}": "550 5.1.1 No such person",
    f"later@{MAIL_DOMAIN}": "451 4.3.0 Try again later",
}

# The differences of each port from "default". That port offers all extensions of Postfix, accepts the SPN SMTPSVC/...
# like Exchange, offers AUTH only after STARTTLS, and accepts mail only after a login.
PORTS = {
    "default": "",
    # TLS from the first byte
    "smtps": "smtpd_tls_wrappermode=yes",
    # the SPN of servers other than Exchange: smtp/...
    "smtp_service": "smtpd_sasl_service=smtp",
    # no login; accepts anonymous mail to corp.test, with or without STARTTLS
    "no_auth": "smtpd_sasl_auth_enable=no smtpd_relay_restrictions=reject_unauth_destination",
    # no TLS; the login is offered without it
    "no_starttls": "smtpd_tls_security_level=none smtpd_tls_auth_only=no",
    # one mechanism only
    "ntlm_only": "smtpd_sasl_mechanism_filter=ntlm",
    "gssapi_only": "smtpd_sasl_mechanism_filter=gssapi",
    "gss_spnego_only": "smtpd_sasl_mechanism_filter=gss-spnego",
    "basic_only": "smtpd_sasl_mechanism_filter=plain,login",
    # extensions that the EHLO reply does not list
    "no_pipelining": "smtpd_discard_ehlo_keywords=pipelining",
    "no_chunking": "smtpd_discard_ehlo_keywords=chunking",
    "no_8bitmime": "smtpd_discard_ehlo_keywords=8bitmime,smtputf8",
    "no_smtputf8": "smtpd_discard_ehlo_keywords=smtputf8",
    "bare": (
        "smtpd_discard_ehlo_keywords="
        "pipelining,size,vrfy,etrn,enhancedstatuscodes,8bitmime,dsn,smtputf8,chunking,requiretls"
    ),
    # ends a session with 421 after some errors
    "few_errors": "smtpd_hard_error_limit=5",
    # accepts this many recipients at once
    "few_recipients": f"smtpd_recipient_limit={RECIPIENT_LIMIT} smtpd_hard_error_limit=20",
    # at most SIZE_LIMIT bytes per message, announced or not
    "small": f"message_size_limit={SIZE_LIMIT}",
    "small_unannounced": f"message_size_limit={SIZE_LIMIT} smtpd_discard_ehlo_keywords=size",
    # accepts every message, with or without a login, and discards it
    "discarding": (
        "mynetworks=127.0.0.1 smtpd_relay_restrictions=permit_mynetworks,reject "
        "smtpd_sender_restrictions=check_sender_access,static:discard"
    ),
    # a second later than the others, at the final reply, as Exchange does
    "delaying": "smtpd_end_of_data_restrictions=sleep,1",
    # MESSAGES_PER_SESSION, then 421 at the next MAIL
    "throttled": "smtpd_sender_restrictions=check_policy_service,unix:private/throttle",
}
# Ports with another certificate; they are named as in ``Certificates``.
CERTIFICATES = ("rsa_sha384", "expired", "wrong_name", "untrusted")

_SERVICES = """\
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
error     unix - - n - - error
retry     unix - - n - - error
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""
_THROTTLE = Path(__file__).with_name("throttle.sh")


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix that delivers mail for corp.test to ``MAILBOXES``, ``+`` extensions included.

    alice and bob can log in. On all ports, ``SENDERS`` and ``RECIPIENTS`` get their fixed answers; bare LFs, and
    commands sent ahead where PIPELINING does not allow it, are refused.
    """

    folder: Path
    ports: Mapping[str, int]

    def port(self, name: str = "default") -> int:
        """Return the TCP port of this name, a key of ``PORTS`` or one of ``CERTIFICATES``."""
        return self.ports[name]

    def messages(self, user: str = BOB.name) -> list[EmailMessage]:
        """Return the messages delivered to the user, in order of arrival."""
        return self._mailbox(user).messages()

    def wait_for_message(self, which: Which, user: str = BOB.name) -> EmailMessage:
        """Wait for the user's first message with this Message-ID, or one that fulfils this condition."""
        return self._mailbox(user).wait_for(which)

    def wait_for_bytes(self, which: Which, user: str = BOB.name) -> bytes:
        """Like ``wait_for_message``, but return the bytes that Postfix wrote, with LF line ends."""
        return self._mailbox(user).wait_for_bytes(which)

    def copies(self, user: str = BOB.name) -> Counter[str]:
        """Count the messages delivered to the user, by Message-ID."""
        return self._mailbox(user).copies()

    def wait_until_idle(self) -> None:
        """Wait until every accepted message has been delivered.

        Raises:
            AssertionError: some remain.
        """
        queues = [self.folder / "spool" / queue for queue in ("maildrop", "incoming", "active", "deferred")]
        if not wait_until(lambda: not any(file.is_file() for queue in queues for file in queue.rglob("*"))):
            raise AssertionError(f"messages remain in {queues}")

    def _mailbox(self, user: str) -> Maildir:
        return Maildir(self.folder / "mail" / user)


@contextmanager
def running_postfix(
    folder: Path, kdc: Kdc, certificates: Certificates, interface: str = LOOPBACK
) -> Iterator[Postfix]:
    """Set up Postfix in a new folder, which its users must be able to read, and run it during the block.

    It listens on the interface, which must include 127.0.0.1.
    """
    names = [*PORTS, *CERTIFICATES]
    postfix = Postfix(folder, dict(zip(names, free_ports(len(names)), strict=True)))
    _make_folders(folder)
    _make_accounts(folder, kdc)
    _write_map(folder / "etc/mailboxes", {f"{user}@{MAIL_DOMAIN}": f"{user}/" for user in MAILBOXES})
    _write_map(folder / "etc/senders", SENDERS)
    _write_map(folder / "etc/recipients", RECIPIENTS)
    (folder / "etc/main.cf").write_text(_main_cf(folder, kdc, certificates))
    (folder / "etc/master.cf").write_text(_master_cf(folder, postfix.ports, certificates, interface))
    shutil.copy(_THROTTLE, folder / "etc")  # there, the user nobody can read it
    for file in (folder / "etc").iterdir():
        os.utime(file, (0, 0))  # Postfix does not read files that were written in the last seconds
    with running(
        # Not with postfix(1), which runs in the background, and checks the whole installation first.
        ["/usr/lib/postfix/sbin/master", "-c", folder / "etc"],
        port=postfix.port(names[-1]),  # master opens the ports in this order
        env={},
        output=folder / "output.log",
        logs=[folder / "mail.log"],
    ):
        yield postfix
    shutil.rmtree(folder / "spool")


def _make_folders(folder: Path) -> None:
    (folder / "etc/sasl").mkdir(parents=True)
    for name in ("data", "mail", "spool", "spool/pid"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    shutil.chown(folder / "mail", "nobody", "nogroup")
    own = "active bounce corrupt defer deferred flush hold incoming private saved trace maildrop public"
    for name in own.split():
        (folder / "spool" / name).mkdir(mode=0o700)
        shutil.chown(folder / "spool" / name, "postfix")


def _make_accounts(folder: Path, kdc: Kdc) -> None:
    (folder / "etc/sasl/smtpd.conf").write_text(f"""\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/etc/sasldb2
mech_list: NTLM GSSAPI GSS-SPNEGO PLAIN LOGIN
keytab: {kdc.server_keytab}
""")
    for user in (ALICE, BOB):
        subprocess.run(
            ["/usr/sbin/saslpasswd2", "-p", "-c", "-f", folder / "etc/sasldb2", "-u", MAIL_HOST, user.name],
            input=user.password.encode(),
            check=True,
        )
    shutil.chown(folder / "etc/sasldb2", group="postfix")
    # gss-ntlmssp, which serves NTLM inside GSS-SPNEGO, reads this file.
    (folder / "etc/ntlm-users").write_text(NTLM_USERS)


def _write_map(file: Path, entries: Mapping[str, str]) -> None:
    file.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))


def _main_cf(folder: Path, kdc: Kdc, certificates: Certificates) -> str:
    environment = {"NTLM_USER_FILE": folder / "etc/ntlm-users", **kdc.acceptor_environment}
    certificate = "\n".join(_tls(certificates.server))
    imported = " ".join(f"{name}={value}" for name, value in environment.items())
    return f"""\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
import_environment = MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME {imported}
myhostname = {MAIL_HOST}
mydestination =
inet_interfaces = {LOOPBACK}
inet_protocols = ipv4
mynetworks =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {MAIL_DOMAIN}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
recipient_delimiter = +
message_size_limit = 52428800
default_transport = error:no outside world
relay_transport = error:no outside world

smtpd_sasl_auth_enable = yes
smtpd_sasl_service = SMTPSVC
cyrus_sasl_config_path = {folder}/etc/sasl
smtpd_sasl_security_options = noanonymous
smtpd_sasl_mechanism_filter = static:all
smtpd_sasl_authenticated_header = yes

smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
{certificate}
smtpd_tls_CAfile = {certificates.authority}
smtpd_tls_ask_ccert = yes
smtpd_tls_received_header = yes

smtpd_delay_reject = no
smtpd_sender_restrictions = check_sender_access texthash:{folder}/etc/senders
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access texthash:{folder}/etc/recipients
smtpd_forbid_bare_newline = reject
smtpd_forbid_unauth_pipelining = yes

# no delay after errors, which tests cause on purpose
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_client_connection_count_limit = 0
# no delay because of discarded messages, which are never delivered
in_flow_delay = 0
"""


def _tls(certificate: Certificate) -> list[str]:
    return [f"smtpd_tls_cert_file={certificate.chain}", f"smtpd_tls_key_file={certificate.key}"]


def _master_cf(folder: Path, ports: Mapping[str, int], certificates: Certificates, interface: str) -> str:
    options = {name: text.split() for name, text in PORTS.items()}
    options |= {name: _tls(getattr(certificates, name)) for name in CERTIFICATES}
    lines = [
        " ".join([f"{interface}:{port} inet n - n - - smtpd", *(f"-o {option}" for option in options[name])])
        for name, port in ports.items()
    ]
    throttle = f"argv=/bin/sh {folder}/etc/{_THROTTLE.name} {MESSAGES_PER_SESSION}"
    return "\n".join([*lines, f"throttle unix - n n - 0 spawn user=nobody {throttle}", _SERVICES])
