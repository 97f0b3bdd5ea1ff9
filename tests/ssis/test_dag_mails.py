"""Send Mail tasks converted to operators: fields of the message, disabling, and manual work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import ConnectionManager, Executable, MessageSourceType, Parameter
from airflow_smtp_cm.ssis.writing.findings import Status
from airflow_smtp_cm.ssis.writing.source_text import formatted
from tests.ssis.building import SMTP, Converted, mail, package, task, variable


@pytest.fixture
def send(load, run, smtp_cm_server, monkeypatch):
    """A function that runs the DAG of a package, and returns the run and the messages that arrived."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", smtp_cm_server.airflow_connection())

    def send(converted, conf=None):
        return run(load(converted.source), conf=conf), smtp_cm_server.outbox

    return send


def body(received):
    return received.message.get_body().get_content()


def test_text_that_looks_like_a_template_is_sent_unchanged(send):
    text = (
        "Dear {{ name }},\n{% raw %} {# not a comment #} { { 100 % }}\n" + "a long line " * 30 + "\n\n'\"\\ ü 漢 \t."
    )
    _, (received,) = send(Converted(package(mail(fields={"subject": "{{ params.x }}", "message_source": text}))))

    assert received.message["Subject"] == "{{ params.x }}"
    assert body(received).rstrip("\n") == text


# Characters that XML can contain.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r\"'\\{}%#"), max_size=200)


@settings(max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXTS, description=TEXTS, subject=TEXTS, text=TEXTS)
@example(name="Send\n", description="a\r\n", subject="{{ x }}\n", text="Dear all,\r\n\r\nall is well.\r\n")
@example(name="", description="", subject="report.sql", text="\n")
def test_any_text_is_sent_unchanged_with_newlines_as_line_ends(load, name, description, subject, text):
    fields = {"subject": subject, "message_source": text}
    sent = mail(name, fields=fields, description=description)
    root = package(sent, task(name, description=description), description=description)
    source = Converted(replace(root, root=replace(root.root, name=name))).source
    first, _ = load(source).tasks

    assert formatted({"again.py": source}) == {"again.py": source}
    assert "\\r" not in source.replace("\\\\", "")
    assert first.task_display_name == (with_newlines(name) or first.task_id)
    rendered = [first.render_template(field, {}) for field in (first.subject, first.message_source)]
    assert rendered == [with_newlines(subject), with_newlines(text)]


def with_newlines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_a_param_has_newlines_unless_an_expression_computes_with_it(send):
    """The result of REPLACE depends on the line ends; mail has the same in both cases."""
    text = mail("Text", expressions={"MessageSource": "@[User::Text]"})
    html = mail("HTML", expressions={"MessageSource": 'REPLACE(@[User::Lines], "\\r\\n", "<br>")'})
    lines = (variable("Text", "One\r\nTwo\r\n"), variable("Lines", "One\r\nTwo"))
    converted = Converted(package(text, html, variables=lines))
    _, outbox = send(converted)

    assert {one.message["Subject"]: body(one).rstrip("\n") for one in outbox} == {
        "Text": "One\nTwo",
        "HTML": "One<br>Two",
    }
    assert '"Text": Param("One\\nTwo\\n", type="string")' in converted.source
    assert '"Lines": Param("One\\r\\nTwo", type="string")' in converted.source


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ops@corp.test;", "ops@corp.test"),
        ("; ops@corp.test ; dba@corp.test; ;\r\n", "ops@corp.test ; dba@corp.test"),
        (" ;\n", None),
    ],
)
@pytest.mark.parametrize("given", ["stored", "expression"])
def test_empty_items_at_the_ends_of_a_recipient_line_are_omitted(line, expected, given):
    literal = line.replace("\r", "\\r").replace("\n", "\\n")
    task = mail(expressions={"CCLine": f'"{literal}"'}) if given == "expression" else mail(fields={"cc_line": line})
    source = Converted(package(task)).source

    assert f'cc="{expected}"' in source if expected else "cc=" not in source


