"""The operator, without a running Airflow: the messages, the errors, the result and the log."""

import inspect
import json
import re
from decimal import Decimal
from math import nan
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Variable

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import ConnectError, Disconnected, Phase, RecipientsRefused, Refused, TimedOut
from tests.airflow_versions import captured_log, looks_variables_up
from tests.connections import anonymous, connection, to_postfix
from tests.failing import fails_for_now, fails_permanently
from tests.patience import impatient_in
from tests.servers.people import ALICE, REALM
from tests.servers.postfix import SIZE_LIMIT
from tests.servers.processes import free_ports
from tests.servers.scripted import expect, expect_content, say, scripted_peer, wait_for_close

# The exact texts of SSIS.
NO_RECIPIENT = "No recipient is specified."
MALFORMED = 'It is either missing the "@" symbol or is not valid.'
NO_SERVER = (
    "The Simple Mail Transfer Protocol (SMTP) server is not specified. "
    "Provide a valid name or IP address of the SMTP server."
)
NO_ATTACHMENT = 'Either the file "{}" does not exist or you do not have permissions to access the file.'


@pytest.fixture
def entries():
    """The log entries of tasks, before Airflow masks them; each with its event."""
    with captured_log() as entries:
        yield entries


def _of_the_task(entries):
    # Airflow 3.1 also logs the type of the connection.
    return [entry["event"] for entry in entries if entry["event"].startswith("SendMailTask")]


def run(context=None, **fields):
    given = {"to": "bob@corp.test", "subject": "Hello"} | fields
    return SendMailOperator(task_id="send", **given).execute(context or {})


@pytest.fixture
def refusal(monkeypatch):
    """Return a function that runs a task and returns its error, without a retry and before it connects."""

    def opened(*_, **__):
        pytest.fail("It connects.")

    monkeypatch.setattr(SmtpClient, "open", opened)

    def refusal(**fields) -> str:
        with fails_permanently() as caught:
            run(**fields)
        return str(caught.value)

    return refusal


class FakeTaskInstance(SimpleNamespace):
    """The attributes of Airflow's task instance that the operator uses, in a try neither the first nor the last."""

    def __init__(self, **changes):
        given = {"dag_id": "d", "run_id": "r", "task_id": "send", "map_index": -1, "try_number": 2, "max_tries": 3}
        super().__init__(pushed={}, **given | changes)

    def xcom_push(self, key, value):
        self.pushed[key] = value


# --- Airflow's interface of an operator


def test_arguments_are_keywords_with_defaults():
    parameters = list(inspect.signature(SendMailOperator.__init__).parameters.values())[1:-1]

    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    assert {parameter.name: parameter.default for parameter in parameters} == {
        "smtp_conn_id": "smtp_cm_default",
        "from_email": None,
        "to": None,
        "cc": None,
        "bcc": None,
        "subject": "",
        "priority": "Normal",
        "message_source_type": "DirectInput",
        "message_source": "",
        "html_content": None,
        "text_part": True,
        "embed_images": False,
        "attachments": None,
        "reply_to": None,
        "headers": None,
        "house_style": True,
        "messages": None,
        "messages_per_minute": None,
        "max_messages_per_connection": None,
        "connections": 1,
        "disable": False,
        "all_or_nothing": False,
        "durable": True,
        "on_uncertain": "fail",
        "ask_timeout": None,
        "ask_default": "fail",
        "ask_notifier": None,
    }


def test_every_argument_except_the_switches_is_templated():
    fields = dict.fromkeys(SendMailOperator.template_fields, "{{ x }}") | {"headers": {"X-A": "{{ x }}"}}
    operator = SendMailOperator(task_id="send", **fields)
    operator.render_template_fields({"x": "rendered"})

    assert {name: getattr(operator, name) for name in fields} == dict.fromkeys(fields, "rendered") | {
        "headers": {"X-A": "rendered"}
    }
    arguments = set(inspect.signature(SendMailOperator.__init__).parameters) - {"self", "kwargs"}
    assert arguments - fields.keys() == {
        "all_or_nothing",
        "ask_default",
        "ask_notifier",
        "ask_timeout",
        "connections",
        "durable",
        "embed_images",
        "house_style",
        "max_messages_per_connection",
        "messages_per_minute",
        "on_uncertain",
        "text_part",
    }


# --- messages


def test_result_describes_the_sent_message(server):
    result = run(to="bob@corp.test", cc="carol@corp.test")

    (received,) = server.outbox
    assert result.pop("seconds") > 0
    assert result == {
        "message_id": received.message["Message-ID"],
        "accepted": ["bob@corp.test", "carol@corp.test"],
        "refused": [],
        "reply": "250 2.0.0 Kept as number 1",
        "size": len(received.content),
    }


