"""Send Mail tasks as tasks: what a message says, what switches it off, and what somebody must write."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.ssis.model import ConnectionManager, Executable, Kind, MessageSourceType, Parameter
from airflow_smtp_cm.ssis.writing.lines import Verdict
from airflow_smtp_cm.ssis.writing.source_text import formatted
from tests.ssis.building import BOOLEAN, INTEGER, SMTP, BroughtOver, mail, package, task, variable


@pytest.fixture
def send(load, run, smtp_cm_server, monkeypatch):
    """A function that runs a package's DAG, and returns the run and what arrived."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", smtp_cm_server.airflow_connection())

    def send(brought_over, conf=None):
        return run(load(brought_over.source), conf=conf), smtp_cm_server.outbox

    return send


def body(received):
    return received.message.get_body().get_content()


def test_text_that_looks_like_a_template_is_none(send):
    text = (
        "Dear {{ name }},\n{% raw %} {# not a comment #} { { 100 % }}\n" + "a long line " * 30 + "\n\n'\"\\ ü 漢 \t."
    )
    _, (received,) = send(BroughtOver(package(mail(told={"subject": "{{ params.x }}", "message_source": text}))))

    assert received.message["Subject"] == "{{ params.x }}"
    assert body(received).rstrip("\n") == text


# What XML can hold; Jinja, as Airflow has it, drops the last newline of a text.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\"'\\{}%#"), max_size=200).map(
    lambda text: text.removesuffix("\n")
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(name=TEXTS, description=TEXTS, subject=TEXTS, text=TEXTS)
def test_any_text_comes_through(load, name, description, subject, text):
    told = {"subject": subject, "message_source": text}
    sent = mail(name, told=told, description=description)
    root = package(sent, task(name, description=description), description=description)
    source = BroughtOver(replace(root, root=replace(root.root, name=name))).source
    first, _ = load(source).tasks

    assert formatted({"again.py": source}) == {"again.py": source}
    assert first.task_display_name == (name or first.task_id)
    assert [first.render_template(field, {}) for field in (first.subject, first.message_source)] == [subject, text]


def test_fields_that_ssis_leaves_empty_are_left_out():
    source = BroughtOver(package(mail())).source

    assert not {"cc=", "bcc=", "priority=", "message_source", "attachments="} & set(source.replace("(", " ").split())
    assert "disable" not in source


@pytest.mark.parametrize(("number", "priority"), [(1, "High"), (5, "Low"), (3, None), (0, None)])
def test_a_priority_is_named_and_0_is_normal(number, priority):
    source = BroughtOver(package(mail(told={"priority": number}))).source

    assert (f'priority="{priority}"' in source) if priority else ("priority" not in source)


@pytest.mark.parametrize(("number", "importance"), [("1", "high"), ("5", "low"), ("3", None), ("0", None)])
def test_the_priority_of_an_expression_may_be_any_number(send, number, importance):
    urgent = mail(expressions={"Priority": "@[User::Priority]"})
    _, (received,) = send(BroughtOver(package(urgent, variables=(variable("Priority", number, INTEGER),))))

    assert received.message["Importance"] == importance


def test_a_variable_as_message_source_is_its_value(send):
    told = {"message_source_type": MessageSourceType.VARIABLE, "message_source": "User::Body"}
    body_of = variable("Body", "stale", expression='"Orders: " + (DT_WSTR, 9)@[User::Count]')
    brought_over = BroughtOver(package(mail(told=told), variables=(body_of, variable("Count", "7", INTEGER))))
    _, outbox = send(brought_over)
    send(brought_over, {"Count": 8})

    assert [body(received).strip() for received in outbox] == ["Orders: 7", "Orders: 8"]


def test_a_file_connection_as_message_source_is_its_path(send, tmp_path):
    (tmp_path / "body.txt").write_text("From a file")
    file = ConnectionManager(
        ref_id="Package.ConnectionManagers[Body]",
        dtsid="{F}",
        name="Body",
        creation_name="FILE",
        connection_string="stale",
        expressions={"ConnectionString": '@[User::Folder] + "/body.txt"'},
    )
    told = {"message_source_type": MessageSourceType.FILE_CONNECTION, "message_source": "{f}"}
    brought_over = BroughtOver(
        package(mail(told=told), managers=(SMTP, file), variables=(variable("Folder", str(tmp_path)),))
    )
    _, (received,) = send(brought_over)

    assert body(received).strip() == "From a file"
    assert any("to which the workers need access" in line for line in brought_over.told())


