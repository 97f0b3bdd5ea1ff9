"""The documentation: its code is correct, its references are complete, its errors are those of the source."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from datetime import timedelta
from importlib import import_module
from itertools import pairwise, product
from pathlib import Path

import pytest
from airflow.sdk import DAG

import airflow_smtp_cm
from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.connection_string import KEYS
from airflow_smtp_cm.connection_manager.fields import PLACEHOLDERS, RELABELING
from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.page import page_of
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import ConnectError, Phase, Refused
from airflow_smtp_cm.smtp.exchange import MEANINGS
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.task.composition import compose
from airflow_smtp_cm.task.retry_policy import MailRetryPolicy
from tests.connections import connection
from tests.servers.chromium import new_context, running_chromium, save_picture

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted((ROOT / "README.md", *DOCS.rglob("*.md")))
SOURCES = sorted((ROOT / "airflow_smtp_cm").rglob("*.py"))
GENERATED = runpy.run_path(str(DOCS / "generated.py"))
MERMAID = runpy.run_path(str(DOCS / "mermaid.py"))

# The blocks of Python in the pages; their ids are their places.
BLOCKS = [
    pytest.param(block[1], id=f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 2}")
    for page in PAGES
    for text in (page.read_text(),)
    for block in re.finditer(r"^```python.*?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
]

FIRST_DAG = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)[1]


def rendered(page: str) -> str:
    """Return a page as MkDocs gets it, with the generated parts and the Mermaid picture."""
    markdown = GENERATED["on_page_markdown"]((DOCS / page).read_text())
    return MERMAID["with_picture"](markdown, Path(page).stem)


def code_spans(page: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", rendered(page))


def run(statements: list[ast.stmt], namespace: dict[str, object]) -> None:
    exec(compile(ast.Module(statements, type_ignores=[]), "<documentation>", "exec"), namespace)


def arguments(function) -> set[str]:
    """Return the names of the arguments, without those that are passed on to Airflow."""
    parameters = inspect.signature(function).parameters.values()
    return {item.name for item in parameters if item.kind is item.KEYWORD_ONLY}


# --- code


@pytest.mark.parametrize("code", BLOCKS)
def test_python_compiles_and_its_imports_exist(code):
    tree = ast.parse(code)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    run(imports, {})


@pytest.mark.parametrize("code", [block for block in BLOCKS if "@dag" in block.values[0]])
def test_dag_is_valid(code):
    """Airflow accepts a copy of it as a DAG with tasks."""
    *definitions, call = ast.parse(code).body
    namespace = {"__name__": "documentation"}
    run(definitions, namespace)
    dag = eval(ast.unparse(call), namespace)

    assert isinstance(dag, DAG)
    assert dag.task_ids


def test_the_tests_on_the_testing_page_pass(tmp_path):
    page = (DOCS / "testing.md").read_text()
    files = dict(re.findall(r'^```python title="(test_\w+\.py)"\n(.*?)^```$', page, re.DOTALL | re.MULTILINE))
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", tmp_path, "-p", "no:cacheprovider", tmp_path]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert len(files) == 4
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("code", [block for block in BLOCKS if "with SmtpTestServer(" in block.values[0]])
def test_mail_to_the_test_server_arrives(code):
    """The block asserts what has arrived."""
    assert "assert received." in code
    run(ast.parse(code).body, {})


def test_picture_of_the_first_dag_is_the_page_of_its_mail(define, tmp_path):
    define(connection(host="mail.corp.example", from_email="Reports <reports@corp.example>"))
    *definitions, call = ast.parse(FIRST_DAG).body
    namespace = {"__name__": "documentation"}
    run(definitions, namespace)
    task = eval(ast.unparse(call), namespace).get_task("send_report")
    task.render_template_fields({"ds": "2026-01-02"})
    message = compose(task, SmtpCmHook(), {})
    content = b"".join(message.content(eight_bit=True, binary=False, utf8=True).chunks())
    (tmp_path / "message.html").write_text(page_of(content, message.recipients), encoding="utf-8")
    with running_chromium() as browser, new_context(browser, viewport={"width": 900, "height": 800}) as context:
        page = context.new_page()
        page.goto((tmp_path / "message.html").as_uri())
        save_picture("preview", page.locator("body"))

        assert page.title() == "Sales of 2026-01-02"
        assert page.frame_locator("#html").locator("p").inner_text() == "The figures of 2026-01-02 are ready."
        assert "archive@corp.example" in page.locator("#recipients .hidden").inner_text()


# --- references


def test_connection_page_has_every_property():
    properties = {item.name for item in fields(SmtpConnectionManager)}

    assert properties - set(code_spans("connection.md")) == set()


def test_connection_page_has_the_labels_of_the_form():
    text = rendered("connection.md")

    assert [label for label in RELABELING.values() if f"| {label} |" not in text] == []
    assert PLACEHOLDERS["login"].split(" or ")[0] in text


def test_ssis_page_has_every_property_of_ssis():
    text = rendered("from-ssis.md")

    assert [(key, name) for name, key in KEYS.items() if f"| {key} |" not in text] == []


def test_ssis_page_has_every_argument_of_the_operator():
    assert arguments(SendMailOperator.__init__) - set(code_spans("from-ssis.md")) == set()


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("no route"),
        Refused("refused: 450", phase=Phase.RCPT, reply=Reply(450, ("4.2.0 greylisted",))),
        Refused("refused: 421", phase=Phase.MAIL, reply=Reply(421, ("4.3.2 too many connections",))),
        Refused("refused: 452", phase=Phase.MAIL, reply=Reply(452, ("4.3.1 disk full",))),
    ],
    ids=str,
)
def test_reliability_page_has_the_delays_of_the_retry_policy(error):
    def decision(number):
        return MailRetryPolicy().evaluate(error, number, max_tries=9)

    description = decision(1).reason.partition(": ")[0]
    row = next(line for line in rendered("reliability.md").splitlines() if f"| {description} |" in line)
    documented = [timedelta(minutes=int(minutes)) for minutes in row.split("|")[-2].split(",")]

    assert [decision(number).retry_delay for number in range(1, len(documented) + 1)] == documented
    assert decision(len(documented) + 1).retry_delay == documented[-1]


def test_notifier_has_the_arguments_of_the_operator():
    """The page claims it."""
    of_the_operator = arguments(SendMailOperator.__init__)

    assert of_the_operator - arguments(SendMailNotifier.__init__) == {
        "ask_default",
        "ask_notifier",
        "ask_timeout",
        "connections",
        "durable",
        "max_messages_per_connection",
        "messages",
        "messages_per_minute",
        "on_uncertain",
    }
    assert arguments(SendMailNotifier.__init__) <= of_the_operator


# --- the picture of the rooms


def rooms_and_their_imports() -> set[tuple[str, str]]:
    """Return (room, imported room), for types too; a room is a module or folder at the top of the package."""
    found = set()
    for path in SOURCES:
        room = path.relative_to(ROOT / "airflow_smtp_cm").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow_smtp_cm."):
                found.add((room, node.module.split(".")[1]))
    return found


def test_picture_has_the_imports_of_the_rooms():
    """An arrow is an import; an import is an arrow, or a way along arrows."""
    text = re.search(r"^```mermaid\n(.*?)^```$", (DOCS / "architecture.md").read_text(), re.DOTALL | re.MULTILINE)[1]
    boxes = {room: box for box, rooms in re.findall(r'(\w+)\["(.+?)<br>', text) for room in rooms.split(", ")}
    chains = [[end.strip().split(" & ") for end in line.split("-->")] for line in text.splitlines() if "-->" in line]
    arrows = {arrow for chain in chains for ends in pairwise(chain) for arrow in product(*ends)}
    imports = {
        (boxes[room], boxes[imported])
        for room, imported in rooms_and_their_imports()
        if imported not in {"characters", "problems", "shortening", "standard_output"}
        and boxes[room] != boxes[imported]
    }
    ways = set(arrows)
    while further := {(start, end) for start, middle in ways for also, end in arrows if middle == also} - ways:
        ways |= further

    assert arrows - imports == set()
    assert imports - ways == set()


# --- the API


NOT_SHOWN = ("airflow_smtp_cm.macros", "airflow_smtp_cm.smtp.pyspnego", "airflow_smtp_cm.ssis")


def test_the_api_pages_show_all_exports():
    """A module exports its ``__all__``.

    ``macros`` and ``ssis`` are for generated DAGs and the command line only; ``smtp.pyspnego`` exports a library.
    """
    targets = [target for page in PAGES for target in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)]
    shown = set()
    for found in map(pkgutil.resolve_name, targets):
        shown |= {getattr(found, name) for name in found.__all__} if inspect.ismodule(found) else {found}
    modules = [
        import_module(found.name)
        for found in pkgutil.walk_packages(airflow_smtp_cm.__path__, "airflow_smtp_cm.")
        if not found.name.startswith(NOT_SHOWN)
    ]

    assert shown == {getattr(module, name) for module in modules for name in getattr(module, "__all__", ())}


# --- quoted errors


def texts_in(path: Path) -> list[str]:
    """Return the string literals of a module, with an ellipsis for each inserted value."""
    texts = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(re.sub(r"\{\w*\}", "…", node.value))
    return texts


def quoted_errors() -> list[str]:
    """Return the texts in the first columns of the tables, except those under "Replies of Exchange"."""
    page = re.sub(r"^## Replies of Exchange$.*?(?=^## )", "", rendered("errors.md"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)


def test_quoted_errors_are_in_the_source():
    texts = [text for path in SOURCES for text in texts_in(path)]
    quotes = quoted_errors()

    assert len(quotes) > 50
    assert [quote for quote in quotes if not any(quote in text for text in texts)] == []


def test_errors_page_has_every_reply_of_exchange_that_is_explained():
    page = rendered("errors.md")

    assert [item.reply for item in MEANINGS if f"| `{item.reply}` | " not in page] == []
    assert "with `messages_per_minute` in a task that sends many messages" in page


# --- files


def test_every_picture_is_shown():
    shown = {name for page in DOCS.glob("*.md") for name in re.findall(r"\]\(images/([^)]+)\)", rendered(page.name))}

    assert {path.name for path in (DOCS / "images").iterdir()} == shown


def test_links_of_the_readme_exist():
    """MkDocs checks the links of the other pages."""
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []
