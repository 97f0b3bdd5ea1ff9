"""Packages and projects, independent of the file format ([MS-DTSX] for formats 2 and 3, [MS-DTSX2] for 6 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.kinds import title_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import PurePath

    from airflow_smtp_cm.macros.ssis.data_types import DataType
    from airflow_smtp_cm.ssis.kinds import Kind


class Outcome(IntEnum):
    """The outcome that a precedence constraint requires of its source (DTSExecResult)."""

    SUCCESS = 0
    FAILURE = 1
    COMPLETION = 2


class EvaluatedOperation(IntEnum):
    """What a precedence constraint evaluates (DTSPrecedenceEvalOp)."""

    EXPRESSION = 1
    CONSTRAINT = 2
    EXPRESSION_AND_CONSTRAINT = 3
    EXPRESSION_OR_CONSTRAINT = 4


class MessageSourceType(IntEnum):
    """The meaning of MessageSource (SendMailMessageSourceType)."""

    DIRECT_INPUT = 0
    FILE_CONNECTION = 1
    VARIABLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of a package, a container or a task.

    Attributes:
        namespace: such as ``User``.
        name: its name.
        data_type: the type of its value; None for objects and other types that no expression can use.
        value: its stored value; None for objects and for encrypted values.
        expression: its expression, if it is evaluated from one (EvaluateAsExpression).
    """

    namespace: str
    name: str
    data_type: DataType | None
    value: str | None
    expression: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a package or of the project.

    Attributes:
        name: its name.
        data_type: the type of its value; None for types that no expression can use.
        value: its stored default (booleans are True and False, or -1 and 0); None if there is none, or if it is
            sensitive.
        description: its description.
        required: whether a value must be passed when the package starts.
        sensitive: whether its value is secret.
    """

    name: str
    data_type: DataType | None
    value: str | None
    description: str = ""
    required: bool = False
    sensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionManager:
    """A connection manager of a package or of the project.

    Attributes:
        ref_id: its place, such as ``Package.ConnectionManagers[Mail]`` or ``Project.ConnectionManagers[Mail]``.
        dtsid: its GUID, braces included, upper case.
        name: its name.
        description: its description.
        creation_name: its type, such as ``SMTP``, ``FILE`` or ``SMTP (KingswaySoft)``.
        connection_string: the stored connection string, without secrets.
        expressions: the expressions of its properties, by property name.
        has_secret: whether the file contains its password.
    """

    ref_id: str
    dtsid: str
    name: str
    description: str = ""
    creation_name: str
    connection_string: str = ""
    expressions: Mapping[str, str] = field(default_factory=dict)
    has_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMail:
    """The stored properties of a Send Mail task (SendMailTaskData); expressions override them.

    Attributes:
        smtp_connection: GUID of the connection manager, upper case, or its name.
        from_line: FromLine.
        to_line: ToLine.
        cc_line: CCLine.
        bcc_line: BCCLine.
        subject: Subject.
        priority: 1 High, 3 Normal, 5 Low; other numbers are kept.
        message_source_type: MessageSourceType.
        message_source: MessageSource: the text, a GUID or name of a File connection manager, or a variable's name.
        attachments: FileAttachments.
    """

    smtp_connection: str = ""
    from_line: str = ""
    to_line: str = ""
    cc_line: str = ""
    bcc_line: str = ""
    subject: str = ""
    priority: int = 3
    message_source_type: MessageSourceType = MessageSourceType.DIRECT_INPUT
    message_source: str = ""
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutePackage:
    r"""The stored properties of an Execute Package task.

    Attributes:
        package_name: the package in the project, such as ``LoadSales.dtsx``, or on a server, such as
            ``\Finance\LoadSales``; empty if the connection manager names its file.
        connection: GUID of the connection manager for the file or the server, upper case, or its name.
        parameters: the variables and parameters whose values it passes, such as ``User::Rows``, by the name of the
            parameter that gets the value.
    """

    package_name: str = ""
    connection: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEnumerator:
    """The properties of a Foreach File enumerator.

    Attributes:
        folder: the folder.
        file_spec: the names, with wildcards.
        retrieval: what is retrieved of each: 0 the path, 1 the name and extension, 2 the name.
        recurse: whether the folders within it are searched, too.
        expressions: the expressions of its properties, by property name (``Directory``...).
    """

    folder: str
    file_spec: str = "*"
    retrieval: int = 0
    recurse: bool = False
    expressions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreach:
    """What a Foreach Loop container loops over, if that can be known: either rows or files.

    Attributes:
        variables: the variables that it sets, such as ``User::Region``, by the index of the value.
        rows: the values of each iteration, if the package contains them.
        files: the enumerator, if it lists files.
    """

    variables: Mapping[int, str]
    rows: tuple[tuple[str, ...], ...] = ()
    files: FileEnumerator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecedenceConstraint:
    """An arrow between two executables of the same container.

    Attributes:
        ref_id: its place.
        source: ``ref_id`` of the executable that runs first.
        target: ``ref_id`` of the executable that waits for it.
        outcome: the outcome of the source that it requires (Value).
        operation: what it evaluates (EvalOp).
        expression: its condition, if it evaluates one.
        logical_and: whether all of the target's constraints must hold; else one suffices (LogicalAnd).
    """

    ref_id: str
    source: str
    target: str
    outcome: Outcome = Outcome.SUCCESS
    operation: EvaluatedOperation = EvaluatedOperation.CONSTRAINT
    expression: str = ""
    logical_and: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHandler:
    r"""Executables that run when an event is raised by an executable or by one within it.

    Attributes:
        ref_id: its place, such as ``Package\Load.EventHandlers[OnError]``.
        event: such as ``OnError``.
        disabled: whether it never runs.
        propagates: whether the event propagates to the executable's parent (System::Propagate).
        expressions: the expressions of its properties, by property name (``Disable``...).
        variables: its own variables.
        executables: its executables.
        constraints: its precedence constraints.
    """

    ref_id: str
    event: str
    disabled: bool = False
    propagates: bool = True
    expressions: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[Variable, ...] = ()
    executables: tuple[Executable, ...] = ()
    constraints: tuple[PrecedenceConstraint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    r"""A package, a container or a task.

    Attributes:
        ref_id: its place, such as ``Package\Load\Send``; built from the names in formats without refId.
        dtsid: its GUID, braces included, upper case.
        name: its name.
        description: its description.
        kind: its kind.
        type: its type in the file, such as ``Microsoft.Pipeline`` or an assembly-qualified class.
        disabled: whether it does not run (Disabled); its successors run as if it had succeeded.
        expressions: the expressions of its properties, by property name (``ToLine``, ``Disable``...).
        properties: other properties that change how it runs and do not have their default value, by name
            (MaxErrorCount, ForceExecutionResult, FailPackageOnFailure, TransactionOption...), booleans as True or
            False; InitExpression, EvalExpression and AssignExpression of a For Loop container; ForEachEnumerator of
            a Foreach Loop container, the type of its enumerator; ForEachEnumerator.Directory and others, the
            enumerator's expressions; and VariableMapping[0]..., the variables that it sets.
        variables: its own variables.
        executables: its child executables, in the order of the file.
        constraints: the precedence constraints between them.
        event_handlers: its event handlers.
        mail: its message, if it is a Send Mail task.
        run: the package that it runs, if it is an Execute Package task.
        foreach: what it loops over, if it is a Foreach Loop container and that can be known.
        mailer: how any other task sends mail: ``SmtpClient`` in a script, ``sp_send_dbmail`` in SQL, or the task's
            class.
    """

    ref_id: str
    dtsid: str = ""
    name: str
    description: str = ""
    kind: Kind
    type: str
    disabled: bool = False
    expressions: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[Variable, ...] = ()
    executables: tuple[Executable, ...] = ()
    constraints: tuple[PrecedenceConstraint, ...] = ()
    event_handlers: tuple[EventHandler, ...] = ()
    mail: SendMail | None = None
    run: ExecutePackage | None = None
    foreach: Foreach | None = None
    mailer: str = ""

    @property
    def type_name(self) -> str:
        """Its type as SSIS's designer names it, such as ``Data Flow task``."""
        return self.kind.value.title or title_of(self.type)

    def everything(self) -> Iterator[Executable]:
        """Yield the executable and all its descendants, those in event handlers included."""
        yield self
        for one in chain(self.executables, *(handler.executables for handler in self.event_handlers)):
            yield from one.everything()


