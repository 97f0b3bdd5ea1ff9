"""Dovecot's submission service: Kerberos by any service name, client certificates, basic login. Any user may run it.

It passes messages on to a server inside the tests' process, which keeps them in a Maildir.
"""

from __future__ import annotations

import getpass
import grp
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox

from tests.servers.maildir import Maildir
from tests.servers.people import ALICE, BOB, MAIL_HOST, REALM
from tests.servers.processes import LOOPBACK, free_ports, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

    from tests.servers.certificates import Certificates
    from tests.servers.kdc import Kdc
    from tests.servers.maildir import Which


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running Dovecot.

    Attributes:
        port: TCP port with STARTTLS; as on all loopback addresses, Dovecot lets log in without TLS too.
        tls_port: TCP port with TLS from the first octet.
    """

    folder: Path
    port: int
    tls_port: int

    def messages(self) -> list[EmailMessage]:
        """Return what has been passed on; X-MailFrom and X-RcptTo show the envelope."""
        return self._passed_on.messages()

    def wait_for_message(self, which: Which) -> EmailMessage:
        """Wait for the first message with this Message-ID, or that fulfils this condition."""
        return self._passed_on.wait_for(which)

    @property
    def _passed_on(self) -> Maildir:
        return Maildir(self.folder / "passed_on")


@contextmanager
def running_dovecot(folder: Path, kdc: Kdc, certificates: Certificates) -> Iterator[Dovecot]:
    """Set up Dovecot in a new folder and run it for the duration of the block."""
    (folder / "home").mkdir(parents=True)
    (folder / "home").chmod(0o777)
    users = "".join(f"{user.name}:{user.password}::::::\n" for user in (ALICE, BOB))
    (folder / "users").write_text(users)
    port, tls_port, relay_port = free_ports(3)
    config = _dovecot_conf(folder, kdc, certificates, port=port, tls_port=tls_port, relay_port=relay_port)
    (folder / "dovecot.conf").write_text(config if os.geteuid() == 0 else config + _one_user())
    relay = Controller(Mailbox(folder / "passed_on"), hostname=LOOPBACK, port=relay_port)
    relay.start()
    try:
        with running(
            ["/usr/sbin/dovecot", "-F", "-c", folder / "dovecot.conf"],
            port=tls_port,
            env=kdc.acceptor_environment,
            output=folder / "output.log",
            logs=[folder / "dovecot.log"],
        ):
            yield Dovecot(folder, port, tls_port)
    finally:
        relay.stop()
    shutil.rmtree(folder / "run")


def _dovecot_conf(
    folder: Path, kdc: Kdc, certificates: Certificates, *, port: int, tls_port: int, relay_port: int
) -> str:
    uid, gid = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    return f"""\
base_dir = {folder}/run
state_dir = {folder}/run/state
protocols = submission
listen = {LOOPBACK}
hostname = {MAIL_HOST}
log_path = {folder}/dovecot.log
auth_verbose = yes

ssl = yes
ssl_cert = <{certificates.server.chain}
ssl_key = <{certificates.server.key}
ssl_ca = <{certificates.authority}
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_username_from_cert = yes
ssl_cert_username_field = commonName
ssl_dh =

# the plugin that brings gss-spnego is loaded by the name gssapi, so that stands before it
auth_mechanisms = plain login gssapi gss-spnego external
auth_krb5_keytab = {kdc.server_keytab}
auth_gssapi_hostname = "$ALL"
auth_realms = {REALM}
auth_username_format = %Ln
# tests want the answer at once, however often they fail
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
import_environment = TZ {" ".join(kdc.acceptor_environment)}
submission_relay_host = {LOOPBACK}
submission_relay_port = {relay_port}
mail_location = maildir:{folder}/home/%n/mail
service submission-login {{
  inet_listener submission {{
    address = {LOOPBACK}
    port = {port}
  }}
  inet_listener submissions {{
    address = {LOOPBACK}
    port = {tls_port}
    ssl = yes
  }}
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = scheme=PLAIN {folder}/users
}}
passdb {{
  # the ticket or the certificate proves who the user is; this only says that everybody may come in
  driver = static
  mechanisms = gssapi gss-spnego external
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%n
}}
first_valid_uid = 0
"""


def _one_user() -> str:
    """Let everything run as the tests' own user, where that is not root."""
    user, group = getpass.getuser(), grp.getgrgid(os.getegid()).gr_name
    return f"""\
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
service anvil {{
  chroot =
}}
service auth {{
  user = {user}
}}
service auth-worker {{
  user = {user}
}}
service submission-login {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