def test_result_is_plain_json(server):
    result = run()

    assert json.loads(json.dumps(result)) == result
    assert len(server.outbox) == 1


def test_three_entries_are_logged(server, entries):
    """They are those of SSIS's Send Mail task."""
    result = run(to="bob@corp.test; carol@corp.test")

    begin, info, end = _of_the_task(entries)
    assert begin == "SendMailTaskBegin: The task began to send an e-mail message."
    assert info.startswith(
        f"SendMailTaskInfo: {result['message_id']}, {result['size']} bytes, "
        f"accepted for bob@corp.test, carol@corp.test, refused for nobody, in "
    )
    assert info.endswith("Reply of the server: 250 2.0.0 Kept as number 1")
    assert end == "SendMailTaskEnd: The task finished sending an e-mail message."
    assert len(server.outbox) == 1


def test_every_field_reaches_the_message(server):
    run(
        from_email="Sales <sales@corp.test>",
        to='"Doe, John" <john@corp.test>; b@corp.test',
        cc=["c@corp.test", "d@corp.test; e@corp.test"],
        bcc="f@corp.test",
        subject="Größe",
        priority="High",
        message_source="Text\n",
        reply_to="answers@corp.test",
        headers={"X-Report": "sales"},
    )

    (received,) = server.outbox
    message = received.message
    assert received.sender == "sales@corp.test"
    assert received.recipients == tuple(f"{name}@corp.test" for name in ("john", "b", "c", "d", "e", "f"))
    assert message["From"] == "Sales <sales@corp.test>"
    assert message["To"] == '"Doe, John" <john@corp.test>, b@corp.test'
    assert message["Cc"] == "c@corp.test, d@corp.test, e@corp.test"
    assert "f@corp.test" not in received.content.decode()
    assert message["Subject"] == "Größe"
    assert message["Importance"] == "high"
    assert message["Reply-To"] == "answers@corp.test"
    assert message["X-Report"] == "sales"
    assert message.get_content() == "Text\n"


def test_sender_is_that_of_the_connection_unless_the_task_has_one(server):
    run()
    run(from_email="")
    run(from_email="Ann <ann@corp.test>")

    assert [received.message["From"] for received in server.outbox] == [
        "Reports <reports@corp.test>",
        "Reports <reports@corp.test>",
        "Ann <ann@corp.test>",
    ]


@pytest.mark.parametrize(
    ("fields", "types"),
    [
        ({}, ["text/plain"]),
        ({"message_source": "Text"}, ["text/plain"]),
        ({"html_content": "<p>Text"}, ["multipart/alternative", "text/plain", "text/html"]),
        (
            {"message_source": None, "html_content": "<p>Text"},
            ["multipart/alternative", "text/plain", "text/html"],
        ),
        ({"html_content": "<p>Text", "text_part": False}, ["text/html"]),
        ({"html_content": "<hr>"}, ["text/html"]),
        (
            {"message_source": "Text", "html_content": "<p>Text"},
            ["multipart/alternative", "text/plain", "text/html"],
        ),
    ],
)
def test_body_has_a_part_for_each_text(server, fields, types):
    run(**fields)

    assert [part.get_content_type() for part in server.outbox[0].message.walk()] == types


@pytest.mark.parametrize("priority", ["High", "high", 1, "1"])
def test_priority_may_be_ssis_name_or_number(server, priority):
    run(priority=priority)

    assert server.outbox[0].message["X-Priority"] == "1"


def test_text_may_come_from_a_file_connection(server, define, tmp_path):
    file = tmp_path / "body.txt"
    file.write_text("From a file\n")
    define(json.dumps({"conn_type": "fs", "extra": {"path": str(file)}}), "body")
    run(message_source_type="FileConnection", message_source="body")

    assert server.outbox[0].message.get_content() == "From a file\n"


