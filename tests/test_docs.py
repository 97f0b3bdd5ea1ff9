"""The documentation: its code is right, its references are complete, its errors are those that are raised."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import runpy
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
from airflow.sdk import DAG

import airflow_smtp_cm
from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.connection_string import KEYS
from airflow_smtp_cm.connection_manager.fields import PLACEHOLDERS, RELABELING
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted((ROOT / "README.md", *DOCS.rglob("*.md")))
SOURCES = sorted((ROOT / "airflow_smtp_cm").rglob("*.py"))
GENERATED = runpy.run_path(str(DOCS / "generated.py"))

# Each block of Python in the pages, named after its place.
BLOCKS = [
    pytest.param(block[1], id=f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 2}")
    for page in PAGES
    for text in (page.read_text(),)
    for block in re.finditer(r"^```python.*?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
]


def rendered(page: str) -> str:
    """Return a page as MkDocs gets it: with what the code contributes."""
    return GENERATED["on_page_markdown"]((DOCS / page).read_text())


def code_spans(page: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", rendered(page))


def run(statements: list[ast.stmt], namespace: dict[str, object]) -> None:
    exec(compile(ast.Module(statements, type_ignores=[]), "<documentation>", "exec"), namespace)


def arguments(function) -> set[str]:
    """Return the names of the arguments that are not handed on to Airflow."""
    parameters = inspect.signature(function).parameters.values()
    return {item.name for item in parameters if item.kind is item.KEYWORD_ONLY}


# --- its code


@pytest.mark.parametrize("code", BLOCKS)
def test_python_compiles_and_imports_what_there_is(code):
    tree = ast.parse(code)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    run(imports, {})


@pytest.mark.parametrize("code", [block for block in BLOCKS if "@dag" in block.values[0]])
def test_dag_is_one(code):
    """Whoever copies it gets a DAG with a task, without an error from Airflow."""
    *definitions, call = ast.parse(code).body
    namespace = {"__name__": "documentation"}
    run(definitions, namespace)
    dag = eval(ast.unparse(call), namespace)

    assert isinstance(dag, DAG)
    assert dag.task_ids


@pytest.mark.parametrize("code", [block for block in BLOCKS if "with SmtpTestServer(" in block.values[0]])
def test_mail_to_the_test_server_arrives(code):
    """The block says what has arrived."""
    assert "assert received." in code
    run(ast.parse(code).body, {})


# --- its references


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


def test_notifier_takes_the_arguments_of_the_operator():
    """The page says so."""
    of_the_operator = arguments(SendMailOperator.__init__)

    assert of_the_operator - arguments(SendMailNotifier.__init__) == {
        "durable",
        "max_messages_per_connection",
        "messages",
        "messages_per_minute",
        "on_uncertain",
    }
    assert arguments(SendMailNotifier.__init__) <= of_the_operator


# --- the API


def test_the_pages_on_the_api_show_what_is_exported():
    """A module exports what its ``__all__`` names; generated DAGs alone use ``macros``, the command line ``ssis``."""
    targets = [target for page in PAGES for target in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)]
    shown = set()
    for found in map(pkgutil.resolve_name, targets):
        shown |= {getattr(found, name) for name in found.__all__} if inspect.ismodule(found) else {found}
    modules = [
        import_module(found.name)
        for found in pkgutil.walk_packages(airflow_smtp_cm.__path__, "airflow_smtp_cm.")
        if not found.name.startswith(("airflow_smtp_cm.macros", "airflow_smtp_cm.ssis"))
    ]

    assert shown == {getattr(module, name) for module in modules for name in getattr(module, "__all__", ())}


# --- the errors it quotes


def said_by(path: Path) -> list[str]:
    """Return the texts in a module, with a dot-dot-dot for what is put in when it runs."""
    texts = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(re.sub(r"\{\w*\}", "…", node.value))
    return texts


def quoted_errors() -> list[str]:
    """Return what the tables quote in their first columns, but for that of what Exchange says."""
    page = re.sub(r"^## What Exchange says$.*?(?=^## )", "", rendered("errors.md"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)


def test_quoted_errors_are_those_that_are_raised():
    said = [text for path in SOURCES for text in said_by(path)]
    quotes = quoted_errors()

    assert len(quotes) > 50
    assert [quote for quote in quotes if not any(quote in text for text in said)] == []


# --- its files


def test_every_picture_is_shown():
    shown = {name for page in DOCS.rglob("*.md") for name in re.findall(r"\]\(images/([^)]+)\)", page.read_text())}

    assert {path.name for path in (DOCS / "images").iterdir()} == shown


def test_links_of_the_readme_lead_somewhere():
    """MkDocs checks those of the pages."""
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []
