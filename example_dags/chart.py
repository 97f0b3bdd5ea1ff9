"""Mails a chart inside the text, drawn by Matplotlib in the task's memory."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_smtp_cm.mail import Attachment

WEEKS = ["W14", "W15", "W16", "W17", "W18", "W19", "W20", "W21"]


@task
def count_units() -> dict[str, list[int]]:
    """Return the units sold by region and week, as a query might."""
    return {
        "North": [1184, 1243, 1207, 1302, 1351, 1318, 1394, 1427],
        "South": [962, 948, 1011, 1036, 1024, 1089, 1102, 1138],
        "West": [731, 764, 742, 708, 689, 715, 752, 781],
    }


@task.send_mail(to="sales@corp.test", subject="Units sold by region, {{ run_id }}")
def send_chart(units: dict[str, list[int]]) -> dict[str, Any]:
    """Return the HTML, which names the chart by its file name, and the chart as an attachment."""
    rows = "".join(
        f"<tr><td>{region}</td><td align='right'>{numbers[-1]:,}</td>"
        f"<td align='right'>{numbers[-1] / numbers[-2] - 1:+.1%}</td></tr>"
        for region, numbers in units.items()
    )
    html = f"""
        <table width="640" cellpadding="8" style="font-family: Helvetica, Arial, sans-serif; color: #263238">
          <tr><td style="font-size: 20px"><b>Units sold by region</b></td></tr>
          <tr><td>Each region sold more in {WEEKS[-1]} than in the week before.</td></tr>
          <tr><td><img src="cid:units.png" width="624" alt="Units sold per week, by region"></td></tr>
          <tr><td>
            <table width="100%" cellpadding="6" style="border-collapse: collapse" border="1">
              <tr style="background: #eceff1">
                <th align="left">Region</th><th align="right">Units</th><th align="right">Change</th>
              </tr>
              {rows}
            </table>
          </td></tr>
        </table>
    """
    return {"html_content": html, "attachments": Attachment(draw(units), "units.png")}


def draw(units: dict[str, list[int]]) -> bytes:
    """Return the chart as a PNG file."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import: only the task needs it

    figure = Figure(figsize=(6.4, 3.2), dpi=195, layout="constrained")
    axes = figure.subplots()
    for region, numbers in units.items():
        axes.plot(WEEKS, numbers, marker="o", label=region)
    axes.set_ylabel("Units per week")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(ncols=len(units), loc="lower center")
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["mail"])
def sales_chart() -> None:
    """Draw a chart, and mail it inside a table; it needs the package matplotlib on the worker."""
    send_chart(count_units())


sales_chart()