def test_text_may_come_from_a_variable(server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_BODY", "From a Variable\n")
    run(message_source_type="Variable", message_source="body")

    assert server.outbox[0].message.get_content() == "From a Variable\n"


@pytest.mark.parametrize(
    "write",
    [
        "{0}/a.csv|{0}/b.bin".format,
        lambda folder: [f"{folder}/a.csv", f"{folder}/b.bin"],
        lambda folder: [Path(folder, "a.csv"), f"file://{folder}/b.bin"],
        "{}/[ab].*".format,
    ],
    ids=["line", "list", "path and URL", "pattern"],
)
def test_attachments_arrive(server, tmp_path, write):
    files = {"a.csv": b"x,y\r\n", "b.bin": bytes(range(256)) * 300}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    run(message_source="See there.", attachments=write(tmp_path))

    attached = list(server.outbox[0].message.iter_attachments())
    assert {part.get_filename(): part.get_payload(decode=True) for part in attached} == files


def test_white_space_and_invisible_characters_around_addresses_are_removed(server):
    """Addresses are copied from mails and spreadsheets, and come from Variables, files and SQL."""
    run(
        from_email="\ufeffalice@corp.test\n",
        to="\u2060bob@corp.test\u00ad\r\n; \u00a0carol@corp.test\n",
        cc=["\tdave@corp.test\r\n"],
        bcc="\u200eerin@corp.test\u200f",
        reply_to="\ufeffDesk <desk@corp.test>",
    )

    (received,) = server.outbox
    assert received.sender == "alice@corp.test"
    assert received.recipients == tuple(f"{name}@corp.test" for name in ("bob", "carol", "dave", "erin"))
    assert received.message["Reply-To"] == "Desk <desk@corp.test>"


def test_values_of_native_templates_become_text_again(server):
    """With render_template_as_native_obj a template may make a number, a list or None."""
    run(
        to=("bob@corp.test", "carol@corp.test"),
        cc={"dave@corp.test"},
        bcc=None,
        subject=2026,
        priority=5,
        message_source=12.5,
        html_content=None,
        attachments=(),
        headers={"X-Try": 1, "X-None": None},
    )

    (received,) = server.outbox
    assert received.recipients == ("bob@corp.test", "carol@corp.test", "dave@corp.test")
    assert received.message["Subject"] == "2026"
    assert received.message["X-Priority"] == "5"
    assert received.message["X-Try"] == "1"
    assert received.message["X-None"] == ""
    assert received.message.get_content() == "12.5\n"


def test_line_ends_and_tabs_in_a_subject_become_blanks(server):
    """Subjects come from SQL, files and other templates."""
    run(subject="\r\nSales of\r\n the north\t\tand\nthe south\t\r\n")

    assert server.outbox[0].message["Subject"] == "Sales of the north and the south"


def test_dots_that_need_quotes_get_them(server):
    """Old mailboxes of phone companies have them, and System.Net.Mail sends them."""
    result = run(to="bob..b@corp.test; Carol <carol.@corp.test>")

    assert result["accepted"] == ['"bob..b"@corp.test', '"carol."@corp.test']
    (received,) = server.outbox
    assert b'\r\nTo: "bob..b"@corp.test, Carol <"carol."@corp.test>\r\n' in received.content


def test_sender_may_have_a_name_with_a_comma_without_quotes(server):
    """Active Directory's form of names; System.Net.Mail reads it so, too."""
    context = {"ti": FakeTaskInstance()}
    SendMailOperator(task_id="send", to="bob@corp.test", from_email="Doe, John <john@mail.test>").execute(context)

    (received,) = server.outbox
    assert received.sender == "john@mail.test"
    assert received.message["From"] == '"Doe, John" <john@mail.test>'
    assert received.message["Message-ID"].endswith("@mail.test>")


OPTIONAL = [
    name
    for name, parameter in inspect.signature(SendMailOperator.__init__).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
]


@pytest.mark.parametrize("name", OPTIONAL)
def test_none_is_the_default_of_every_argument(server, name):
    """A mapped task gets None from a row of SQL (expand_kwargs)."""
    given = {"to": "bob@corp.test", "cc": "carol@corp.test", "subject": "Hello", "message_source": "Text"}
    given.pop(name, None)
    for fields in (given, given | {name: None}):
        SendMailOperator(task_id="send", **fields).execute({})

    missing, none = (
        [received.sender, received.recipients, received.message["X-Priority"], received.message.get_content()]
        for received in server.outbox
    )
    assert none == missing
    task = SendMailOperator(task_id="send", **{name: None})
    assert (task.durable, task.on_uncertain, bool(task.all_or_nothing)) == (True, "fail", False)


@pytest.mark.parametrize("name", ["smtp_conn_id", "subject", "priority", "message_source_type", "message_source"])
def test_none_of_a_native_template_is_the_default_of_a_field(server, name):
    task = SendMailOperator(task_id="send", **{"to": "bob@corp.test", name: "{{ params.none }}"})
    setattr(task, name, None)
    task.execute({})

    assert server.outbox[0].recipients == ("bob@corp.test",)


def test_line_that_only_looks_like_the_text_of_a_list_is_a_line(server):
    run(to='["IT"] Desk <desk@corp.test>; bob@[192.0.2.1]')

    assert server.outbox[0].recipients == ("desk@corp.test", "bob@[192.0.2.1]")


def test_native_template_may_render_the_connection_id_as_a_number(server, define):
    define(server.airflow_connection(), "42")
    run(smtp_conn_id=42)

    assert len(server.outbox) == 1


def test_message_id_is_that_of_the_task_instance(server):
    """It is the same in every try; see the tests of its module."""
    for _ in range(2):
        run({"ti": FakeTaskInstance()})
    run({"ti": FakeTaskInstance(map_index=1)})
    run()

    first, again, mapped, outside = (received.message["Message-ID"] for received in server.outbox)
    assert first == again
    assert first.endswith("@corp.test>")
    assert len({first, mapped, outside}) == 3


def test_ticket_is_enough(postfix, kdc, certificates, define, monkeypatch):
    """The connection has neither user nor password: the worker's own ticket is used."""
    monkeypatch.setenv("KRB5CCNAME", kdc.ticket())
    define(to_postfix(postfix, certificates, login=None, password=None, mechanism="auto"))
    result = run()

    assert "Authenticated sender: alice" in postfix.wait_for_message(result["message_id"])["Received"]


def test_keytab_is_enough(postfix, kdc, certificates, define):
    keytab = {"login": f"alice@{REALM}", "password": None, "keytab": str(kdc.alice_keytab), "mechanism": "kerberos"}
    define(to_postfix(postfix, certificates, **keytab))
    result = run()

    assert "Authenticated sender: alice" in postfix.wait_for_message(result["message_id"])["Received"]


# --- disable


@pytest.mark.parametrize("disable", [True, "True", "true", "TRUE", " True\n"])
def test_disabled_task_sends_nothing_and_succeeds(server, entries, disable):
    assert run(disable=disable) is None
    assert server.outbox == []
    assert _of_the_task(entries) == ["SendMailTaskInfo: The task is disabled. Nothing is sent."]


def test_disabled_task_needs_neither_connection_nor_recipient():
    assert run(disable=True, smtp_conn_id="nowhere", to=None) is None


@pytest.mark.parametrize("disable", [False, "False", "false"])
def test_task_that_is_not_disabled_sends(server, disable):
    run(disable=disable)

    assert len(server.outbox) == 1


@pytest.mark.parametrize("disable", ["", "yes", 1, 0, [], "{{ params.x }}"])
def test_value_that_is_neither_true_nor_false_is_an_error(server, refusal, disable):
    assert refusal(disable=disable) == f'disable: "{disable}" is neither True nor False. Nothing was sent.'
    assert server.outbox == []


def test_template_of_disable_that_results_in_none_is_an_error(server):
    """It is not clear whether the task is meant to be disabled."""
    task = SendMailOperator(task_id="send", to="bob@corp.test", disable="{{ params.off }}")
    task.disable = None  # as a native template is rendered
    with pytest.raises(AirflowFailException, match="neither True nor False"):
        task.execute({})
    assert server.outbox == []


# --- errors before connecting


@pytest.mark.parametrize("subject", ["", None, "\r\n"])
def test_empty_subject_is_a_warning_with_the_text_of_ssis(server, caplog, subject):
    run(subject=subject)

    assert ("WARNING", "The subject is empty.") in [(record.levelname, record.message) for record in caplog.records]
    assert server.outbox[0].message["Subject"] is None


@pytest.mark.usefixtures("server")
class TestInvalidMessages:
    """Each fails without a retry and without connecting, with the text of SSIS if it has one."""

    @pytest.mark.parametrize("nobody", [None, "", " ; ,", [], [""]])
    def test_no_recipient(self, refusal, nobody):
        assert NO_RECIPIENT in refusal(to=nobody)

    @pytest.mark.parametrize("field", ["from_email", "to", "cc", "bcc", "reply_to"])
    @pytest.mark.parametrize("address", ["bob", "@corp.test", "bob@", "b ob@corp.test", "a@b@c", "<bob@corp.test"])
    def test_malformed_address(self, refusal, field, address):
        problem = refusal(**{field: address})

        assert problem.startswith(f'{field}: The address "{address}" is malformed. {MALFORMED}')

    @pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
    @pytest.mark.parametrize("value", [5, [1], True])
    def test_number_instead_of_an_address(self, refusal, field, value):
        assert MALFORMED in refusal(**{field: value})

    @pytest.mark.parametrize("field", ["from_email", "to", "cc", "bcc", "reply_to"])
    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            ({"a@x.test": 1}, "dict"),
            ([["a@x.test"]], "list"),
            (["a@x.test", None], "NoneType"),
            (b"a@x.test", "bytes"),
            (["a@x.test", b"b@x.test"], "bytes"),
            (nan, "float nan"),
            ([nan], "float nan"),
        ],
    )
    def test_field_that_is_neither_a_line_nor_several(self, refusal, field, value, kind):
        if field == "from_email" and isinstance(value, list):
            kind = "list"
        problem = refusal(**{field: value})

        assert re.fullmatch(rf"{field}: (A line of addresses|It) must be text, not {kind}\.", problem)

    @pytest.mark.parametrize("field", ["from_email", "to", "cc", "bcc", "reply_to", "attachments"])
    @pytest.mark.parametrize(
        "text",
        ["['a@x.test', 'b@x.test']", '["a@x.test"]', "('a@x.test',)", "[]", "[PosixPath('/a')]", "{'a@x.test'}"],
    )
    def test_list_that_a_template_turned_into_text(self, refusal, field, text):
        assert refusal(**{field: text}) == (
            f'{field}: It is the text of a list, "{text}", not a list. A template returns text. Pass the output of '
            "the task itself (XComArg), or set render_template_as_native_obj=True in the DAG."
        )

    def test_one_of_several_lines_that_a_template_turned_into_text(self, refusal):
        problems = refusal(to=["['a@x.test', 'b@x.test']", "c@x.test", "[]", None]).splitlines()

        assert ["It is the text of a list" in problem for problem in problems] == [True, True, False]

    @pytest.mark.parametrize("field", ["subject", "message_source", "html_content"])
    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (b"Text", "bytes"),
            (bytearray(b"Text"), "bytearray"),
            (nan, "float nan"),
            (Decimal("NaN"), "Decimal NaN"),
        ],
    )
    def test_text_of_another_type(self, refusal, field, value, kind):
        assert refusal(**{field: value}) == f"{field}: It must be text, not {kind}."

    def test_header_of_another_type(self, refusal):
        assert refusal(headers={"X-A": b"a", "X-B": nan, "X-C": 5}).splitlines() == [
            'headers: The value of "X-A": It must be text, not bytes.',
            'headers: The value of "X-B": It must be text, not float nan.',
        ]

    @pytest.mark.parametrize("field", ["from_email", "to", "cc", "bcc", "reply_to"])
    def test_invisible_character_in_an_address(self, refusal, field):
        assert refusal(**{field: "Bob <bob\u200b@corp.test>"}) == (
            f'{field}: The address "Bob <bob<U+200B>@corp.test>" is malformed. {MALFORMED} It holds the invisible '
            "character U+200B ZERO WIDTH SPACE. Remove it, or type the address again."
        )

    def test_several_senders(self, refusal):
        assert refusal(from_email="a@x.test; b@x.test").startswith("from_email: 2 senders are specified")

    def test_missing_attachment(self, refusal, tmp_path):
        missing = f"{tmp_path}/none.csv"

        assert refusal(attachments=[missing]) == f"attachments: {NO_ATTACHMENT.format(missing)}"

    def test_pattern_without_a_file(self, refusal, tmp_path):
        pattern = f"{tmp_path}/*.csv"

        assert refusal(attachments=pattern) == f'attachments: No file matches the pattern "{pattern}".'

    @pytest.mark.parametrize("value", [5, [5], [["/etc/hostname"]], [None]])
    def test_attachment_of_another_type(self, refusal, value):
        assert refusal(attachments=value).startswith("attachments: An attachment must be a path or a URL, not ")

    def test_storage_without_its_provider(self, refusal):
        assert 'attachments: "s3://bucket/a.csv" cannot be opened here' in refusal(attachments="s3://bucket/a.csv")

    def test_missing_file_of_the_body(self, refusal, tmp_path):
        file = f"{tmp_path}/none.txt"

        assert refusal(message_source_type="FileConnection", message_source=file) == (
            f'message_source: On operation "reading the message source", file "{file}" does not exist.'
        )

    def test_connection_that_is_not_a_file_connection(self, refusal):
        fields = {"message_source_type": "FileConnection", "message_source": "smtp_cm_default"}

        assert 'message_source: Connection "smtp_cm_default" is not of type File.' in refusal(**fields)

    def test_file_connection_without_a_path(self, refusal, define):
        define(json.dumps({"conn_type": "fs"}), "body")
        fields = {"message_source_type": "FileConnection", "message_source": "body"}

        assert 'message_source: Connection "body" is empty.' in refusal(**fields)

    def test_variable_that_is_not_text(self, refusal, monkeypatch):
        monkeypatch.setattr(Variable, "get", lambda *_: 5)
        fields = {"message_source_type": "Variable", "message_source": "body"}

        assert refusal(**fields) == 'message_source: Variable "body" is not of type string.'

    @pytest.mark.parametrize("kind", ["Direct Input", "", "{{ params.kind }}"])
    def test_unknown_type_of_source(self, refusal, kind):
        shown = f'message_source_type: "{kind}" is none of DirectInput, FileConnection, Variable.'

        assert refusal(message_source_type=kind) == shown

    @pytest.mark.parametrize("priority", ["Urgent", 2, "", [1]])
    def test_unknown_priority(self, refusal, priority):
        assert refusal(priority=priority) == f'priority: "{priority}" is none of High, Normal, Low, 1, 3 and 5.'

    @pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=repr)
    @pytest.mark.parametrize("field", ["from_email", "to", "cc", "bcc", "reply_to"])
    def test_line_end_in_an_address(self, refusal, field, end):
        """It would allow to inject a header or a command."""
        assert "holds the control character U+000" in refusal(**{field: f"bob@corp.test{end}Bcc: eve@evil.test"})

    @pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=repr)
    @pytest.mark.parametrize(
        "write",
        [
            lambda text: {"headers": {"X-A": text}},
            lambda text: {"headers": {f"X-{text}": "a"}},
            lambda text: {"priority": text},
            lambda text: {"message_source_type": text},
            lambda text: {"attachments": text},
            lambda text: {"attachments": [Path("/etc/hostname"), text]},
        ],
        ids=["value", "name", "priority", "kind", "attachments", "attachment"],
    )
    def test_line_end_in_another_field(self, refusal, write, end):
        problem = refusal(**write(f"a{end}Bcc: eve@evil.test"))

        assert f"a{end}" not in problem
        assert "U+000" in problem

    @pytest.mark.parametrize("headers", ["X-A: b", ["X-A"], 5, [("X-A", "b")]])
    def test_headers_that_are_not_a_mapping(self, refusal, headers):
        assert refusal(headers=headers).startswith("headers: It must be a mapping")

    def test_headers_that_a_template_turned_into_text(self, refusal):
        assert "Pass the output of the task itself (XComArg)" in refusal(headers="{'X-A': 'b'}")

    def test_headers_that_other_fields_set(self, refusal):
        assert refusal(headers={"Bcc": "a@x.test"}).startswith(
            'headers: The header "Bcc" is built from the field bcc'
        )

    def test_all_problems_at_once(self, refusal):
        problems = refusal(
            from_email="nobody",
            to="bob",
            cc="carol",
            subject="a\0b",
            priority="Urgent",
            message_source_type="Variable",
            message_source="nowhere",
            attachments=["/nowhere/a|/nowhere/b", 5],
            headers=5,
        ).splitlines()

        assert sorted(problem.split(":")[0] for problem in problems) == [
            "attachments",
            "cc",
            "from_email",
            "headers",
            "message_source",
            "priority",
            "subject",
            "to",
        ]


