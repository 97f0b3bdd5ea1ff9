"""The report as a page: in Chromium, without network.

With ``SCREENSHOTS`` in the environment, the picture for the documentation is written to that folder.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path, PurePath
from xml.etree import ElementTree as ET

import pytest

from airflow_smtp_cm.ssis.importer import Importer
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Outcome, Unreadable
from airflow_smtp_cm.ssis.reading.reader import read
from airflow_smtp_cm.ssis.writing.flow_picture import MOST_EXECUTABLES, picture
from airflow_smtp_cm.ssis.writing.report import Report
from airflow_smtp_cm.ssis.writing.report_html import as_html
from tests.servers.chromium import new_context, running_chromium, save_picture
from tests.ssis.building import arrow, handler, mail, package, project, task
from tests.ssis.packages import HERE, NIGHTLY_SALES

SVG = "{http://www.w3.org/2000/svg}"


def report(*projects, unreadable=()):
    importer, made = Importer(pictures=True), Report(unreadable=list(unreadable))
    for one in projects:
        made.projects.append(importer.convert(one)[1])
    made.connections = sorted(importer.connections.by_id)
    return made


@pytest.fixture(scope="module")
def nightly():
    with contextlib.chdir(HERE):
        return as_html(report(*read([Path(NIGHTLY_SALES.name)], on_file=lambda _: None)), Path("dags"))


@pytest.fixture(scope="module")
def browser():
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(browser):
    """A page that has no network: a request is an error."""
    with new_context(browser, viewport={"width": 1180, "height": 900}, offline=True) as context:
        page = context.new_page()
        problems = []
        page.on("request", lambda request: problems.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        yield page
        assert problems == []


def names(page):
    return [name for name in page.locator("tr.package td:first-child button").all_inner_texts() if name]


def visible(page):
    return [row.locator("button").inner_text() for row in page.locator("tr.package").all() if row.is_visible()]


def test_a_row_opens_to_its_steps_and_its_flow(page, nightly):
    page.set_content(nightly)
    page.get_by_role("button", name="LoadSales").click()
    details = page.locator("tbody", has=page.get_by_role("button", name="LoadSales")).locator(".details")

    assert details.locator(".steps li").count() == 8
    step = details.locator(".steps li").filter(has_text="Count rows").first
    assert step.locator("code").inner_text() == "Package\\Count rows"
    assert step.get_by_role("link").get_attribute("href") == "dags/load_sales.py"
    assert sorted(details.locator("svg .mail > text").all_text_contents()) == [
        "✉ Sales are in", "✉ Tell operations", "✉ Tell the shops", "✉ Too few sales"
    ]  # fmt: skip
    assert "@[User::RowsLoaded] >" in " ".join(details.locator("svg .arrow title").all_text_contents())
    save_picture("import-report", page.locator("html"))
    page.get_by_role("button", name="LoadSales").click()
    assert not details.is_visible()


def test_columns_sort_both_ways(page, nightly):
    page.set_content(nightly)
    assert names(page) == ["LoadCustomers", "LoadSales", "NightlyMaster", "PublishReports"]
    heading = page.locator("th", has_text="Package")
    heading.get_by_role("button").click()
    heading.get_by_role("button").click()
    assert names(page) == ["PublishReports", "NightlyMaster", "LoadSales", "LoadCustomers"]
    assert heading.get_attribute("aria-sort") == "descending"
    page.locator("th", has_text="Steps").get_by_role("button").click()
    steps = [int(number) for number in page.locator("td.number").all_inner_texts()]
    assert steps == sorted(steps)
    assert heading.get_attribute("aria-sort") == "none"


def test_rows_are_filtered_by_text_and_state(page):
    calm = replace(package(mail()), source=PurePath("Calm.dtsx"))
    quiet = replace(package(task("Load")), source=PurePath("Quiet.dtsx"))
    busy = replace(package(mail(), task("Archive invoices")), source=PurePath("Busy.dtsx"))
    named = [replace(one, root=replace(one.root, name=one.source.stem)) for one in (calm, quiet, busy)]
    page.set_content(as_html(report(project(*named)), Path("dags")))
    states = ["runs as is", "sends no mail", "runs after 1 step"]
    assert page.locator("tr.package td:nth-child(3)").all_inner_texts() == states
    for state, name in zip(("RUNS", "NO_MAIL", "STEPS"), ("Calm", "Quiet", "Busy"), strict=True):
        page.locator("#state").select_option(state)
        assert visible(page) == [name]
    page.locator("#state").select_option("")
    page.locator("#text").fill("INVOICES placeholder")
    assert visible(page) == ["Busy"]
    assert page.locator("#shown").inner_text() == "1 of 3"


def test_names_cannot_inject_markup(page):
    evil = '"><script>document.title = "evil"</script><img src=x onerror=alert(1)>'
    one = package(mail(evil), task(evil + "2"), constraints=(arrow(evil, evil + "2", expression=evil),))
    shop = replace(project(replace(one, source=PurePath(evil))), name=evil)
    bad = Unreadable(source=PurePath(evil), why=evil, what_to_do=evil, traceback=evil)
    page.set_content(as_html(report(shop, unreadable=[bad]), Path(evil)))

    assert page.title() == "Import of SSIS packages"
    assert page.locator("img").count() == 0


def test_what_blocks_mail_and_the_work_stand_before_the_packages(nightly):
    order = ["Before mail is sent", "Connections to complete", "Secrets that were not copied", "Manual work by kind"]
    places = [nightly.index(text) for text in (*order, 'id="packages"')]

    assert places == sorted(places)
    assert re.search(r"<li>\d+ Execute SQL tasks: placeholders</li>", nightly)


def test_the_page_refers_to_nothing_elsewhere(nightly):
    assert not re.search(r"src=|url\(|@import|fetch\(", nightly)
    assert all(link.startswith("dags/") for link in re.findall(r'href="([^"]+)"', nightly))


# --- the picture


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def drawn(one):
    return picture(one.root).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')


def test_a_picture_has_containers_handlers_and_conditions():
    failed = handler("Package", "OnError", "Alert")
    constraints = (
        arrow("Load", "Send", outcome=Outcome.FAILURE),
        arrow("Load", "Log", operation=EvaluatedOperation.EXPRESSION_AND_CONSTRAINT, expression="@[User::Rows] > 0"),
    )
    one = package(task("Load"), mail("Send"), task("Log"), constraints=constraints, event_handlers=(failed,))

    assert texts(drawn(one)) == [
        "Orders",
        "failure",
        "@[User::Rows] > 0",
        "Load",
        "✉ Send",
        "Log",
        "OnError",
        "✉ Alert",
    ]


def test_boxes_stand_below_what_they_wait_for_and_within_their_container():
    one = package(task("A"), task("B"), task("C"), constraints=(arrow("A", "B"), arrow("B", "C"), arrow("A", "C")))
    places = {}
    for group in ET.fromstring(drawn(one)).iter(f"{SVG}g"):
        if moved := re.fullmatch(r"translate\((\d+),(\d+)\)", group.get("transform", "")):
            places[group.find(f"{SVG}title").text] = int(moved[2]), int(group.find(f"{SVG}rect").get("height"))

    assert places["A"][0] < places["B"][0] < places["C"][0]
    assert places["C"][0] + places["C"][1] <= places["Orders"][1]


def test_constraints_in_a_circle_are_drawn():
    one = package(task("A"), mail("B"), constraints=(arrow("A", "B"), arrow("B", "A")))

    assert texts(drawn(one)) == ["Orders", "A", "✉ B"]


def test_a_package_without_or_with_too_many_tasks_has_no_picture():
    assert picture(package().root) == ""
    assert picture(package(*(task(str(n)) for n in range(MOST_EXECUTABLES))).root) == ""
