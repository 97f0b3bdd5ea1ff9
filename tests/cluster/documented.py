"""The configuration files of docs/kerberos-on-workers.md, with the names of the tests' realm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.live.standalone import ROOT
from tests.servers.people import ALICE, MAIL_DOMAIN, REALM

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TICKET_SECONDS = 120
_RENEWAL_SECONDS = 40

_PAGE = ROOT / "docs" / "kerberos-on-workers.md"


def airflow_cfg(keytab: Path, ccache: Path) -> str:
    """Return the ``airflow.cfg`` of machines with ``airflow kerberos``; the ticket is renewed often."""
    changes = {
        "svc-airflow@CORP.EXAMPLE": ALICE.principal,
        "/etc/airflow/svc-airflow.keytab": str(keytab),
        "/var/lib/airflow/krb5cc": str(ccache),
        "reinit_frequency = 3600": f"reinit_frequency = {_RENEWAL_SECONDS}",
    }
    return _block("[kerberos]", changes)


def krb5_conf() -> str:
    """Return the ``/etc/krb5.conf``, for a realm that is not in the DNS, with tickets that end soon."""
    realms = f"[realms]\n    {REALM} = {{\n        kdc = kdc.{MAIL_DOMAIN}\n    }}\n"
    changes = {
        "CORP.EXAMPLE": REALM,
        "corp.example": MAIL_DOMAIN,
        "dns_lookup_kdc = true": f"dns_lookup_kdc = false\n    ticket_lifetime = {TICKET_SECONDS}",
    }
    return _block("[libdefaults]", changes) + realms


def _block(section: str, changes: Mapping[str, str]) -> str:
    """Return the page's first block with this section, changed."""
    blocks: list[str] = re.findall(r"```ini[^\n]*\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    text = next(block for block in blocks if section in block)
    for old, new in changes.items():
        assert old in text, f"{old} is no longer in {_PAGE}"
        text = text.replace(old, new)
    return text