@pytest.mark.parametrize("character", ["\0", "\x0b", "\x1b", "\x85", "\u2028", "\ud800"], ids=ascii)
def test_other_control_characters_in_a_subject_are_an_error(server, refusal, character):
    assert f"holds the control character U+{ord(character):04X}" in refusal(subject=f"a{character}b\n")
    assert server.outbox == []


def test_text_that_cannot_be_in_a_mail_is_an_error(server, refusal, tmp_path):
    """For example, a binary file used as the text by mistake."""
    file = tmp_path / "body.txt"
    file.write_bytes(b"\x7fELF\x00")

    fields = {"message_source_type": "FileConnection", "message_source": str(file)}
    assert "text: It holds the character U+0000" in refusal(**fields)
    assert server.outbox == []


class TestNotFound:
    """It is what Airflow reports also if its database cannot be reached, so the task is retried."""

    @pytest.mark.parametrize("conn_id", ["nowhere", ""])
    def test_connection(self, conn_id):
        with fails_for_now(match=f'^smtp_conn_id: The specified connection "{conn_id}" does not exist'):
            run(smtp_conn_id=conn_id, from_email="a@x.test")

    @looks_variables_up
    @pytest.mark.usefixtures("server")
    def test_variable(self):
        with fails_for_now(match='^message_source: The Variable "nowhere" does not exist'):
            run(message_source_type="Variable", message_source="nowhere")

    @pytest.mark.usefixtures("server")
    def test_file_connection(self):
        with fails_for_now(match='file "nowhere" does not exist. There is no connection with this id, either'):
            run(message_source_type="FileConnection", message_source="nowhere")

    @pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
    @pytest.mark.parametrize(
        "write",
        [
            lambda name: {"message_source_type": "FileConnection", "message_source": name},
            lambda name: {"message_source_type": "Variable", "message_source": name},
            lambda name: {"smtp_conn_id": name},
        ],
        ids=["file", "variable", "id"],
    )
    @pytest.mark.usefixtures("server")
    def test_name_with_a_line_end(self, write, end):
        with fails_for_now(match="U\\+000") as caught:
            run(**write(f"a{end}Bcc: eve@evil.test"))

        assert f"a{end}" not in str(caught.value)


