"""What else a project or package has: a line for everything that is no mail, so that nothing is dropped silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import Kind, Parameter, Variable
from airflow_smtp_cm.ssis.writing.connections import is_smtp
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.scope import Known

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from airflow_smtp_cm.ssis.model import ConnectionManager, Executable, Package, Project
    from airflow_smtp_cm.ssis.writing.scope import ParamOf, Params
    from airflow_smtp_cm.ssis.writing.send_mail_task import Managers

_OF_FOREACH = "VariableMapping"
_OF_LOOPS = ("InitExpression", "EvalExpression", "AssignExpression", "ForEachEnumerator", _OF_FOREACH)
_ADVICE = {
    "CheckpointUsage": "Airflow has no checkpoints: clear the failed tasks of a run instead.",
    "DisableEventHandlers": "No event handler of its own is called, there or here.",
    "FailPackageOnFailure": "Here a failure fails the run as any other does.",
    "FailParentOnFailure": "Here a failure fails the run as any other does.",
    "ForceExecutionResult": "Here the result is the task's own.",
    "MaxErrorCount": "Here the first failure counts.",
    "SaveCheckpoints": "Airflow has no checkpoints: clear the failed tasks of a run instead.",
    "TransactionOption": "Airflow has no transactions over tasks.",
}


def report_unconverted_of_project(project: Project, used: set[str], bound: set[Known], findings: Findings) -> None:
    """Say what the packages of a project share that is not brought over, or differently.

    Args:
        project: the project.
        used: ``ref_id`` of the connection managers that a mail goes through.
        bound: what mails and conditions name.
        findings: where to say it.
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
                f"The configuration has values of its own for {', '.join(configuration.values)}. The DAGs have the "
                f"parameters' defaults: give others when a run starts, and other connections by AIRFLOW_CONN_...",
            )


def report_unconverted(package: Package, params: Params, managers: Managers, findings: Findings) -> None:
    """Say what a package has beside its mail.

    Args:
        package: the package.
        params: what of its variables and parameters became params.
        managers: its connection managers, and which of them were used.
        findings: where to say it.
    """
    for name, param in params.by_name.items():
        _report_param(name, param, params, findings)
    are_params = {param.known for param in params.by_name.values()}
    for known in _named(package):
        if known not in are_params:
            _report_no_param(known, params.bound, findings)
    _report_managers(package.connection_managers, managers.used, findings)
    for executable in package.root.everything():
        _report_mailer(executable, findings)
        _report_properties(executable, findings)
        _report_loose_ends(executable, findings)
    _report_secrets(package.secrets, package.connection_managers, findings)
    for configuration in package.configurations:
        findings.manual(
            About.PARAMETER,
            package.root.ref_id,
            f"The package configuration {configuration} may set variables and properties when it starts.",
        )


def variables_of_loops(root: Executable) -> frozenset[str]:
    """Return the full names of the variables that take what Foreach Loop containers go through."""
    return frozenset(
        value
        for executable in root.everything()
        for name, value in executable.properties.items()
        if name.startswith(_OF_FOREACH)
    )


def _report_param(name: str, param: ParamOf, params: Params, findings: Findings) -> None:
    source, place = param.known.source, _place(param.known)
    about = About.VARIABLE if isinstance(source, Variable) else About.PARAMETER
    default = "" if "default" in param.arguments else "; it has no default, so that whoever starts a run must give it"
    findings.converted(about, place, f"It is the param {name}{default}.")
    if params.is_of_loop(param.known):
        findings.manual(about, place, f"A loop sets it: put what the group is mapped over in place of params.{name}.")
    elif isinstance(source, Variable):
        findings.manual(
            about,
            place,
            f"If a task of the package sets it, put what that task returns (XCom) in place of params.{name}.",
        )
    elif isinstance(source, Parameter) and source.sensitive:
        findings.manual(
            About.SECRET,
            place,
            f"Its value is secret. Whoever starts a run sees params.{name}: use a connection instead.",
        )


def _report_no_param(known: Known, bound: Container[Known], findings: Findings) -> None:
    about = About.VARIABLE if isinstance(known.source, Variable) else About.PARAMETER
    if known not in bound:
        findings.skipped(about, _place(known), "No mail and no condition names it.")
    elif isinstance(known.source, Variable) and known.source.expression:
        findings.converted(about, _place(known), "Its expression is in what names it.")
    elif known.place != "$Project":
        findings.converted(about, _place(known), "Its value is in what names it.")


def _report_managers(managers: Iterable[ConnectionManager], used: set[str], findings: Findings) -> None:
    for manager in managers:
        if is_smtp(manager):
            if manager.ref_id not in used:
                findings.manual(About.CONNECTION, manager.ref_id, "No mail goes through it: is it needed?")
        elif "SMTP" in manager.creation_name.upper():
            findings.manual(
                About.CONNECTION,
                manager.ref_id,
                f"It is not SSIS's own SMTP connection manager but one of type {manager.creation_name}, and is left. "
                f"If it logs in by name and password, add a connection of Airflow's type smtp.",
            )
        elif manager.ref_id in used:
            findings.converted(About.CONNECTION, manager.ref_id, "Its path is in the mail that names it.")
        else:
            findings.skipped(
                About.CONNECTION, manager.ref_id, f"It is of type {manager.creation_name}, and not for mail."
            )


def _report_secrets(places: Iterable[str], managers: Iterable[ConnectionManager], findings: Findings) -> None:
    for place in dict.fromkeys((*places, *(manager.ref_id for manager in managers if manager.has_secret))):
        findings.manual(About.SECRET, place, "A password or another secret stands here, which is copied nowhere.")


def _report_mailer(executable: Executable, findings: Findings) -> None:
    if mailer := executable.mailer:
        findings.manual(
            About.MAIL,
            executable.ref_id,
            f"It sends mail without a Send Mail task, by {mailer}: write that as a SendMailOperator. If it logs in, "
            f"login and password belong into a connection.",
        )


def _report_properties(executable: Executable, findings: Findings) -> None:
    for name, value in executable.properties.items():
        if name.startswith(_OF_LOOPS):
            findings.skipped(About.LOOP, executable.ref_id, f"{name}: {value}")
        else:
            advice = _ADVICE.get(name, "It has no counterpart here.")
            findings.manual(About.PROPERTY, executable.ref_id, f"{name} is {value}. {advice}")
    others = [name for name in executable.expressions if name != "Disable"]
    if others and executable.kind is not Kind.SEND_MAIL:
        findings.skipped(About.EXPRESSION, executable.ref_id, f"It has expressions for {', '.join(others)}.")


def _place(known: Known) -> str:
    return f"{known.place}: {known.name}" if isinstance(known.source, Variable) else str(known.name)


def _report_loose_ends(executable: Executable, findings: Findings) -> None:
    there = {one.ref_id for one in executable.executables}
    for constraint in executable.constraints:
        if not {constraint.source, constraint.target} <= there:
            findings.manual(
                About.CONSTRAINT,
                constraint.ref_id,
                f"It leads from {constraint.source} to {constraint.target}, one of which is not there.",
            )


def _named(package: Package) -> Iterator[Known]:
    """Yield everything that has a name: the package's parameters, and all variables."""
    yield from (Known("$Package", parameter) for parameter in package.parameters)
    for executable in package.root.everything():
        yield from (Known(executable.ref_id, variable) for variable in executable.variables)
        for handler in executable.event_handlers:
            yield from (Known(handler.ref_id, variable) for variable in handler.variables)