def test_the_innermost_variable_of_a_name_is_meant(send):
    inner = Executable(
        ref_id="Package\\Group",
        name="Group",
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        variables=(variable("Who", "inner@corp.test"),),
        executables=(mail("Inner", "Package\\Group", expressions={"ToLine": "@[User::Who]"}),),
    )
    outer = mail("Outer", expressions={"ToLine": "@[User::Who]", "CCLine": "@[$Package::Who]"})
    given = Parameter(name="Who", data_type=18, value="package@corp.test", description="Whom to tell")
    brought_over = BroughtOver(
        package(inner, outer, variables=(variable("Who", "outer@corp.test"),), parameters=(given,))
    )
    _, outbox = send(brought_over)

    assert {received.message["Subject"]: received.recipients for received in outbox} == {
        "Inner": ("inner@corp.test",),
        "Outer": ("outer@corp.test", "package@corp.test"),
    }
    assert (
        'Package_Who": Param("package@corp.test", type="string", description="Whom to tell")' in brought_over.source
    )


def test_a_param_may_be_called_like_a_method_of_params(send):
    _, (received,) = send(
        BroughtOver(
            package(mail(expressions={"Subject": "@[User::items]"}), variables=(variable("items", "None left"),))
        )
    )

    assert received.message["Subject"] == "None left"


@pytest.mark.parametrize(
    ("data_type", "value", "param"),
    [
        (18, "a", 'Param("a", type="string")'),
        (9, "42", 'Param(42, type="integer")'),
        (3, "True", 'Param(default=True, type="boolean")'),
        (14, "0.5", 'Param(0.5, type="number")'),
        (16, "3/4/2019 9:12:40 PM", 'Param("2019-03-04T21:12:40+00:00", type="string", format="date-time")'),
        (9, None, 'Param(type="integer")'),
    ],
)
def test_parameters_are_params_of_their_type(data_type, value, param):
    parameter = Parameter(name="P", data_type=data_type, value=value)
    source = BroughtOver(
        package(mail(expressions={"Subject": "(DT_WSTR, 30)@[$Project::P]"})), parameters=(parameter,)
    ).source

    assert f'"P": {param}' in source


def test_a_secret_parameter_has_no_value_and_is_reported():
    secret = Parameter(name="Key", data_type=18, value="hunter2", sensitive=True)
    brought_over = BroughtOver(package(mail(expressions={"Subject": "@[$Package::Key]"}), parameters=(secret,)))

    assert '"Key": Param(type="string")' in brought_over.source
    assert "hunter2" not in brought_over.source + repr(brought_over.report)
    assert any("use a connection instead" in line for line in brought_over.told())


def test_what_a_loop_sets_has_no_default_of_its_own():
    """What the designer has left in it would go to the wrong address."""
    loop = Executable(
        ref_id="Package\\Each",
        name="Each",
        kind=Kind.FOREACH_LOOP,
        type="STOCK:FOREACHLOOP",
        properties={"VariableMapping[0]": "User::Address"},
        executables=(mail("Send", "Package\\Each", expressions={"ToLine": "@[User::Address]"}),),
    )
    brought_over = BroughtOver(package(loop, variables=(variable("Address", "stale@corp.test"),)))

    assert '"Address": Param(type="string")' in brought_over.source
    assert "Package: @[User::Address]: A loop sets it" in "\n".join(brought_over.told())


def test_what_is_disabled_is_disabled_here_too(send):
    group = Executable(
        ref_id="Package\\Off",
        name="Off",
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        disabled=True,
        executables=(mail("In a container", "Package\\Off"), task("Load", "Package\\Off")),
    )
    brought_over = BroughtOver(package(mail("By itself", disabled=True), group))
    run, outbox = send(brought_over)

    assert run.state == "success"
    assert outbox == []
    assert 'doc_md="Data Flow task (Microsoft.Pipeline)\\n\\nDisabled in the package."' in brought_over.source


