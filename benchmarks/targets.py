"""The targets of this project, and whether a run met them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.report import number, table
from benchmarks.rounds import HOOK, OURS, SMTP_SOURCE, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.rounds import Results

_BULK = f"{OURS}-bulk"
_BINARYMIME = f"{OURS}-binarymime"
_MAPPED = f"{OURS}-mapped"
_CONNECTIONS = f"{OURS}-connections"
_PUBLISHED_RATIOS = {HOOK: "ratio_to_hook", SMTP_SOURCE: "ratio_to_smtp_source"}
_LEVEL = 0.95  # as fast as the other client, within the variation


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target.

    Attributes:
        case: the case.
        client: the client that must meet the target.
        to: the client to compare with; the target is a minimum for the ratio. None: it is a maximum for the value.
        must: the level that is required.
        stretch: a better level that is desired.
    """

    case: str
    client: str = OURS
    to: str | None = HOOK
    must: float
    stretch: float | None = None

    def measured(self, results: Results) -> float | None:
        """Return the measured ratio or value; None if it was not measured."""
        row = results.find(self.case, self.client)
        if row is None:
            return None
        return median(row.values) if self.to is None else results.ratio(row, self.to)

    def published(self, rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> float | None:
        """Return the ratio or value that ``results.json`` has; None if it was not measured.

        For a client to which it has no ratios, the result is the ratio of the medians.

        Args:
            rows: its rows by case and client.
        """
        own, other = rows.get((self.case, self.client)), rows.get((self.case, self.to or self.client))
        if own is None or other is None:
            return None
        if self.to is None:
            return float(own["median"])
        if name := _PUBLISHED_RATIOS.get(self.to):
            ratio: float | None = own[name]
            return ratio
        return _of_medians(own).times_faster_than(_of_medians(other))

    def verdict(self, measured: float) -> str:
        """Return "MISSED", "met" or "stretch met"."""
        if self._reaches(measured, self.stretch):
            return "stretch met"
        return "met" if self._reaches(measured, self.must) else "MISSED"

    def _reaches(self, measured: float, level: float | None) -> bool:
        return level is not None and (measured <= level if self.to is None else measured >= level)


TARGETS = (
    Target(case="single/smtp-sink", must=3, stretch=4),
    Target(case="single/smtp-sink", to="nodemailer", must=1.5),
    Target(case="single/smtp-sink", to=SMTP_SOURCE, must=_LEVEL),
    Target(case="bulk/smtp-sink", must=5, stretch=6),
    Target(case="single/chunking", must=6, stretch=7),
    Target(case="bulk/chunking", must=20, stretch=28),
    Target(case="single/no-pipelining", to="smtplib", must=_LEVEL),
    Target(case="instructions/smtp-sink", must=4, stretch=10),
    Target(case="instructions/chunking", must=4, stretch=10),
    *(Target(case=f"round-trips-{recipients}/smtp-sink", to=None, must=2.2, stretch=2) for recipients in (1, 100)),
    *(Target(case=f"round-trips-{recipients}/chunking", to=None, must=1.2, stretch=1) for recipients in (1, 100)),
    *(
        Target(case=f"round-trips-{recipients}/chunking", client=_BULK, to=None, must=0.2, stretch=0.06)
        for recipients in (1, 100)
    ),
    Target(case="recipients-1/20ms", must=1.9),
    Target(case="recipients-100/20ms", must=20),
    Target(case="recipients-500/20ms", must=45),
    Target(case="recipients-1/20ms", client=_BULK, must=1.9, stretch=10),
    Target(case="recipients-100/20ms", client=_BULK, must=20, stretch=40),
    Target(case="recipients-500/20ms", client=_BULK, must=45, stretch=60),
    *(
        target
        for case in ("attachment-10MB", "attachment-50MB", "attachment-200MB")
        for target in (
            Target(case=case, must=10, stretch=15),
            Target(case=f"{case}/cpu", must=10, stretch=15),
            Target(case=f"{case}/cpu", to="nodemailer", must=1.5),
            Target(case=f"{case}/memory", to=None, must=8, stretch=4),
        )
    ),
    Target(case="pictures-10/smtp-sink/cpu", must=5),
    Target(case="wire-bytes", client=_BINARYMIME, to=None, must=1.01),  # no base64
    Target(case="connect/starttls/cpu", must=8),
    Target(case="delayed-replies/200ms", client=_CONNECTIONS, to=_BULK, must=7),
    Target(case="import/operator", to=None, must=1, stretch=0.3),
    Target(case="import/operator/instructions", to=None, must=2_500_000),
    # A half and 0.3 times of what they were when the targets were set.
    Target(case="import/task-anonymous/instructions", to=None, must=84_300_000, stretch=50_600_000),
    Target(case="import/task-windows/instructions", to=None, must=256_200_000, stretch=153_700_000),
    Target(case="airflow/1-mail", must=1.2, stretch=1.5),
    *(Target(case=f"airflow/1-mail-{kind}", must=1, stretch=1.2) for kind in ("retries", "ntlm", "kerberos")),
    Target(case="airflow/100-mails", must=1.5, stretch=3),
    Target(case="airflow/100-mails", to=_MAPPED, must=50, stretch=90),
    *(
        Target(case=f"airflow/{case}/more-memory", to=None, must=5, stretch=0)
        for case in ("1-mail", "1-mail-retries", "1-mail-ntlm", "1-mail-kerberos", "100-mails")
    ),
)


def compared(results: Results) -> str:
    """Return the targets whose cases were measured, as a Markdown table."""
    lines = [
        [
            target.case,
            target.client,
            target.to or "",
            number(measured),
            _limit(target, target.must),
            _limit(target, target.stretch),
            target.verdict(measured),
        ]
        for target in TARGETS
        if (measured := target.measured(results)) is not None
    ]
    return table(["target", "client", "times as fast as", ">measured", ">must", ">stretch", ""], lines)


def missed(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the targets that rows of ``results.json`` miss, as a Markdown table."""
    known = {(row["case"], row["client"]): row for row in rows}
    lines = [
        [f"`{target.case}`", target.client, target.to or "", number(measured), _limit(target, target.must)]
        for target in TARGETS
        if (measured := target.published(known)) is not None and target.verdict(measured) == "MISSED"
    ]
    return table(["case", "client", "times as fast as", ">measured", ">target"], lines) if lines else "None."


def _of_medians(row: Mapping[str, Any]) -> Row:
    return Row(case=row["case"], client=row["client"], unit=row["unit"], values=(row["median"],))


def _limit(target: Target, level: float | None) -> str:
    if level is None:
        return ""
    return f"{'≤' if target.to is None else '≥'} {number(level)}"
