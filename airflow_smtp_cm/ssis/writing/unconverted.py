"""Reports what a project or package has besides mail, so that nothing is dropped silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.kinds import class_name
from airflow_smtp_cm.ssis.model import Parameter, Variable
from airflow_smtp_cm.ssis.writing.configurations import report_configuration
from airflow_smtp_cm.ssis.writing.connections import is_smtp
from airflow_smtp_cm.ssis.writing.findings import About, Findings, Status
from airflow_smtp_cm.ssis.writing.scope import Known

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from airflow_smtp_cm.ssis.model import ConnectionManager, Executable, Package, Project
    from airflow_smtp_cm.ssis.writing.scope import ParamOf, Params
    from airflow_smtp_cm.ssis.writing.send_mail_task import Managers

_OF_FOREACH = "VariableMapping"
_OF_LOOPS = ("InitExpression", "EvalExpression", "AssignExpression", "ForEachEnumerator", _OF_FOREACH)
# What a converted loop loops over.
_OF_CONVERTED = ("ForEachEnumerator", "ForEachEnumerator.Directory", "ForEachEnumerator.FileSpec", _OF_FOREACH)
_ADVICE = {
    "CheckpointUsage": "Airflow has no checkpoints: clear the failed tasks of a run instead.",
    "DisableEventHandlers": "Its own event handlers are not called, as in SSIS.",
    "FailPackageOnFailure": "In Airflow its failure fails the run, like every failure.",
    "FailParentOnFailure": "In Airflow its failure fails the run, like every failure.",
    "ForceExecutionResult": "In Airflow the task has its own result.",
    "MaxErrorCount": "In Airflow the first failure counts.",
    "SaveCheckpoints": "Airflow has no checkpoints: clear the failed tasks of a run instead.",
    "TransactionOption": "Airflow has no transactions across tasks.",
}


def report_unconverted_of_project(project: Project, used: set[str], bound: set[Known], findings: Findings) -> None:
    """Report what the packages of a project share and what was not converted, or was converted differently.

    Args:
        project: the project.
        used: ``ref_id`` of the connection managers that a mail uses.
        bound: variables and parameters that mails and conditions use.
        findings: collects the findings.
    """
    for known in (Known("$Project", parameter) for parameter in project.parameters):
        _report_no_param(known, bound, findings)
    _report_managers(project.connection_managers, used, findings)
    _report_secrets(project.secrets, project.connection_managers, findings)
    for configuration in project.configurations:
        if configuration.values:
            findings.manual(
                About.PARAMETER,
                f"{project.name}.Configurations[{configuration.name}]",
                f"The configuration sets {', '.join(configuration.values)}. The DAGs use the parameters' defaults: "
                f"pass other values when a run starts, and override connections with AIRFLOW_CONN_...",
            )


def report_unconverted(package: Package, params: Params, managers: Managers, findings: Findings) -> None:
    """Report what a package has besides its mail.

    Args:
        package: the package.
        params: the variables and parameters that became params.
        managers: its connection managers, and which of them are used.
        findings: collects the findings.
    """
    for name, param in params.by_name.items():
        _report_param(name, param, params, findings)
    are_params = {param.known for param in params.by_name.values()}
    for known in _variables_and_parameters(package):
        if known not in are_params:
            _report_no_param(known, params.bound, findings)
    _report_managers(package.connection_managers, managers.used, findings)
    loops = {one.place for one in findings if one.status is Status.CONVERTED and one.about is About.LOOP}
    for executable in package.root.everything():
        _report_mailer(executable, findings)
        _report_properties(executable, findings, converted=_OF_CONVERTED if executable.ref_id in loops else ())
        _report_dangling_constraints(executable, findings)
    _report_secrets(package.secrets, package.connection_managers, findings)
    for configuration in package.configurations:
        report_configuration(configuration, findings)


def variables_of_loops(root: Executable) -> frozenset[str]:
    """Return the full names of the variables that Foreach Loop containers set."""
    return frozenset(
        value
        for executable in root.everything()
        for name, value in executable.properties.items()
        if name.startswith(_OF_FOREACH)
    )


def _report_param(name: str, param: ParamOf, params: Params, findings: Findings) -> None:
    source, place = param.known.source, _place(param.known)
    about = About.VARIABLE if isinstance(source, Variable) else About.PARAMETER
    default = "" if "default" in param.arguments else ", without a default: each run must set it"
    findings.converted(about, place, f"Param {name}{default}.")
    if params.is_of_loop(param.known):
        findings.manual(
            about, place, f"A loop sets it: replace params.{name} by the item that the group is mapped over."
        )
    elif isinstance(source, Variable):
        findings.manual(
            about,
            place,
            f"If a task of the package sets it, replace params.{name} by the result (XCom) of that task.",
        )
    elif isinstance(source, Parameter) and source.sensitive:
        findings.manual(
            About.SECRET,
            place,
            f"Its value is secret, and params.{name} is visible in the run: use a connection instead.",
            blocks=True,
        )
    elif default:
        findings.manual(
            about,
            place,
            f"params.{name} has no default: pass its value when a run starts. A DAG with a schedule needs a default.",
        )


def _report_no_param(known: Known, bound: Container[Known], findings: Findings) -> None:
    about = About.VARIABLE if isinstance(known.source, Variable) else About.PARAMETER
    if known not in bound:
        findings.skipped(about, _place(known), "No mail and no condition uses it.")
    elif isinstance(known.source, Variable) and known.source.expression:
        findings.converted(about, _place(known), "Its expression was inlined where it is used.")
    elif known.place != "$Project":
        findings.converted(about, _place(known), "Its value was inlined where it is used.")


def _report_managers(managers: Iterable[ConnectionManager], used: set[str], findings: Findings) -> None:
    for manager in managers:
        if is_smtp(manager):
            if manager.ref_id not in used:
                findings.manual(About.CONNECTION, manager.ref_id, "No mail uses it: is it needed?")
        elif "SMTP" in manager.creation_name.upper():
            findings.manual(
                About.CONNECTION,
                manager.ref_id,
                f"It is of type {manager.creation_name}, not SSIS's own SMTP connection manager, and was not "
                f"converted. If it logs in with a user name and password, add a connection of Airflow's type smtp.",
            )
        elif manager.ref_id in used:
            findings.converted(About.CONNECTION, manager.ref_id, "Its path was inlined in the mail that uses it.")
        else:
            findings.skipped(About.CONNECTION, manager.ref_id, f"Type {manager.creation_name}, not used for mail.")


def _report_secrets(places: Iterable[str], managers: Iterable[ConnectionManager], findings: Findings) -> None:
    for place in dict.fromkeys((*places, *(manager.ref_id for manager in managers if manager.has_secret))):
        findings.manual(About.SECRET, place, "A password or another secret was not copied.", blocks=True)


def _report_mailer(executable: Executable, findings: Findings) -> None:
    if mailer := executable.mailer:
        findings.manual(
            About.MAIL,
            executable.ref_id,
            f"It sends mail without a Send Mail task, by {mailer}: write a SendMailOperator. If it logs in, put "
            f"login and password into a connection.",
        )


def _report_properties(executable: Executable, findings: Findings, converted: tuple[str, ...]) -> None:
    for name, value in executable.properties.items():
        if name.partition("[")[0] in converted:
            continue
        if name.startswith(_OF_LOOPS):
            readable = class_name(value) if name == "ForEachEnumerator" else value
            findings.skipped(About.LOOP, executable.ref_id, f"{name}: {readable}")
        else:
            advice = _ADVICE.get(name, "It has no counterpart in Airflow.")
            findings.manual(About.PROPERTY, executable.ref_id, f"{name} is {value}. {advice}")
    others = [name for name in executable.expressions if name != "Disable"]
    if others and not executable.mail:
        findings.skipped(About.EXPRESSION, executable.ref_id, f"It has expressions for {', '.join(others)}.")


def _place(known: Known) -> str:
    return f"{known.place}: {known.name}" if isinstance(known.source, Variable) else str(known.name)


def _report_dangling_constraints(executable: Executable, findings: Findings) -> None:
    there = {one.ref_id for one in executable.executables}
    for constraint in executable.constraints:
        if not {constraint.source, constraint.target} <= there:
            findings.manual(
                About.CONSTRAINT,
                constraint.ref_id,
                f"It leads from {constraint.source} to {constraint.target}, one of which does not exist.",
            )


def _variables_and_parameters(package: Package) -> Iterator[Known]:
    """Yield the package's parameters and all variables."""
    yield from (Known("$Package", parameter) for parameter in package.parameters)
    for executable in package.root.everything():
        yield from (Known(executable.ref_id, variable) for variable in executable.variables)
        for handler in executable.event_handlers:
            yield from (Known(handler.ref_id, variable) for variable in handler.variables)