def test_the_item_before_an_empty_one_may_be_an_expression():
    source = Converted(
        package(mail(expressions={"BCCLine": '@[User::To] + ";\\n"'}), variables=(variable("To", "a@b.test"),))
    ).source

    assert 'bcc="{{ params.To }}"' in source


def test_line_ends_in_a_recipient_line_are_not_recipients(send):
    fields = {"to_line": "ops@corp.test;\r\n", "cc_line": "\n", "message_source": "One\r\n\r\nTwo\r\n\r\n"}
    converted = Converted(package(mail(fields=fields)))
    _, (received,) = send(converted)

    assert received.recipients == ("ops@corp.test",)
    assert body(received) == "One\n\nTwo\n\n"
    assert "cc=" not in converted.source


def test_empty_fields_are_omitted():
    source = Converted(package(mail())).source

    assert not {"cc=", "bcc=", "priority=", "message_source", "attachments="} & set(source.replace("(", " ").split())
    assert "disable" not in source


@pytest.mark.parametrize(("number", "priority"), [(1, "High"), (5, "Low"), (3, None), (0, None)])
def test_a_priority_is_named_and_0_is_normal(number, priority):
    source = Converted(package(mail(fields={"priority": number}))).source

    assert (f'priority="{priority}"' in source) if priority else ("priority" not in source)


@pytest.mark.parametrize(("number", "importance"), [("1", "high"), ("5", "low"), ("3", None), ("0", None)])
def test_the_priority_of_an_expression_can_be_any_number(send, number, importance):
    urgent = mail(expressions={"Priority": "@[User::Priority]"})
    _, (received,) = send(Converted(package(urgent, variables=(variable("Priority", number, DataType.I4),))))

    assert received.message["Importance"] == importance


def test_a_variable_as_message_source_becomes_its_value(send):
    fields = {"message_source_type": MessageSourceType.VARIABLE, "message_source": "User::Body"}
    body_of = variable("Body", "stale", expression='"Orders: " + (DT_WSTR, 9)@[User::Count]')
    converted = Converted(package(mail(fields=fields), variables=(body_of, variable("Count", "7", DataType.I4))))
    _, outbox = send(converted)
    send(converted, {"Count": 8})

    assert [body(received).strip() for received in outbox] == ["Orders: 7", "Orders: 8"]


def test_a_file_connection_as_message_source_becomes_its_path(send, tmp_path):
    (tmp_path / "body.txt").write_text("From a file")
    file = ConnectionManager(
        ref_id="Package.ConnectionManagers[Body]",
        dtsid="{F}",
        name="Body",
        creation_name="FILE",
        connection_string="stale",
        expressions={"ConnectionString": '@[User::Folder] + "/body.txt"'},
    )
    fields = {"message_source_type": MessageSourceType.FILE_CONNECTION, "message_source": "{f}"}
    converted = Converted(
        package(mail(fields=fields), managers=(SMTP, file), variables=(variable("Folder", str(tmp_path)),))
    )
    _, (received,) = send(converted)

    assert body(received).strip() == "From a file"
    assert any("The workers need access to it" in line for line in converted.findings())


def test_the_innermost_variable_of_a_name_is_used(send):
    inner = Executable(
        ref_id="Package\\Group",
        name="Group",
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        variables=(variable("Who", "inner@corp.test"),),
        executables=(mail("Inner", "Package\\Group", expressions={"ToLine": "@[User::Who]"}),),
    )
    outer = mail("Outer", expressions={"ToLine": "@[User::Who]", "CCLine": "@[$Package::Who]"})
    given = Parameter(name="Who", data_type=DataType.WSTR, value="package@corp.test", description="Whom to tell")
    converted = Converted(package(inner, outer, variables=(variable("Who", "outer@corp.test"),), parameters=(given,)))
    _, outbox = send(converted)

    assert {received.message["Subject"]: received.recipients for received in outbox} == {
        "Inner": ("inner@corp.test",),
        "Outer": ("outer@corp.test", "package@corp.test"),
    }
    assert '"Who": Param("package@corp.test", type="string", description="Whom to tell")' in converted.source