class TestInvalidConnections:
    """Each fails without a retry and without connecting, with the text of SSIS if it has one."""

    def test_missing_and_another_problem(self, refusal):
        assert refusal(smtp_conn_id="nowhere", from_email="a@x.test", to="nobody").startswith(
            'smtp_conn_id: The specified connection "nowhere" does not exist.'
        )

    def test_of_another_type(self, refusal, define):
        define(connection(conn_type="smtp", host="mail"))

        assert 'Connection "smtp_cm_default" is not of type SMTP Connection Manager (smtp_cm)' in refusal(
            from_email="a@x.test"
        )

    def test_without_server(self, refusal, define):
        define(connection(from_email="a@x.test"))

        assert refusal() == f"smtp_conn_id: {NO_SERVER}"

    def test_without_sender(self, refusal, define):
        define(connection(host="mail"))

        assert refusal() == (
            'from_email: No sender is set in the task, in the connection "smtp_cm_default" or in [smtp_cm] '
            "default_from."
        )

    def test_all_problems_at_once(self, refusal, define):
        """Those of the connection and of the message, but not a missing sender: the connection may have one."""
        define(connection(timeout=-1, password=ALICE.password))

        problems = refusal(to="bob", subject="a\0b").splitlines()
        assert [problem.split(":")[0] for problem in problems] == [*["smtp_conn_id"] * 3, "to", "subject"]
        assert ALICE.password not in "".join(problems)