def constraints_by_target(container: Executable | EventHandler) -> dict[str, list[PrecedenceConstraint]]:
    """Return the constraints of each executable in a container, by its ``ref_id``, if their source is there, too."""
    found: dict[str, list[PrecedenceConstraint]] = {one.ref_id: [] for one in container.executables}
    for constraint in container.constraints:
        if constraint.source in found and constraint.target in found:
            found[constraint.target].append(constraint)
    return found


class ConfigurationType(IntEnum):
    """Where a package configuration has its values (DTSConfigurationType).

    With ``I_`` (indirect), an environment variable names the place.
    """

    PARENT_VARIABLE = 0
    CONFIG_FILE = 1
    ENV_VARIABLE = 2
    REG_ENTRY = 3
    I_PARENT_VARIABLE = 4
    I_CONFIG_FILE = 5
    I_REG_ENTRY = 6
    SQL_SERVER = 7
    INI_FILE = 8
    I_SQL_SERVER = 9
    I_INI_FILE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    r"""A package configuration: it sets properties when the package starts.

    Attributes:
        name: its name.
        type: where it has the values.
        location: the file, environment variable, variable of the parent package, registry key or table; without
            secrets (ConfigurationString).
        target: the property that it sets, such as ``\Package.Variables[User::Path].Properties[Value]``; empty if the
            place has the properties, too (ConfigurationVariable).
        file: the file whose values were applied.
        properties: the properties that were set to its values.
    """

    name: str
    type: ConfigurationType
    location: str
    target: str = ""
    file: PurePath | None = None
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package.

    Attributes:
        source: the file it comes from; within an .ispac, the archive and the part's name.
        format_version: PackageFormatVersion: 2, 3, 6 or 8.
        root: the package as an executable; its name is the package's.
        connection_managers: its connection managers.
        parameters: its parameters ($Package).
        connection_parameters: parameters of its project that set properties of its connection managers, such as
            ``CM.Mail.SmtpServer``.
        configurations: its package configurations, in the order in which they apply.
        secrets: places in the file that contain a password or another sensitive value.
    """

    source: PurePath
    format_version: int
    root: Executable
    connection_managers: tuple[ConnectionManager, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    connection_parameters: tuple[Parameter, ...] = ()
    configurations: tuple[Configuration, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfiguration:
    """A configuration of a project, such as Development: values for parameters.

    Attributes:
        name: its name.
        values: values by parameter name; parameters of connection managers have names such as ``CM.Mail.SmtpServer``.
            Secret values are None.
    """

    name: str
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project: its packages and what they share. Packages without a project are in one without a name.

    Attributes:
        name: the project's name; empty if there is none.
        source: the folder or archive.
        packages: its packages.
        connection_managers: the project's connection managers (.conmgr).
        parameters: the project's parameters ($Project: .params, .dtproj).
        connection_parameters: parameters that set properties of the project's connection managers, such as
            ``CM.Mail.SmtpServer``. A deployed project uses these, not the .conmgr.
        configurations: its configurations (.dtproj).
        secrets: places that contain a password or another sensitive value.
    """

    name: str
    source: PurePath
    packages: tuple[Package, ...] = ()
    connection_managers: tuple[ConnectionManager, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    connection_parameters: tuple[Parameter, ...] = ()
    configurations: tuple[ProjectConfiguration, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file, or a part of an archive, that cannot be read or converted. It does not stop the import of other files.

    Attributes:
        source: the file; within an .ispac, the archive and the part's name.
        why: the reason, a sentence.
        what_to_do: the remedy, a sentence.
        traceback: where an unexpected error occurred, without its text; empty otherwise.
    """

    source: PurePath
    why: str
    what_to_do: str
    traceback: str = ""