def test_a_param_can_have_the_name_of_a_method_of_params(send):
    _, (received,) = send(
        Converted(
            package(mail(expressions={"Subject": "@[User::items]"}), variables=(variable("items", "None left"),))
        )
    )

    assert received.message["Subject"] == "None left"


@pytest.mark.parametrize(
    ("data_type", "value", "param"),
    [
        (DataType.WSTR, "a", 'Param("a", type="string")'),
        (DataType.I4, "42", 'Param(42, type="integer")'),
        (DataType.BOOL, "True", 'Param(default=True, type="boolean")'),
        (DataType.R8, "0.5", 'Param(0.5, type="number")'),
        (
            DataType.DATE,
            "3/4/2019 9:12:40 PM",
            'Param("2019-03-04T21:12:40+00:00", type="string", format="date-time")',
        ),
        (DataType.I4, None, 'Param(type="integer")'),
    ],
)
def test_parameters_become_params_of_their_type(data_type, value, param):
    parameter = Parameter(name="P", data_type=data_type, value=value)
    source = Converted(
        package(mail(expressions={"Subject": "(DT_WSTR, 30)@[$Project::P]"})), parameters=(parameter,)
    ).source

    assert f'"P": {param}' in source


def test_a_required_parameter_has_no_default_and_is_a_step():
    """A run without its value, and a schedule, are errors in Airflow."""
    required = Parameter(name="Team", data_type=DataType.WSTR, value="stale@corp.test", required=True)
    converted = Converted(package(mail(expressions={"ToLine": "@[$Package::Team]"}), parameters=(required,)))

    assert '"Team": Param(type="string")' in converted.source
    (finding,) = converted.findings()
    assert finding == (
        "@[$Package::Team]: params.Team has no default: pass its value when a run starts. "
        "A DAG with a schedule needs a default."
    )


def test_a_secret_parameter_has_no_value_and_is_reported():
    secret = Parameter(name="Key", data_type=DataType.WSTR, value="hunter2", sensitive=True)
    converted = Converted(package(mail(expressions={"Subject": "@[$Package::Key]"}), parameters=(secret,)))

    assert '"Key": Param(type="string")' in converted.source
    assert "hunter2" not in converted.source + repr(converted.report)
    assert any("use a connection instead" in line for line in converted.findings())


def test_a_variable_that_a_loop_sets_has_no_default():
    """The value that the designer has stored would be the wrong address."""
    loop = Executable(
        ref_id="Package\\Each",
        name="Each",
        kind=Kind.FOREACH_LOOP,
        type="STOCK:FOREACHLOOP",
        properties={"VariableMapping[0]": "User::Address"},
        executables=(mail("Send", "Package\\Each", expressions={"ToLine": "@[User::Address]"}),),
    )
    converted = Converted(package(loop, variables=(variable("Address", "stale@corp.test"),)))

    assert '"Address": Param(type="string")' in converted.source
    assert "Package: @[User::Address]: A loop sets it" in "\n".join(converted.findings())


def test_a_disabled_task_is_disabled_in_the_dag(send):
    group = Executable(
        ref_id="Package\\Off",
        name="Off",
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        disabled=True,
        executables=(mail("In a container", "Package\\Off"), task("Load", "Package\\Off")),
    )
    converted = Converted(package(mail("By itself", disabled=True), group))
    run, outbox = send(converted)

    assert run.state == "success"
    assert outbox == []
    assert 'doc_md="Data Flow task (Microsoft.Pipeline)\\n\\nDisabled in the package."' in converted.source