# --- retries

INTRODUCTION = [say("220 hi"), expect("EHLO"), say("250 hi")]
MAIL, RCPT, DATA, CONTENT = [expect("MAIL")], [expect("RCPT")], [expect("DATA")], [expect_content()]
OK, GO_ON = [say("250 ok")], [say("354 go on")]

# The dialogue before the server's negative reply, after which it closes the connection.
BEFORE_REFUSAL = {
    "greeting": [],
    "sender": [*INTRODUCTION, *MAIL],
    "recipient": [*INTRODUCTION, *MAIL, *OK, *RCPT],
    "DATA": [*INTRODUCTION, *MAIL, *OK, *RCPT, *OK, *DATA],
    "content": [*INTRODUCTION, *MAIL, *OK, *RCPT, *OK, *DATA, *GO_ON, *CONTENT],
}


@pytest.mark.parametrize("phase", BEFORE_REFUSAL)
def test_permanent_error_fails_without_a_retry(define, phase):
    with scripted_peer([*BEFORE_REFUSAL[phase], say("554 5.7.1 no")]) as peer:
        define(anonymous(peer.port))
        with fails_permanently(match=r"554 5\.7\.1 no"):
            run()


@pytest.mark.parametrize(
    ("phase", "reply"), [("greeting", "421 4.3.2 busy"), *((phase, "451 4.3.0 later") for phase in BEFORE_REFUSAL)]
)
def test_transient_error_is_left_to_airflows_retries(define, phase, reply):
    with scripted_peer([*BEFORE_REFUSAL[phase], say(reply)]) as peer:
        define(anonymous(peer.port))
        with pytest.raises(Refused, match=reply) as caught:
            run()

    assert not isinstance(caught.value, AirflowFailException)


