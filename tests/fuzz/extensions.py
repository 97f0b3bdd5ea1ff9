"""Any reply to EHLO: the extensions are those of its keywords, and no other exception is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.extensions import Extensions
from airflow_smtp_cm.smtp.reply import Reply
from tests.fuzz import inputs

if TYPE_CHECKING:
    from collections.abc import Sequence


def check(lines: Sequence[str]) -> None:
    """Check the lines after the greeting."""
    offered = Extensions.from_ehlo(Reply(250, ("mail.test", *lines)))
    written = " ".join(lines).upper()
    words = {*written.split(), *written.replace("=", " ").split()}
    assert all(name in written and not name.isspace() for name in offered.mechanisms)
    assert len(set(offered.mechanisms)) == len(offered.mechanisms)
    for keyword in ("STARTTLS", "PIPELINING", "CHUNKING", "SIZE", "SMTPUTF8"):
        assert (keyword in offered) <= (keyword in words)
    limit = offered.size_limit
    assert limit is None or limit > 0
    # Further lines do not remove an extension.
    fewer = Extensions.from_ehlo(Reply(250, ("mail.test", *lines[:-1])))
    assert fewer.keywords.items() <= offered.keywords.items()
    assert offered.mechanisms[: len(fewer.mechanisms)] == fewer.mechanisms


def one_input(data: bytes) -> None:
    check(inputs.text(data).split("\n"))