@pytest.mark.parametrize(
    ("own", "outer", "sent"), [("True", "False", 0), ("False", "True", 0), ("False", "False", 1)]
)
def test_expressions_disable_what_they_are_of_and_what_is_in_it(send, own, outer, sent):
    group = Executable(
        ref_id="Package\\G",
        name="G",
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        disabled=True,  # as the designer evaluated it: stale
        expressions={"Disable": "@[User::Outer]"},
        executables=(mail("Send", "Package\\G", expressions={"Disable": "@[User::Own]"}),),
    )
    run, outbox = send(
        BroughtOver(package(group, variables=(variable("Own", own, BOOLEAN), variable("Outer", outer, BOOLEAN))))
    )

    assert run.state == "success"
    assert len(outbox) == sent


@pytest.mark.parametrize(
    ("expressions", "why"),
    [
        ({"Subject": "@[System::CreatorName]"}, "System::CreatorName"),
        ({"ToLine": "@[User::Nowhere]"}, "There is no @[User::Nowhere] here"),
        ({"ToLine": "@Nowhere"}, "There is no @[Nowhere] here"),
        ({"ToLine": "@[$Project::To]"}, "bring the package over together with its project"),
        ({"ToLine": '"no end'}, "ToLine"),
        ({"Disable": "@[User::Rows]"}, "no text, number, date or Boolean"),
    ],
)
def test_what_has_no_counterpart_is_not_sent_and_said(send, expressions, why):
    """It fails, loudly; the field has what the designer stored, and nothing wrong is sent."""
    brought_over = BroughtOver(package(mail(expressions=expressions), variables=(variable("Rows", None, 13),)))
    run, outbox = send(brought_over)

    assert run.state == "failed"
    assert outbox == []
    assert "To do: write " in brought_over.source
    assert any(why in line for line in brought_over.told())


def test_a_variable_whose_expression_leads_back_to_it_is_said():
    circle = (variable("A", "", expression="@[User::B]"), variable("B", "", expression="@[User::A]"))
    told = BroughtOver(package(mail(expressions={"Subject": "@[User::A]"}), variables=circle)).told()

    assert any("refers to itself" in line for line in told)


def test_a_text_in_a_variable_that_there_is_not_is_said():
    """As in packages whose MessageSource has an expression that yields the text, not a variable's name."""
    told = {"message_source_type": MessageSourceType.VARIABLE, "message_source": "Rows: 0"}
    first, _ = BroughtOver(package(mail(told=told))).told()

    assert first == (
        "Package\\Send: Its text is in a variable, which its MessageSource names as Rows: 0: "
        "There is no @[Rows: 0] here."
    )


def test_a_missing_connection_is_said_and_nothing_is_sent(send):
    brought_over = BroughtOver(package(mail(told={"smtp_connection": "{GONE}"})))
    run, outbox = send(brought_over)

    assert (run.state, outbox) == ("failed", [])
    assert any(
        "no SMTP connection manager that there is: {GONE}. If it is its project's" in line
        for line in brought_over.told()
    )


def test_what_no_mail_names_is_said_to_be_left_out():
    parameter = Parameter(name="Unused", data_type=18, value="x")
    left_out = BroughtOver(package(mail(), variables=(variable("Idle", "x"),)), parameters=(parameter,)).told(
        Verdict.LEFT_OUT
    )

    assert left_out == [
        "@[$Project::Unused]: No mail and no condition names it.",
        "Package: @[User::Idle]: No mail and no condition names it.",
    ]


def test_names_of_all_kinds_become_ids(load):
    names = ["Load Sales", "load-sales", "2nd try", "class", "Größe", "Заказы", "print", "DAG", "漢"]
    dag = load(BroughtOver(package(*map(mail, names))).source)

    assert [task.task_display_name for task in dag.tasks] == names
    assert [task.task_id for task in dag.tasks] == [
        *("load_sales", "load_sales_2", "2_nd_try", "class", "grosse", "task", "print", "dag", "task_2")
    ]
