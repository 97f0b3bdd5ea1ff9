"""The counterparts of SSIS's system variables ("System Variables") in Airflow."""

from __future__ import annotations

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions.bindings import Binding, Constant, Jinja
from airflow_smtp_cm.ssis.expressions.errors import Untranslatable

# A scheduled run has no user; in SSIS it has the account of SQL Server Agent.
_USER = "(dag_run.triggering_user_name or 'scheduler')"
# Without an exception (the task's process died, or the callback is the DAG's) Airflow's context has a reason.
_ERROR = "(exception|default(reason)|default('')|string)"
_ERROR_OR_NONE = "exception|default(none)"

_OF_PACKAGE: dict[str, Binding] = {
    "PackageName": Jinja("dag.dag_display_name", DataType.WSTR),
    "PackageID": Jinja("dag.dag_id", DataType.WSTR, note="the DAG's id replaces the package's GUID"),
    "ExecutionInstanceGUID": Jinja("run_id", DataType.WSTR, note="the run's id replaces a GUID"),
    "StartTime": Jinja("ssis.local(dag_run.start_date)", DataType.DATE, uses_functions=True),
    "ContainerStartTime": Jinja(
        "ssis.local(ti.start_date)",
        DataType.DATE,
        uses_functions=True,
        note="the start of the task replaces the start of its container",
    ),
    "MachineName": Jinja("ti.hostname", DataType.WSTR, note="it is the host name of the worker"),
    "UserName": Jinja(_USER, DataType.WSTR, note="it is the user who started the run in Airflow, or scheduler"),
    "InteractiveMode": Constant(Value(content=False, data_type=DataType.BOOL)),
    "OfflineMode": Constant(Value(content=False, data_type=DataType.BOOL)),
    "IgnoreConfigurationsOnLoad": Constant(Value(content=False, data_type=DataType.BOOL)),
    "FailedConfigurations": Constant(Value("", DataType.WSTR)),
}

_OF_TASK: dict[str, Binding] = {
    "TaskName": Jinja("task.task_display_name", DataType.WSTR),
    "TaskID": Jinja("task.task_id", DataType.WSTR, note="the task's id replaces a GUID"),
}

_OF_EVENT_HANDLER: dict[str, Binding] = {
    "ErrorDescription": Jinja(_ERROR, DataType.WSTR),
    "ErrorCode": Jinja(
        f"ssis.error_code({_ERROR_OR_NONE})",
        DataType.I4,
        uses_functions=True,
        note="it is a number of the exception, such as errno, or -1: Airflow's errors have no numbers",
    ),
    "SourceName": Jinja("task.task_display_name", DataType.WSTR),
    "SourceID": Jinja("task.task_id", DataType.WSTR, note="the task's id replaces a GUID"),
    "SourceDescription": Jinja("(task.doc_md or '')", DataType.WSTR),
    "EventHandlerStartTime": Jinja("ssis.getdate()", DataType.DATE, uses_functions=True),
    "Cancel": Constant(Value(content=False, data_type=DataType.BOOL)),
    "Propagate": Constant(Value(content=True, data_type=DataType.BOOL)),
}

_OF_FILE = "it is a property of the package's file, which Airflow does not have: write its value into the DAG"
_OF_OTHER_EVENT = "it belongs to an event that Airflow does not have"
_REASONS = {
    "CancelEvent": "it is a handle of Windows",
    "CreationDate": _OF_FILE,
    "CreationName": _OF_FILE,
    "CreatorComputerName": _OF_FILE,
    "CreatorName": _OF_FILE,
    "ExecutionStatus": _OF_OTHER_EVENT,
    "ExecutionValue": "tasks have no execution value in Airflow; an XCom may replace it",
    "LocaleID": _OF_FILE,
    "LocaleId": _OF_FILE,
    "ParentContainerGUID": "task groups have no GUID",
    "PercentComplete": _OF_OTHER_EVENT,
    "ProgressCountHigh": _OF_OTHER_EVENT,
    "ProgressCountLow": _OF_OTHER_EVENT,
    "ProgressDescription": _OF_OTHER_EVENT,
    "ServerExecutionID": "runs have no number in Airflow; run_id identifies them",
    "TaskTransactionOption": "Airflow has no transactions across tasks",
    "VariableDescription": _OF_OTHER_EVENT,
    "VariableID": _OF_OTHER_EVENT,
    "VariableName": _OF_OTHER_EVENT,
    "VariableValue": _OF_OTHER_EVENT,
    "VersionBuild": _OF_FILE,
    "VersionComment": _OF_FILE,
    "VersionComments": _OF_FILE,
    "VersionGUID": _OF_FILE,
    "VersionMajor": _OF_FILE,
    "VersionMinor": _OF_FILE,
}

#: All system variables, without their namespace.
NAMES = frozenset({*_OF_PACKAGE, *_OF_TASK, *_OF_EVENT_HANDLER, *_REASONS})


def in_task(name: str) -> Binding:
    """Return what a system variable becomes in a template field of a task.

    Args:
        name: the variable's name, without its namespace.

    Raises:
        Untranslatable: it has no counterpart there; text is the variable, position 0.
    """
    return _find(name, _OF_PACKAGE | _OF_TASK)


def in_callback(name: str, own_name: str | None = None) -> Binding:
    """Return what a system variable becomes in a notifier that is a callback (an event handler's mail).

    Args:
        name: the variable's name, without its namespace.
        own_name: the name of the handler's Send Mail task itself; the context of a callback does not contain it.

    Raises:
        Untranslatable: it has no counterpart there; text is the variable, position 0.
    """
    if name == "TaskName" and own_name is not None:
        return Constant(Value(own_name, DataType.WSTR))
    return _find(name, _OF_PACKAGE | _OF_EVENT_HANDLER)


def _find(name: str, known: dict[str, Binding]) -> Binding:
    binding = known.get(name)
    if binding is not None:
        return binding
    if name in _OF_EVENT_HANDLER:
        reason = "only event handlers have it"
    elif name in _OF_TASK:
        reason = "it is the event handler's own task, which is not a task in Airflow"
    else:
        reason = _REASONS.get(name, "SSIS has no system variable of that name")
    variable = f"@[System::{name}]"
    raise Untranslatable(variable, 0, f"{variable} has no counterpart: {reason}")
