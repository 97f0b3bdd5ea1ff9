"""The benchmarks: the results that are computed from the measurements."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.__main__ import CASES, RESULTS
from benchmarks.chart import svg
from benchmarks.delaying_proxy import DelayingProxy
from benchmarks.report import markdown, summary
from benchmarks.rounds import HOOK, OURS, SMTP_SOURCE, Results, alternate
from benchmarks.targets import TARGETS, Target, compared, missed
from tests.servers.processes import LOOPBACK

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


def results(case: str, unit: str, **values: list[float]) -> Results:
    found = Results()
    found.add(case, unit, {name.replace("_", "-"): measured for name, measured in values.items()})
    return found


def row(of: Results, client: str = OURS) -> dict:
    return next(row for row in of.as_json()["rows"] if row["client"] == client)


# --- rounds


def test_each_client_has_a_turn_in_every_round_and_each_round_begins_with_another():
    turns = []
    runs = {name: lambda name=name: turns.append(name) or len(turns) for name in "abc"}

    assert alternate(runs, 3) == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}
    assert "".join(turns) == "abcbcacab"


def test_ratio_is_the_median_of_the_rounds_ratios():
    """Not the ratio of the medians, here 20 / 5: a slow round is slow for both."""
    found = results("c", "messages/s", airflow_smtp_cm=[10, 20, 90], hook=[5, 1, 90])

    assert row(found)["ratio_to_hook"] == 2


@pytest.mark.parametrize("unit", ["s", "us", "MiB", "instructions", "round trips"])
def test_a_lower_cost_is_faster(unit):
    found = results("c", unit, airflow_smtp_cm=[2, 2], hook=[8, 8])

    assert row(found)["ratio_to_hook"] == 4
    assert row(found, HOOK)["ratio_to_hook"] == 1


def test_a_client_measured_once_is_compared_with_every_round():
    found = results("c", "s", airflow_smtp_cm=[1, 2, 4], hook=[8])

    assert row(found)["ratio_to_hook"] == 4


def test_row_has_median_min_and_max_and_no_ratio_to_a_client_that_was_not_measured():
    found = results("c", "s", airflow_smtp_cm=[3, 1, 2], hook=[4, 2, 3])

    assert row(found) == {
        "case": "c",
        "client": OURS,
        "unit": "s",
        "median": 2,
        "min": 1,
        "max": 3,
        "ratio_to_hook": 1.5,
        "ratio_to_smtp_source": None,
    }


def test_a_cost_of_zero_has_no_ratio_because_json_has_no_infinity():
    found = results("c", "MiB", airflow_smtp_cm=[0, 0], hook=[4, 4])

    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["rows"][0]["ratio_to_hook"] is None


# --- report


def test_table_has_a_line_for_each_client_and_names_the_case_once():
    found = results("c", "s", airflow_smtp_cm=[1234], hook=[2468], smtp_source=[0.5])

    assert markdown(found.as_json()["rows"]).splitlines() == [
        "| case | client | median | min | max | unit | to the hook | to smtp-source |",
        "| --- | --- | ---: | ---: | ---: | --- | ---: | ---: |",
        "| c | airflow-smtp-cm | 1,234 | 1,234 | 1,234 | s | 2 | 0.000405 |",
        "|  | hook | 2,468 | 2,468 | 2,468 | s | 1 | 0.000203 |",
        "|  | smtp-source | 0.5 | 0.5 | 0.5 | s | 4,936 | 1 |",
    ]


def test_summary_has_a_column_for_each_client_and_their_ratios_to_the_hook():
    found = results("a", "s", airflow_smtp_cm=[1], hook=[2])
    found.add("b", "ms", {OURS: [3], SMTP_SOURCE: [4]})

    assert summary(found.as_json()["rows"]).splitlines() == [
        "| case | unit | airflow-smtp-cm | hook | smtp-source |",
        "| --- | --- | ---: | ---: | ---: |",
        "| `a` | s | 1 (2) | 2 |  |",
        "| `b` | ms | 3 |  | 4 |",
    ]


# --- targets


@pytest.mark.parametrize(
    ("hook", "verdict"), [(2.9, "MISSED"), (3, "met"), (3.9, "met"), (4, "stretch met"), (40, "stretch met")]
)
def test_verdict_on_a_ratio(hook, verdict):
    target = Target(case="c", must=3, stretch=4)
    measured = target.measured(results("c", "s", airflow_smtp_cm=[1], hook=[hook]))

    assert target.verdict(measured) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(8.1, "MISSED"), (8, "met"), (4.1, "met"), (4, "stretch met")])
def test_verdict_on_a_value(value, verdict):
    target = Target(case="c", to=None, must=8, stretch=4)
    measured = target.measured(results("c", "MiB", airflow_smtp_cm=[value]))

    assert target.verdict(measured) == verdict


def test_comparison_has_only_the_measured_targets():
    found = results("bulk/chunking", "messages/s", airflow_smtp_cm=[21], hook=[1])

    assert compared(found).splitlines()[2:] == [
        "| bulk/chunking | airflow-smtp-cm | hook | 21 | ≥ 20 | ≥ 28 | met |",
    ]


def test_missed_targets_are_those_of_the_published_rows():
    found = results(
        "single/smtp-sink", "messages/s", airflow_smtp_cm=[2.9], hook=[1], nodemailer=[2], smtp_source=[1]
    )
    found.add("attachment-10MB/memory", "MiB", {OURS: [8.1]})

    assert missed(found.as_json()["rows"]).splitlines()[2:] == [
        "| `single/smtp-sink` | airflow-smtp-cm | hook | 2.9 | ≥ 3 |",
        "| `single/smtp-sink` | airflow-smtp-cm | nodemailer | 1.45 | ≥ 1.5 |",
        "| `attachment-10MB/memory` | airflow-smtp-cm |  | 8.1 | ≤ 8 |",
    ]


def test_page_on_speed_says_if_no_target_is_missed():
    assert missed(results("wire-bytes", "bytes", airflow_smtp_cm=[2]).as_json()["rows"]) == "None."


def test_every_target_is_about_an_existing_case():
    names = [case.name for case in CASES]

    assert [target.case for target in TARGETS if not target.case.startswith(tuple(names))] == []


# --- chart


def test_chart_has_a_bar_for_each_measured_client_in_proportion_to_its_speed():
    found = results("single/chunking", "messages/s", airflow_smtp_cm=[60], hook=[10], smtp_source=[20])

    root = ET.fromstring(svg(found.as_json()["rows"]))
    widths = [float(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("class") != "back"]
    texts = [text.text for text in root.iter(f"{SVG}text")]

    assert widths == pytest.approx([widths[0], widths[0] / 6, widths[0] / 3], abs=0.1)
    assert texts[2:] == [OURS, "6", "Airflow's hook", "1", SMTP_SOURCE, "2"]


def test_chart_loads_nothing_and_has_colours_for_light_and_dark():
    drawn = svg(results("single/chunking", "messages/s", airflow_smtp_cm=[6], hook=[1]).as_json()["rows"])

    assert re.findall(r"https?://[^\"]+|url\(|@import", drawn) == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme: dark" in drawn


def test_chart_without_results_is_well_formed():
    assert ET.fromstring(svg([])).tag == f"{SVG}svg"


# --- the published results


def test_published_results_are_of_existing_cases_and_the_chart_shows_them():
    rows = json.loads(RESULTS.read_text())["rows"]

    assert [row["case"] for row in rows if not row["case"].startswith(tuple(case.name for case in CASES))] == []
    assert (ROOT / "docs" / "images" / "speed.svg").read_text() == svg(rows)


def test_page_shows_every_case():
    page = (ROOT / "docs" / "speed.md").read_text()
    shown = tuple(
        word for words in re.findall(r"^\[Generated: measured (.+)\]", page, re.MULTILINE) for word in words.split()
    )

    assert [case.name for case in CASES if not case.name.startswith(shown)] == []
    assert [word for word in shown if not any(case.name.startswith(word) for case in CASES)] == []


# --- the proxy


def test_proxy_counts_bytes_and_round_trips():
    with (
        socket.create_server((LOOPBACK, 0)) as server,
        DelayingProxy(server.getsockname()[1], rtt=0.02) as proxy,
        socket.create_connection((LOOPBACK, proxy.port)) as client,
        server.accept()[0] as peer,
    ):
        for request in (b"one", b"two", b"three"):
            client.sendall(request)
            assert peer.recv(100) == request
            peer.sendall(b"reply")
            assert client.recv(100) == b"reply"
        client.sendall(b"without")
        client.sendall(b"waiting")
        assert peer.recv(14, socket.MSG_WAITALL) == b"withoutwaiting"

    assert proxy.round_trips == 4
    assert proxy.bytes_sent == len(b"onetwothreewithoutwaiting")
