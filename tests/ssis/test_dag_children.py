"""Execute Package tasks: the DAG of the package is run with the values that the task passes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import PurePath

import pytest
from hypothesis import assume, example, given

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.expressions import ExpressionError, evaluate, parse, to_jinja
from airflow_smtp_cm.ssis.importer import Importer
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import ConnectionManager, Executable, ExecutePackage, Parameter, Project
from airflow_smtp_cm.ssis.writing.execute_package import as_param
from tests.ssis.building import SMTP, Converted, mail, package, project, task, variable
from tests.ssis.expressions import NOW, bind, expressions, lookup, render
from tests.ssis.placeholders import Trigger


def execute(name="Run", file="Child.dtsx", parameters=None, **given):
    return Executable(
        ref_id=f"Package\\{name}",
        name=name,
        kind=Kind.EXECUTE_PACKAGE,
        type="Microsoft.ExecutePackageTask",
        run=ExecutePackage(package_name=file, parameters=parameters or {}),
        **given,
    )


def in_a_file(expression):
    """Return a task that runs the package of a File connection manager, and the managers of its package."""
    expressions = {"ConnectionString": expression} if expression else {}
    manager = ConnectionManager(
        ref_id="Package.ConnectionManagers[Child]",
        name="Child",
        dtsid="{C0000000-0000-4000-8000-000000000001}",
        creation_name="FILE",
        connection_string="D:\\etl\\Child.dtsx",
        expressions=expressions,
    )
    return replace(execute(), run=ExecutePackage(connection=manager.dtsid)), (SMTP, manager)


@pytest.mark.parametrize(
    ("expression", "is_run"),
    [
        (None, True),
        ('@[User::Folder] + "\\\\child.dtsx"', True),
        ("@[User::File]", False),
    ],
)
def test_an_expression_may_decide_the_folder_but_not_the_file(expression, is_run):
    run, managers = in_a_file(expression)
    master = package(run, mail(), managers=managers, variables=(variable("Folder", ""), variable("File", "")))

    assert ("TriggerDagRunOperator" in Converted(master, child()).source) is is_run


def child(*parameters, subject='"Sent"', source="Child.dtsx"):
    made = package(mail(expressions={"Subject": subject}), parameters=parameters)
    return replace(made, source=PurePath(source))


def sources(*packages, **given):
    return Importer().convert(project(*packages, **given))[0]


STRING = Parameter(name="Text", data_type=DataType.WSTR, value="default")
NUMBER = Parameter(name="Number", data_type=DataType.I4, value="0")


def test_the_task_waits_for_the_run_of_the_packages_dag():
    source = Converted(package(execute(), mail()), child()).source

    assert 'trigger_dag_id="child"' in source
    assert "wait_for_completion=True" in source
    assert "conf=" not in source


@pytest.mark.parametrize(
    ("value", "data_type", "expression", "passed"),
    [
        ('a "b" {{ c }}\n', DataType.WSTR, None, 'a "b" {{ c }}\n'),
        ("7", DataType.I4, None, 7),
        ("True", DataType.BOOL, None, True),
        ("2.5", DataType.R8, None, 2.5),
        ("12.25", DataType.DECIMAL, None, 12.25),
        ("3/4/2019 9:12:40 PM", DataType.DATE, None, "2019-03-04T21:12:40+00:00"),
        ("", DataType.WSTR, 'UPPER("a") + @[User::Other]', "Ab"),
        ("", DataType.I4, "LEN(@[User::Other]) + 1", 2),
        ("", DataType.DATE, '(DT_DATE)"2020-01-02"', "2020-01-02T00:00:00+00:00"),
        ("", DataType.DECIMAL, "(DT_DECIMAL, 2)1.25", 1.25),
    ],
)
def test_values_are_passed_with_their_types(load, run, value, data_type, expression, passed):
    variables = variable("Value", value, data_type, expression=expression), variable("Other", "b")
    master = package(execute(parameters={"Text": "User::Value"}), mail(), variables=variables)
    run(load(sources(master, child(STRING, subject="@[$Package::Text]"))["orders.py"]))

    (started,) = Trigger.started
    assert json.loads(json.dumps(started.conf)) == {"Text": passed}


@given(expressions)
@example("NULL(DT_DECIMAL, 2)")
@example('"</script>&\\"\'{{" + @[User::Text]')
def test_any_value_is_passed_as_ssis_computes_it(text):
    expression = parse(text)
    try:
        expected = evaluate(expression, lookup, NOW).content
    except ExpressionError:
        assume(False)  # noqa: FBT003 - SSIS fails, the template may succeed
    value = as_param(to_jinja(expression, bind))
    assume(value and not (expected is None and "isoformat" in value))
    if isinstance(expected, datetime):
        expected = f"{expected.isoformat()}+00:00"

    assert json.loads(render(f"{{{{ {value}|tojson }}}}")) == (
        float(expected) if isinstance(expected, Decimal) else expected
    )


def test_the_value_reaches_the_mail_of_the_package(load, run, smtp_cm_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", smtp_cm_server.airflow_connection())
    subject = '@[$Package::Text] + " " + (DT_WSTR, 9)(@[$Package::Number] + 1)'
    master = package(
        execute(parameters={"Text": "$Package::Own", "Number": "User::Rows"}),
        mail(disabled=True),
        variables=(variable("Rows", "41", DataType.I4),),
        parameters=(Parameter(name="Own", data_type=DataType.WSTR, value="from the master"),),
    )
    files = sources(master, child(STRING, NUMBER, subject=subject))
    run(load(files["orders.py"]))
    (started,) = Trigger.started
    run(load(files["child.py"]), conf=started.conf)

    assert [received.message["Subject"] for received in smtp_cm_server.outbox] == ["from the master 42"]


def test_a_parameter_keeps_its_name_if_a_variable_has_it_too():
    """Otherwise the value would be passed to the variable."""
    named = replace(child(STRING, subject="@[User::Text] + @[$Package::Text]"), source=PurePath("Child.dtsx"))
    both = replace(named, root=replace(named.root, variables=(variable("Text", "of the variable"),)))
    source = sources(package(execute(parameters={"Text": "User::A"}), mail(), variables=(variable("A", "a"),)), both)

    assert '"Text": Param("default", type="string")' in source["child.py"]
    assert '"Text": {{ params.A|tojson }}' in source["orders.py"]


def test_parameters_of_the_project_have_the_same_value_in_both():
    team = Parameter(name="Team", data_type=DataType.WSTR, value=None, required=True)
    source = sources(package(execute(), mail()), child(subject="@[$Project::Team]"), parameters=(team,))

    assert "conf='{\"Team\": {{ params.Team|tojson }}}'" in source["orders.py"]
    assert '"Team": Param(type="string")' in source["orders.py"]


def test_a_value_that_cannot_be_passed_fails_the_task_and_is_reported(load, run):
    objects = variable("Rows", None, None)
    master = package(execute(parameters={"Text": "User::Rows"}), mail(disabled=True), variables=(objects,))
    converted = Converted(master, child(STRING, subject="@[$Package::Text]"))
    dag_run = run(load(sources(master, child(STRING, subject="@[$Package::Text]"))["orders.py"]))

    assert {ti.task_id: ti.state for ti in dag_run.get_task_instances()}["run"] == "failed"
    assert Trigger.started == []
    assert any("It passes a value that cannot be converted (User::Rows)" in line for line in converted.findings())


@pytest.mark.parametrize(
    "fields",
    [
        {"file": "Gone.dtsx"},
        {"disabled": True},
        {"expressions": {"Disable": "1 == 1"}},
        {"expressions": {"PackageName": '"Other" + ".dtsx"'}},
    ],
    ids=["it is not there", "disabled", "disabled by an expression", "an expression decides which"],
)
def test_the_placeholder_stays_where_no_package_is_run_for_certain(fields):
    source = Converted(package(execute(**fields), mail()), child()).source

    assert "TriggerDagRunOperator" not in source
    assert "doc_md=" in source


def test_a_package_without_mail_has_no_dag_to_run():
    silent = replace(package(task("Load")), source=PurePath("Child.dtsx"))
    converted = Converted(package(execute(), mail()), silent)

    assert "TriggerDagRunOperator" not in converted.source
    advice = (
        "for example by a TriggerDagRunOperator for the DAG of Child.dtsx. If that package sends mail, import the "
        "two together."
    )
    assert any(line.endswith(advice) for line in converted.findings())


def test_a_placeholder_for_a_package_with_a_dag_names_it():
    converted = Converted(package(execute(disabled=True), mail()), child())

    assert any(line.endswith("for the DAG of Child.dtsx.") for line in converted.findings())


def test_packages_that_run_each_other_are_converted():
    files = sources(
        package(execute(), mail()),
        replace(package(execute(file="orders.DTSX"), mail()), source=PurePath("Child.dtsx")),
    )

    assert 'trigger_dag_id="child"' in files["orders.py"]
    assert 'trigger_dag_id="orders"' in files["child.py"]


def test_a_chain_of_many_packages_is_converted():
    chain = [
        replace(package(execute(file=f"P{number + 1}.dtsx"), mail()), source=PurePath(f"P{number}.dtsx"))
        for number in range(1500)
    ]

    assert 'trigger_dag_id="p_1"' in sources(*chain)["p_0.py"]


def test_a_package_of_another_project_is_not_meant():
    importer = Importer()
    importer.convert(alone("other/Child.dtsx", mail()))
    files, _ = importer.convert(project(package(execute(), mail())))

    assert "TriggerDagRunOperator" not in files["orders.py"]


# --- packages without a project: a connection manager has the path of the file


def alone(source, *executables, managers=(SMTP,)):
    made = replace(package(*executables, managers=managers), source=PurePath(source))
    return Project(name="", source=PurePath(source).parent, packages=(made,))


def by_file(path):
    file = ConnectionManager(
        ref_id="Package.ConnectionManagers[File]",
        dtsid="{F}",
        name="File",
        creation_name="FILE",
        connection_string=path,
    )
    run = replace(execute(), run=ExecutePackage(connection="{F}"))
    return alone("one/Master.dtsx", run, mail(), managers=(SMTP, file))


def converted_in_order(*projects):
    importer = Importer()
    files = {}
    for one in importer.in_order(projects):
        files |= importer.convert(one)[0]
    return files


def test_a_package_is_found_by_the_name_of_its_file_even_if_it_is_read_later():
    files = converted_in_order(by_file("D:\\etl\\child.dtsx"), alone("one/Child.dtsx", mail()))

    assert 'trigger_dag_id="child"' in files["master.py"]


@pytest.mark.parametrize(("folder", "dag_id"), [("one", "child_2"), ("three", None)])
def test_of_several_files_of_that_name_the_one_in_the_same_folder_is_meant(folder, dag_id):
    files = converted_in_order(
        by_file("D:\\etl\\Child.dtsx"), alone("two/Child.dtsx", mail()), alone(f"{folder}/Child.dtsx", mail())
    )

    assert ("TriggerDagRunOperator" in files["master.py"]) is bool(dag_id)
    assert dag_id is None or f'trigger_dag_id="{dag_id}"' in files["master.py"]