def test_unreachable_server_is_left_to_airflows_retries(define):
    (port,) = free_ports(1)
    define(anonymous(port))
    with pytest.raises(ConnectError):
        run()


def test_silent_server_is_left_to_airflows_retries(define, monkeypatch):
    impatient_in(Phase.GREETING, monkeypatch)
    with scripted_peer([wait_for_close()]) as peer:
        define(anonymous(peer.port))
        with pytest.raises(TimedOut):
            run()


def test_connection_lost_before_the_end_is_left_to_airflows_retries(define):
    with scripted_peer(BEFORE_REFUSAL["DATA"]) as peer:
        define(anonymous(peer.port))
        with pytest.raises(Disconnected):
            run()


@pytest.mark.parametrize("end", [[], [wait_for_close()]], ids=["connection lost", "silence"])
def test_uncertain_message_is_not_sent_again(define, monkeypatch, end):
    impatient_in(Phase.FINAL, monkeypatch)
    with scripted_peer([*BEFORE_REFUSAL["content"], *end]) as peer:
        define(anonymous(peer.port))
        with fails_permanently(match="delivery is uncertain"):
            run()


def test_wrong_password_fails_without_a_retry(server, define):
    """A retry could lock the account."""
    define(server.airflow_connection(password="wrong"))
    with fails_permanently(match="refused the login by NTLM"):
        run()

    assert server.outbox == []


