"""What a package is, whatever the version of its file ([MS-DTSX] for formats 2 and 3, [MS-DTSX2] for 6 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import PurePath


class Kind(Enum):
    """What an executable is, as far as it matters here."""

    PACKAGE = "Package"
    SEND_MAIL = "Send Mail task"
    SEQUENCE = "Sequence container"
    FOR_LOOP = "For Loop container"
    FOREACH_LOOP = "Foreach Loop container"
    TASK = "task"


class Outcome(IntEnum):
    """The outcome of an executable that a precedence constraint asks for (DTSExecResult)."""

    SUCCESS = 0
    FAILURE = 1
    COMPLETION = 2


class EvaluatedOperation(IntEnum):
    """What a precedence constraint goes by (DTSPrecedenceEvalOp)."""

    EXPRESSION = 1
    CONSTRAINT = 2
    EXPRESSION_AND_CONSTRAINT = 3
    EXPRESSION_OR_CONSTRAINT = 4


class MessageSourceType(IntEnum):
    """What MessageSource is (SendMailMessageSourceType)."""

    DIRECT_INPUT = 0
    FILE_CONNECTION = 1
    VARIABLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of a package, a container or a task.

    Attributes:
        namespace: such as ``User``.
        name: its name.
        data_type: number of its type in the file (8 string, 3 int32, 11 bool, 7 date...: COM's VARENUM).
        value: its value as the file writes it; None for what is no scalar (an object), or was encrypted.
        expression: what it is evaluated from, if it is (EvaluateAsExpression).
    """

    namespace: str
    name: str
    data_type: int
    value: str | None
    expression: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a package or of the project.

    Attributes:
        name: its name.
        data_type: number of its type (18 string, 3 bool, 9 int32...: System.TypeCode, also for those of a package,
            which its file numbers as variables are).
        value: its default as the file writes it (booleans True and False or -1 and 0); None if there is none, or it
            is sensitive.
        description: what it is for.
        required: whether whoever starts the package must give a value.
        sensitive: whether its value is secret.
    """

    name: str
    data_type: int
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
        connection_string: as stored, secrets taken out.
        expressions: expressions of its properties, by the properties' names.
        has_secret: whether the file holds a password of it.
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
    """What a Send Mail task is told, as stored (SendMailTaskData); expressions go before what is stored.

    Attributes:
        smtp_connection: GUID of the connection manager, upper case, or its name.
        from_line: FromLine.
        to_line: ToLine.
        cc_line: CCLine.
        bcc_line: BCCLine.
        subject: Subject.
        priority: 1 High, 3 Normal, 5 Low; what else may stand there is kept.
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
class PrecedenceConstraint:
    """An arrow between two executables of the same container.

    Attributes:
        ref_id: its place.
        source: ``ref_id`` of the executable that goes before.
        target: ``ref_id`` of the one that waits.
        outcome: what outcome of the source it asks for (Value).
        operation: what it goes by (EvalOp).
        expression: what must be true, if it goes by that.
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
    r"""What runs when something happens to an executable, or to one within it.

    Attributes:
        ref_id: its place, such as ``Package\Load.EventHandlers[OnError]``.
        event: such as ``OnError``.
        disabled: whether it never runs.
        propagates: whether the event goes on to the executable's parent (System::Propagate).
        expressions: expressions of its properties, by the properties' names (``Disable``...).
        variables: its own variables.
        executables: what runs.
        constraints: in what order.
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
        ref_id: its place, such as ``Package\Load\Send``; made from the names in formats that have none.
        dtsid: its GUID, braces included, upper case.
        name: its name.
        description: its description.
        kind: what it is.
        type: what it is in the file's words, such as ``Microsoft.Pipeline`` or an assembly-qualified class.
        disabled: whether it is skipped (Disabled); what waits for it goes on as if it had succeeded.
        expressions: expressions of its properties, by the properties' names (``ToLine``, ``Disable``...).
        properties: what is unusual about the rest of it: properties that change how it runs and are not at their
            default, by name (MaxErrorCount, ForceExecutionResult, FailPackageOnFailure, TransactionOption...),
            booleans as True or False; InitExpression, EvalExpression and AssignExpression of a For Loop container;
            of a Foreach Loop container ForEachEnumerator, the type of what it goes through,
            ForEachEnumerator.Directory and the like, expressions of that, and VariableMapping[0]..., the variables
            that take the values.
        variables: its own variables.
        executables: what it holds, in the order of the file.
        constraints: in what order that runs.
        event_handlers: its event handlers.
        mail: what it sends, if it is a Send Mail task.
        runs_package: the file of the package that it runs, if it is an Execute Package task that says so.
        mailer: what sends mail in any other task: ``SmtpClient`` in a script, ``sp_send_dbmail`` in SQL, or the class
            of the task itself.
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
    runs_package: str = ""
    mailer: str = ""

    def everything(self) -> Iterator[Executable]:
        """Yield it and all within it, what its event handlers run included."""
        yield self
        for one in chain(self.executables, *(handler.executables for handler in self.event_handlers)):
            yield from one.everything()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package, read.

    Attributes:
        source: the file it comes from; within an .ispac, the archive and the part's name.
        format_version: PackageFormatVersion: 2, 3, 6 or 8.
        root: the package as an executable; its name is the package's.
        connection_managers: its own.
        parameters: its own ($Package).
        connection_parameters: properties of its connection managers that its project makes parameters of, named as
            ``CM.Mail.SmtpServer``.
        configurations: its package configurations, which may set anything when it starts: ``Name: where it is``.
        secrets: places in the file where a password or another sensitive value stands.
    """

    source: PurePath
    format_version: int
    root: Executable
    connection_managers: tuple[ConnectionManager, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    connection_parameters: tuple[Parameter, ...] = ()
    configurations: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfiguration:
    """A configuration of a project, such as Development: other values for parameters.

    Attributes:
        name: its name.
        values: by the parameters' names; those of connection managers are named as ``CM.Mail.SmtpServer``. None for
            what is secret.
    """

    name: str
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What the packages of one project share; packages without a project have an empty one.

    Attributes:
        name: the project's name; empty if there is none.
        source: the folder or archive.
        packages: its packages.
        connection_managers: those of the project (.conmgr).
        parameters: those of the project ($Project: .params, .dtproj).
        connection_parameters: properties of the project's connection managers as parameters, named as
            ``CM.Mail.SmtpServer``. A deployed project goes by these, not by the .conmgr.
        configurations: its configurations (.dtproj).
        secrets: places where a password or another sensitive value stands.
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
    """A file, or a part of an archive, that cannot be read; what is beside it is read all the same.

    Attributes:
        source: the file; within an .ispac, the archive and the part's name.
        why: what is wrong, a sentence.
        what_to_do: what helps, a sentence.
    """

    source: PurePath
    why: str
    what_to_do: str
