"""The packages that the servers need: without them, their tests are skipped, or fail if CI is set."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

# For each Debian package, a pattern for one of its files.
PACKAGES = {
    "chromium": "usr/bin/chromium",
    "dovecot-core": "usr/sbin/dovecot",
    "dovecot-gssapi": "usr/lib/dovecot/modules/auth/libmech_gssapi.so",
    "dovecot-submissiond": "usr/lib/dovecot/submission",
    "gss-ntlmssp": "etc/gss/mech.d/mech.ntlmssp.conf",
    "krb5-admin-server": "usr/sbin/kadmin.local",
    "krb5-kdc": "usr/sbin/krb5kdc",
    "krb5-user": "usr/bin/kinit",
    "ldb-tools": "usr/bin/ldbadd",
    "libsasl2-modules": "usr/lib/*/sasl2/libntlm.so",
    "libsasl2-modules-gssapi-mit": "usr/lib/*/sasl2/libgssapiv2.so",
    "postfix": "usr/lib/postfix/sbin/master",
    "postgresql": "usr/lib/postgresql/*/bin/postgres",
    "samba-ad-dc": "usr/sbin/samba",
    "samba-ad-provision": "usr/share/samba/setup/provision.ldif",
    "sasl2-bin": "usr/sbin/saslpasswd2",
}


def require(*packages: str, modules: Iterable[str] = (), root: bool = False) -> None:
    """Skip the test if its server cannot run here; fail it if ``CI`` is set.

    Args:
        packages: Debian packages, keys of ``PACKAGES``.
        modules: Python modules.
        root: whether the server runs as root only.
    """
    reasons = []
    if missing := [package for package in packages if not any(Path("/").glob(PACKAGES[package]))]:
        reasons.append(f"not installed: {' '.join(missing)} (tests/install_servers.sh installs them)")
    if absent := [module for module in modules if importlib.util.find_spec(module) is None]:
        reasons.append(f"Python modules missing: {' '.join(absent)} (the extra 'kerberos' or the group 'test')")
    if root and os.geteuid() != 0:
        reasons.append("this server runs as root only")
    if not reasons:
        return
    reason = "; ".join(reasons)
    if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(f"CI runs every test, and this one cannot: {reason}", pytrace=False)
    pytest.skip(reason)