def test_missing_tls_fails_without_a_retry(define):
    with scripted_peer(INTRODUCTION) as peer:
        define(anonymous(peer.port, enable_ssl=True))
        with fails_permanently(match="does not offer STARTTLS"):
            run()


def test_rejected_sender_fails_without_a_retry(postfix, certificates, define):
    define(to_postfix(postfix, certificates))
    with fails_permanently(match=r"refused the sender blocked@corp\.test: 550 5\.7\.1"):
        run(from_email="blocked@corp.test")


@pytest.mark.parametrize("port", ["small", "small_unannounced"])
def test_message_that_is_too_large_fails_without_a_retry(postfix, certificates, define, port):
    define(to_postfix(postfix, certificates, port))
    with fails_permanently(match=r"accepts at most|552|refused the message"):
        run(message_source="0123456789\n" * SIZE_LIMIT)


def test_address_that_is_not_ascii_fails_without_a_retry_if_the_server_lacks_smtputf8(postfix, certificates, define):
    define(to_postfix(postfix, certificates, "no_smtputf8"))
    with fails_permanently(match="SMTPUTF8"):
        run(to="bøb@corp.test")


# --- refused recipients


@pytest.fixture
def refused_by_postfix(postfix, certificates, define):
    """Return a function that runs a task, and returns its error and the task instance."""
    define(to_postfix(postfix, certificates))

    def refused(error, **fields):
        ti = FakeTaskInstance(run_id=str(fields))
        with pytest.raises(error) as caught:
            run({"ti": ti}, **fields)
        return caught.value, ti

    return refused


@pytest.mark.parametrize(
    ("other", "reply"),
    [("refused", "550 5.1.1 <refused@corp.test>"), ("later", "451 4.3.0 <later@corp.test>")],
)
def test_message_is_sent_to_the_others_and_the_task_fails_permanently(
    postfix, refused_by_postfix, entries, other, reply
):
    """A retry, even after a 4xx, would send it to the others twice."""
    error, ti = refused_by_postfix(AirflowFailException, to=f"bob@corp.test; {other}@corp.test")

    result = ti.pushed["return_value"]
    assert result["accepted"] == ["bob@corp.test"]
    assert result["refused"][0]["address"] == f"{other}@corp.test"
    assert f"{other}@corp.test: {reply}" in str(error)
    assert f"The message {result['message_id']} was delivered to the other 1." in str(error)
    begin, info = _of_the_task(entries)
    assert begin.startswith("SendMailTaskBegin")
    assert f"accepted for bob@corp.test, refused for {other}@corp.test: {reply}" in info
    postfix.wait_for_message(result["message_id"])


def test_result_is_not_in_xcom_if_do_xcom_push_is_off(refused_by_postfix):
    _, ti = refused_by_postfix(AirflowFailException, to="bob@corp.test; refused@corp.test", do_xcom_push=False)

    assert ti.pushed == {}


def test_all_or_nothing_sends_to_no_recipient(postfix, refused_by_postfix):
    fields = {"to": "bob@corp.test; refused@corp.test", "all_or_nothing": True, "subject": "nobody gets this"}
    error, ti = refused_by_postfix((RecipientsRefused, AirflowFailException), **fields)

    assert not getattr(error, "transient", False)
    assert "was not sent to anybody, since all_or_nothing is set" in str(error)
    assert ti.pushed == {}
    postfix.wait_for_message(run()["message_id"])
    assert "nobody gets this" not in [arrived["Subject"] for arrived in postfix.messages()]


@pytest.mark.parametrize(
    "fields", [{"to": "later@corp.test"}, {"to": "bob@corp.test; later@corp.test", "all_or_nothing": True}]
)
def test_transient_refusal_is_left_to_airflows_retries_if_no_recipient_has_the_message(refused_by_postfix, fields):
    error, ti = refused_by_postfix(RecipientsRefused, **fields)

    assert error.transient
    assert ti.pushed == {}
