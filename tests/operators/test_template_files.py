"""Template files: which fields may name one, where it is looked up, and the error if it is missing."""

from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task

from airflow_smtp_cm.mail import InvalidMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from tests.airflow_versions import since_3_1
from tests.failing import fails_permanently


@pytest.fixture
def dag(tmp_path):
    """A DAG whose search path has templates."""
    (tmp_path / "mails").mkdir()
    for name in ("mail.html", "mail.html.jinja", "mail.jinja", "mail.j2", "mails/mail.html", "mail.txt.jinja"):
        (tmp_path / name).write_text(f"<p>{name} of {{{{ who }}}}")
    (tmp_path / "base.html").write_text("<h1>{% block content %}{% endblock %}</h1>")
    (tmp_path / "extends.html").write_text("{% extends 'base.html' %}{% block content %}{{ who }}{% endblock %}")
    (tmp_path / "broken.html").write_text("{% include 'nowhere.html' %}")
    return DAG("reports", schedule=None, template_searchpath=[str(tmp_path)])


def rendered(dag, **fields):
    operator = SendMailOperator(task_id="send", dag=dag, **fields)
    operator.render_template_fields({"who": "Ann"})
    return operator


@pytest.mark.parametrize("name", ["mail.html", "mail.html.jinja", "mail.jinja", "mail.j2", "mails/mail.html"])
def test_html_may_be_in_a_template_file(dag, name):
    assert rendered(dag, html_content=name).html_content == f"<p>{name} of Ann"


def test_a_text_may_be_in_a_template_file(dag):
    assert rendered(dag, message_source="mail.txt.jinja").message_source == "<p>mail.txt.jinja of Ann"


def test_a_template_file_may_extend_another(dag):
    assert rendered(dag, html_content="extends.html").html_content == "<h1>Ann</h1>"


def test_a_mapped_task_may_have_template_files(dag):
    mapped = SendMailOperator.partial(task_id="send", dag=dag, html_content="mail.html").expand(to=["a@x", "b@x"])
    operator = mapped.unmap({"to": "a@x"})
    operator.render_template_fields({"who": "Ann"}, dag.get_template_env())

    assert (operator.to, operator.html_content) == ("a@x", "<p>mail.html of Ann")


def test_a_decorated_function_may_have_template_files_but_what_it_returns_is_none(dag, server):
    with dag:

        @task.send_mail(to="bob@corp.test", html_content="mail.html")
        def written():
            return {"subject": "a", "attachments": [], "message_source": "mail.jinja"}

        @task.send_mail(to="bob@corp.test")
        def returned():
            return {"subject": "a", "html_content": "mail.html"}

        first, second = written().operator, returned().operator
    for operator in (first, second):
        operator.render_template_fields({"who": "Ann"})
    first.execute({})
    with fails_permanently(match=r'"mail\.html" is the name of a template file'):
        second.execute({})

    (received,) = server.outbox
    assert received.message.get_body(("html",)).get_content() == "<p>mail.html of Ann"
    assert received.message.get_body(("plain",)).get_content() == "mail.jinja"


def test_a_notifier_may_have_template_files(dag):
    notifier = SendMailNotifier(html_content="mail.html", message_source="mail.txt.jinja")
    notifier.render_template_fields({"who": "Ann", "dag": dag})

    assert (notifier.html_content, notifier.message_source) == ("<p>mail.html of Ann", "<p>mail.txt.jinja of Ann")


@pytest.mark.parametrize(
    "fields",
    [
        {"html_content": "<p>See mail.html"},
        {"html_content": "See mail.html"},
        {"html_content": '<img src="cid:a.png">mail.html'},
        {"message_source": "See mail.j2"},
        {"message_source": "mail.html"},
        {"message_source": "mail.txt.jinja", "message_source_type": "FileConnection"},
        {"message_source": "mail.txt.jinja", "message_source_type": "Variable"},
        {"attachments": "mail.html"},
        {"attachments": ["mails/mail.html", "mail.html.jinja"]},
        {"subject": "mail.html"},
        {"to": "mail.j2"},
        {"headers": {"X-File": "mail.html"}},
        {"messages": [{"attachments": "mail.html"}]},
    ],
)
def test_nothing_else_is_taken_for_a_template_file(dag, fields):
    operator = rendered(dag, **fields)

    assert {name: getattr(operator, name) for name in fields} == fields


