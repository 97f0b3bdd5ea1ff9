"""Dovecot's submission service: Kerberos by any service name, client certificates, basic login. Any user may run it.

It passes messages on to a server inside the tests' process, which keeps them in a Maildir.
"""

from __future__ import annotations

import getpass
import grp
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox

from tests.servers.maildir import Maildir
from tests.servers.people import ALICE, BOB, MAIL_HOST, REALM
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS, free_ports, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

    from tests.servers.certificates import Certificates
    from tests.servers.maildir import Which
    from tests.servers.realm import Realm

_PROGRAM = "/usr/sbin/dovecot"

# With winbind, GSS-SPNEGO does not work. The user is root, to whom winbind answers.
_WINBIND = """
auth_mechanisms = gssapi ntlm
auth_use_winbind = yes
auth_winbind_helper_path = /usr/bin/ntlm_auth
service auth {
  user = root
}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running Dovecot.

    Attributes:
        port: TCP port with STARTTLS; on loopback, Dovecot also allows logins without TLS.
        tls_port: TCP port with TLS from the first byte.
    """

    folder: Path
    port: int
    tls_port: int

    def messages(self) -> list[EmailMessage]:
        """Return the relayed messages; X-MailFrom and X-RcptTo show the envelope."""
        return self._passed_on.messages()

    def wait_for_message(self, which: Which) -> EmailMessage:
        """Wait for the first message with this Message-ID, or one that fulfils this condition."""
        return self._passed_on.wait_for(which)

    @property
    def _passed_on(self) -> Maildir:
        return Maildir(self.folder / "passed_on")


@contextmanager
def running_dovecot(
    folder: Path, realm: Realm, certificates: Certificates, *, winbind: bool = False
) -> Iterator[Dovecot]:
    """Set up Dovecot in a new folder, and run it during the block.

    With ``winbind``, the domain judges NTLM, and Dovecot offers it instead of GSS-SPNEGO.
    """
    (folder / "home").mkdir(parents=True)
    (folder / "home").chmod(0o777)
    users = "".join(f"{user.name}:{user.password}::::::\n" for user in (ALICE, BOB))
    (folder / "users").write_text(users)
    port, tls_port, relay_port = free_ports(3)
    config = _dovecot_conf(folder, realm, certificates, port=port, tls_port=tls_port, relay_port=relay_port)
    config += (_WINBIND if winbind else "") + ("" if os.geteuid() == 0 else _one_user())
    (folder / "dovecot.conf").write_text(config)
    relay = Controller(
        Mailbox(folder / "passed_on"), hostname=LOOPBACK, port=relay_port, ready_timeout=PATIENCE_SECONDS
    )
    relay.start()
    try:
        with running(
            [*realm.launcher, _PROGRAM, "-F", "-c", folder / "dovecot.conf"],
            port=tls_port,
            env=realm.acceptor_environment,
            output=folder / "output.log",
            logs=[folder / "dovecot.log"],
        ):
            yield Dovecot(folder, port, tls_port)
    finally:
        relay.stop()
    shutil.rmtree(folder / "run")


def _dovecot_conf(
    folder: Path, realm: Realm, certificates: Certificates, *, port: int, tls_port: int, relay_port: int
) -> str:
    version = subprocess.run([_PROGRAM, "--version"], text=True, capture_output=True, check=True).stdout
    in_its_language = _in_2_3 if version.startswith("2.3.") else _in_2_4
    return f"""\
{in_its_language(folder, realm, certificates)}
base_dir = {folder}/run
state_dir = {folder}/run/state
protocols = submission
listen = {LOOPBACK}
hostname = {MAIL_HOST}
log_path = {folder}/dovecot.log
auth_verbose = yes
ssl = yes
auth_ssl_username_from_cert = yes
# the plugin with gss-spnego is loaded as gssapi, so gssapi must come first
auth_mechanisms = plain login gssapi gss-spnego external
auth_krb5_keytab = {realm.server_keytab}
auth_gssapi_hostname = "$ALL"
auth_realms = {REALM}
# no delay after failed logins, which tests cause on purpose
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
submission_relay_host = {LOOPBACK}
submission_relay_port = {relay_port}
service submission-login {{
  inet_listener submission {{
    port = {port}
  }}
  inet_listener submissions {{
    port = {tls_port}
    ssl = yes
  }}
}}
first_valid_uid = 0
"""


def _in_2_3(folder: Path, realm: Realm, certificates: Certificates) -> str:
    """Return the settings whose syntax differs in Dovecot 2.4, in that of 2.3."""
    uid, gid = _mail_owner()
    return f"""\
ssl_cert = <{certificates.server.chain}
ssl_key = <{certificates.server.key}
ssl_ca = <{certificates.authority}
ssl_verify_client_cert = yes
ssl_require_crl = no
ssl_cert_username_field = commonName
ssl_dh =
auth_username_format = %Ln
import_environment = TZ {" ".join(realm.acceptor_environment)}
mail_location = maildir:{folder}/home/%n/mail
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = scheme=PLAIN {folder}/users
}}
passdb {{
  # the ticket, the domain or the certificate identifies the user; this only accepts every user
  driver = static
  mechanisms = gssapi gss-spnego ntlm external
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%n
}}
"""


def _in_2_4(folder: Path, realm: Realm, certificates: Certificates) -> str:
    """Return the same settings for Dovecot 2.4, where the first one must be the version of the syntax."""
    uid, gid = _mail_owner()
    environment = "\n  ".join(f"{name} = {value}" for name, value in realm.acceptor_environment.items())
    return f"""\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = {certificates.server.chain}
ssl_server_key_file = {certificates.server.key}
ssl_server_ca_file = {certificates.authority}
ssl_server_request_client_cert = yes
ssl_server_require_crl = no
auth_username_format = %{{user | username | lower}}
import_environment {{
  {environment}
}}
mail_driver = maildir
mail_path = ~/mail
passdb passwd-file {{
  mechanisms_filter = plain login
  passwd_file_path = {folder}/users
}}
passdb static {{
  # the ticket, the domain or the certificate identifies the user; this only accepts every user
  mechanisms_filter = gssapi gss-spnego ntlm external
  fields {{
    nopassword = yes
  }}
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}/home/%{{user}}
  }}
}}
"""


def _mail_owner() -> tuple[int, int]:
    """Return the user and group of the mail folders: for root those of ``nobody``, otherwise those of the tests."""
    return (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def _one_user() -> str:
    """Return the settings that run everything as the user of the tests, if it is not root."""
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
