"""The servers as fixtures: each starts when the first test uses it, and runs until the last test has ended."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.servers.acceptor_process import running_acceptor
from tests.servers.certificates import make_certificates
from tests.servers.domain import running_domain
from tests.servers.dovecot import running_dovecot
from tests.servers.kdc import running_kdc
from tests.servers.postfix import running_postfix
from tests.servers.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.acceptor_process import Acceptor, Bindings
    from tests.servers.certificates import Certificate, Certificates
    from tests.servers.domain import Domain
    from tests.servers.dovecot import Dovecot
    from tests.servers.kdc import Kdc
    from tests.servers.postfix import Postfix


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the servers' files; after the tests, it is the folder ``servers`` in pytest's folder."""
    # Not in pytest's folder, which other users cannot read: pytest sets its permissions at each start.
    folder = Path(tempfile.mkdtemp(prefix="servers-"))
    folder.chmod(0o755)
    yield folder
    shutil.move(folder, tmp_path_factory.getbasetemp() / "servers")


@pytest.fixture(scope="session")
def certificates(servers_folder: Path) -> Certificates:
    """A certificate authority and its certificates."""
    return make_certificates(servers_folder / "certificates")


@pytest.fixture(scope="session")
def realm(servers_folder: Path) -> Iterator[Kdc]:
    """The KDC for the other servers; it does not need Kerberos bindings in the process of the tests."""
    require("krb5-kdc", "krb5-admin-server", "krb5-user")
    with running_kdc(servers_folder / "kdc") as kdc, pytest.MonkeyPatch.context() as environment:
        environment.setenv("KRB5_CONFIG", str(kdc.krb5_conf))
        for name in ("KRB5CCNAME", "KRB5_KTNAME", "KRB5_CLIENT_KTNAME"):
            environment.delenv(name, raising=False)
        yield kdc


@pytest.fixture(scope="session")
def kdc(realm: Kdc) -> Kdc:
    """The KDC of the realm CORP.TEST for the process of the tests, which has no ticket unless KRB5CCNAME is set."""
    require(modules=["gssapi", "krb5"])
    return realm


@pytest.fixture(scope="session")
def postfix(servers_folder: Path, realm: Kdc, certificates: Certificates) -> Iterator[Postfix]:
    """Postfix with every mechanism and extension, and mailboxes to read; its module lists the ports."""
    require(
        "postfix",
        "sasl2-bin",
        "libsasl2-modules",
        "libsasl2-modules-gssapi-mit",
        "gss-ntlmssp",
        root=True,
    )
    with running_postfix(servers_folder / "postfix", realm, certificates) as postfix:
        yield postfix


@pytest.fixture(scope="session")
def dovecot(servers_folder: Path, realm: Kdc, certificates: Certificates) -> Iterator[Dovecot]:
    """Dovecot's submission service: another variant of GSS-SPNEGO, EXTERNAL, lines of at most 8,192 bytes."""
    require("dovecot-core", "dovecot-submissiond", "dovecot-gssapi")
    with running_dovecot(servers_folder / "dovecot", realm, certificates) as dovecot:
        yield dovecot


class StartAcceptor(Protocol):
    """The function that ``start_acceptor`` returns."""

    def __call__(self, bindings: Bindings, certificate: Certificate | None = None) -> Acceptor: ...


@pytest.fixture(scope="session")
def start_acceptor(servers_folder: Path, realm: Kdc, certificates: Certificates) -> Iterator[StartAcceptor]:
    """A function that starts an acceptor with this treatment of channel bindings and this certificate.

    Equal acceptors are started once; the default certificate is ``certificates.server``.
    """
    require("gss-ntlmssp", modules=["gssapi"])
    with ExitStack() as running:
        acceptors: dict[tuple[Bindings, Certificate], Acceptor] = {}

        def start(bindings: Bindings, certificate: Certificate | None = None) -> Acceptor:
            key = (bindings, certificate or certificates.server)
            if key not in acceptors:
                folder = servers_folder / f"acceptor-{bindings}-{key[1].chain.stem}"
                acceptors[key] = running.enter_context(running_acceptor(folder, realm, key[1], key[0]))
            return acceptors[key]

        yield start


@pytest.fixture(scope="session")
def acceptor(start_acceptor: StartAcceptor) -> Acceptor:
    """The acceptor that requires the right channel bindings."""
    return start_acceptor("require")


@pytest.fixture(scope="session")
def domain(servers_folder: Path) -> Iterator[Domain]:
    """An Active Directory domain; its users are in its module."""
    require("samba-ad-dc", "samba-ad-provision", "ldb-tools", modules=["gssapi", "krb5"], root=True)
    with running_domain(servers_folder / "domain") as domain:
        yield domain


@pytest.fixture(scope="session")
def domain_dovecot(servers_folder: Path, domain: Domain, certificates: Certificates) -> Iterator[Dovecot]:
    """Dovecot in the domain: GSSAPI and NTLM."""
    require("dovecot-core", "dovecot-submissiond", "dovecot-gssapi")
    dovecot = running_dovecot(servers_folder / "domain-dovecot", domain, certificates, winbind=True)
    with domain.namespaces.running(dovecot) as running:
        yield running


@pytest.fixture(scope="session")
def domain_acceptor(servers_folder: Path, domain: Domain, certificates: Certificates) -> Iterator[Acceptor]:
    """The acceptor in the domain; it requires the right channel bindings."""
    require("gss-ntlmssp")
    acceptor = running_acceptor(servers_folder / "domain-acceptor", domain, certificates.server, "require")
    with domain.namespaces.running(acceptor) as running:
        yield running