@pytest.mark.parametrize(
    ("own", "outer", "sent"), [("True", "False", 0), ("False", "True", 0), ("False", "False", 1)]
)
def test_expressions_can_disable_a_task_or_its_containers(send, own, outer, sent):
    group = Executable(
        ref_id="Package\\G",
        name="G",
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        disabled=True,  # the stored value of the designer, which is outdated
        expressions={"Disable": "@[User::Outer]"},
        executables=(mail("Send", "Package\\G", expressions={"Disable": "@[User::Own]"}),),
    )
    run, outbox = send(
        Converted(
            package(group, variables=(variable("Own", own, DataType.BOOL), variable("Outer", outer, DataType.BOOL)))
        )
    )

    assert run.state == "success"
    assert len(outbox) == sent


@pytest.mark.parametrize(
    ("expressions", "why"),
    [
        ({"Subject": "@[System::CreatorName]"}, "System::CreatorName"),
        ({"ToLine": "@[User::Nowhere]"}, "There is no @[User::Nowhere] here"),
        ({"ToLine": "@Nowhere"}, "There is no @[Nowhere] here"),
        ({"ToLine": "@[$Project::To]"}, "import the package together with its project"),
        ({"ToLine": '"no end'}, "ToLine"),
        ({"Disable": "@[User::Rows]"}, "is not a text, number, date or Boolean"),
    ],
)
def test_a_mail_without_counterpart_is_not_sent_and_is_reported(send, expressions, why):
    """The task fails; the field has the value that the designer stored, and nothing wrong is sent."""
    converted = Converted(package(mail(expressions=expressions), variables=(variable("Rows", None, 13),)))
    run, outbox = send(converted)

    assert run.state == "failed"
    assert outbox == []
    assert "To do: write " in converted.source
    assert any(why in line for line in converted.findings())


def test_a_variable_that_refers_to_itself_is_reported():
    circle = (variable("A", "", expression="@[User::B]"), variable("B", "", expression="@[User::A]"))
    findings = Converted(package(mail(expressions={"Subject": "@[User::A]"}), variables=circle)).findings()

    assert any("refers to itself" in line for line in findings)


def test_a_text_instead_of_a_variable_name_is_reported():
    """As in packages where an expression of MessageSource yields the text instead of a variable's name."""
    fields = {"message_source_type": MessageSourceType.VARIABLE, "message_source": "Rows: 0"}
    first, _ = Converted(package(mail(fields=fields))).findings()

    assert first == (
        "Package\\Send: Its text is in the variable that MessageSource names (Rows: 0): There is no @[Rows: 0] here."
    )


def test_a_missing_connection_is_reported_and_nothing_is_sent(send):
    converted = Converted(package(mail(fields={"smtp_connection": "{GONE}"})))
    run, outbox = send(converted)

    assert (run.state, outbox) == ("failed", [])
    assert any(
        "not an SMTP connection manager, or does not exist: {GONE}. If it belongs to the project" in line
        for line in converted.findings()
    )


def test_variables_and_parameters_that_no_mail_uses_are_reported_as_skipped():
    parameter = Parameter(name="Unused", data_type=DataType.WSTR, value="x")
    skipped = Converted(package(mail(), variables=(variable("Idle", "x"),)), parameters=(parameter,)).findings(
        Status.SKIPPED
    )

    assert skipped == [
        "@[$Project::Unused]: No mail and no condition uses it.",
        "Package: @[User::Idle]: No mail and no condition uses it.",
    ]


def test_names_of_all_kinds_become_ids(load):
    names = ["Load Sales", "load-sales", "2nd try", "class", "Größe", "Заказы", "print", "DAG", "漢"]
    dag = load(Converted(package(*map(mail, names))).source)

    assert [task.task_display_name for task in dag.tasks] == names
    assert [task.task_id for task in dag.tasks] == [
        *("load_sales", "load_sales_2", "2_nd_try", "class", "grosse", "task", "print", "dag", "task_2")
    ]
