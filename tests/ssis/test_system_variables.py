"""System variables: in Airflow's contexts, they render to the values that they have in SSIS."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.api.datamodels._generated import DagRun, TIRunContext
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.ssis.expressions import Untranslatable, parse, to_jinja
from airflow_smtp_cm.ssis.expressions.system_variables import in_callback, in_task

STARTED = datetime(2024, 2, 29, 23, 5, 9, 123456, UTC)


class Failing(BaseOperator):
    """A task."""


@pytest.fixture
def context(request):
    """The context of a task, as Airflow's task runner builds it."""
    with DAG("load", dag_display_name="Load é", user_defined_macros={"ssis": ssis}, schedule=None):
        task = Failing(task_id="send_it", task_display_name="Send it", doc_md="What it is for")
    run = DagRun.model_construct(
        dag_id="load",
        run_id="manual__1",
        start_date=STARTED,
        logical_date=None,
        conf={},
        consumed_asset_events=[],
        partition_key=None,
        partition_date=None,
        triggering_user_name=getattr(request, "param", None),
    )
    instance = RuntimeTaskInstance.model_construct(
        id=uuid4(),
        task_id="send_it",
        dag_id="load",
        run_id="manual__1",
        try_number=1,
        map_index=-1,
        hostname="worker",
        start_date=STARTED,
        task=task,
    )
    instance._ti_context_from_server = TIRunContext.model_construct(dag_run=run, max_tries=0)
    return instance.get_template_context()


def rendered(expression, context, system=in_task):
    template = to_jinja(parse(expression), lambda name: system(name.name))
    assert template.uses_functions == ("ssis." in template.text)
    return context["dag"].get_template_env().from_string(template.text).render(context)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PackageName", "Load é"),
        ("PackageID", "load"),
        ("ExecutionInstanceGUID", "manual__1"),
        ("StartTime", ssis.date_text(ssis.local(STARTED))),
        ("ContainerStartTime", ssis.date_text(ssis.local(STARTED))),
        ("MachineName", "worker"),
        ("UserName", "scheduler"),
        ("InteractiveMode", "False"),
        ("OfflineMode", "False"),
        ("FailedConfigurations", ""),
        ("TaskName", "Send it"),
        ("TaskID", "send_it"),
    ],
)
def test_in_a_task(context, variable, text):
    assert rendered(f"@[System::{variable}]", context) == text


@pytest.mark.parametrize("context", ["alice"], indirect=True)
def test_the_user_is_the_one_who_started_the_run(context):
    assert rendered("@[System::UserName]", context) == "alice"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("@[System::ErrorDescription]", "[Errno 28] No space"),
        ("LEFT(@[System::ErrorDescription], 10)", "[Errno 28]"),
        ('"Code " + (DT_WSTR,20)@[System::ErrorCode]', "Code 28"),
        ("@[System::SourceName]", "Send it"),
        ("@[System::SourceID]", "send_it"),
        ("@[System::SourceDescription]", "What it is for"),
        ("@[System::PackageName]", "Load é"),
        ("@[System::Propagate]", "True"),
        ("@[System::Cancel]", "False"),
        ("@[System::EventHandlerStartTime] >= @[System::StartTime]", "True"),
    ],
)
def test_in_a_callback(context, expression, text):
    context["exception"] = OSError(28, "No space")
    assert rendered(expression, context, in_callback) == text


@pytest.mark.parametrize(("known", "text"), [({}, ""), ({"reason": "timed out"}, "timed out")])
def test_the_error_without_an_exception(context, known, text):
    context |= known
    assert rendered("@[System::ErrorDescription]", context, in_callback) == text
    assert rendered("@[System::ErrorCode]", context, in_callback) == "-1"


def test_a_callback_has_its_own_name_if_it_is_given(context):
    named = rendered("@[System::TaskName]", context, lambda name: in_callback(name, "Mail the team"))
    assert named == "Mail the team"


@pytest.mark.parametrize(
    ("system", "variable", "reason"),
    [
        (in_task, "ErrorDescription", "only event handlers have it"),
        (in_task, "CreatorName", "property of the package's file"),
        (in_task, "VersionMajor", "property of the package's file"),
        (in_task, "CancelEvent", "handle of Windows"),
        (in_task, "Nonsense", "no system variable of that name"),
        (in_callback, "TaskName", "event handler's own task"),
        (in_callback, "PercentComplete", "event that Airflow does not have"),
    ],
)
def test_a_variable_without_counterpart_has_a_reason(system, variable, reason):
    with pytest.raises(Untranslatable, match=reason) as caught:
        system(variable)
    assert caught.value.text == f"@[System::{variable}]"


def test_differences_are_noted():
    assert (
        "worker"
        in to_jinja(parse("@[System::MachineName]"), lambda name: in_task(name.name)).notes["@[System::MachineName]"]
    )