@pytest.mark.parametrize(("name", "missing"), [("nowhere.html", "nowhere.html"), ("broken.html", "nowhere.html")])
def test_a_missing_file_is_an_error_that_says_where_it_was_looked_for(dag, tmp_path, name, missing):
    with pytest.raises(AirflowFailException) as caught:
        rendered(dag, html_content=name)
    assert str(caught.value) == (
        f'There is no template file "{missing}" below {dag.folder}, {tmp_path}. Put it below the DAG\'s folder, or '
        "add its folder to the DAG's template_searchpath, and name it relative to that folder."
    )


def test_a_missing_file_of_a_notifier_is_an_error(dag, tmp_path):
    with pytest.raises(InvalidMessage, match=rf'no template file "nowhere.j2" below .*, {tmp_path}\.'):
        SendMailNotifier(message_source="nowhere.j2").render_template_fields({"dag": dag})


@pytest.mark.usefixtures("dag")
def test_a_notifier_finds_files_of_a_serialized_dag(tmp_path):
    """A callback of a DAG gets one in `airflow dags test`."""
    serialized = SimpleNamespace(fileloc=str(tmp_path / "reports.py"), render_template_as_native_obj=False)
    notifier = SendMailNotifier(html_content="mail.html")
    notifier.render_template_fields({"dag": serialized, "who": "Ann"}, notifier.get_template_env(serialized))

    assert notifier.html_content == "<p>mail.html of Ann"


@since_3_1
def test_a_file_of_a_notifier_without_a_dag_is_an_error_that_says_so():
    """Airflow passes none for a missed deadline."""
    with pytest.raises(InvalidMessage, match=r'"mail\.html" cannot be looked for: Airflow passes no DAG'):
        SendMailNotifier(html_content="mail.html").render_template_fields({})


@pytest.mark.parametrize(
    "fields",
    [
        {"html_content": "{{ 'mail.html' }}"},
        {"messages": [{"html_content": "mail.html"}]},
    ],
)
def test_a_name_that_nothing_has_looked_up_is_an_error(server, dag, fields):
    """Otherwise the name would be sent."""
    operator = rendered(dag, to="bob@corp.test", **fields)
    with fails_permanently() as caught:
        operator.execute({})
    assert 'html_content: "mail.html" is the name of a template file, not HTML.' in str(caught.value)
    assert server.outbox == []


UNRENDERED = 'The template file "mail.html" was not read, because the templates were not rendered.'


@pytest.mark.parametrize("fields", [{"html_content": "mail.html"}, {"message_source": "mail.jinja"}])
def test_execute_called_by_hand_does_not_send_the_template_of_a_file(server, dag, fields):
    with fails_permanently(match="was not read, because the templates were not rendered"):
        SendMailOperator(task_id="send", dag=dag, to="bob@corp.test", **fields).execute({})

    assert server.outbox == []


def test_notify_called_by_hand_does_not_send_the_template_of_a_file(server, monkeypatch, tmp_path):
    (tmp_path / "house.html").write_text("<h1>Corp</h1>{% block content %}{% endblock %}")
    monkeypatch.setenv("AIRFLOW__SMTP_CM__HTML_TEMPLATE", str(tmp_path / "house.html"))
    with pytest.raises(InvalidMessage, match=UNRENDERED):
        SendMailNotifier(to="bob@corp.test", html_content="mail.html").notify({"run_id": "manual__1"})

    assert server.outbox == []


def test_an_exception_that_is_the_name_of_a_file_does_not_stop_an_alert(smtp_cm_server):
    SendMailNotifier(to="ops@corp.test", subject="Failed", html_content="{{ exception }}")(
        {"dag": DAG("reports", schedule=None), "exception": FileNotFoundError("mail.html")}
    )

    (received,) = smtp_cm_server.outbox
    assert received.message.get_body(("html",)).get_content() == "mail.html"
