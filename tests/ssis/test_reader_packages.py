"""Packages of all formats are read into the same model."""

import re

import pytest

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Foreach, MessageSourceType, Outcome
from tests.ssis.packages import (
    CHECK_FEEDS,
    JOINERS,
    MONTH_END,
    NIGHTLY_SALES,
    PACKAGES,
    TICKETS_2005,
    TICKETS_2022,
)
from tests.ssis.reading import find, read_package, read_project, walk

# A small package, in format 3 and in format 8.
FORMAT_3 = """<?xml version="1.0"?><DTS:Executable xmlns:DTS="www.microsoft.com/SqlServer/Dts" DTS:ExecutableType="Package">
<DTS:Property DTS:Name="PackageFormatVersion">3</DTS:Property>
<DTS:ConnectionManager><DTS:Property DTS:Name="ObjectName">Mail</DTS:Property><DTS:Property DTS:Name="DTSID">{0a}</DTS:Property>
<DTS:Property DTS:Name="CreationName">SMTP</DTS:Property><DTS:ObjectData><SmtpConnectionManager ConnectionString="SmtpServer=a;"/></DTS:ObjectData></DTS:ConnectionManager>
<DTS:Variable><DTS:Property DTS:Name="Namespace">User</DTS:Property><DTS:Property DTS:Name="ObjectName">Who</DTS:Property>
<DTS:Property DTS:Name="EvaluateAsExpression">-1</DTS:Property><DTS:Property DTS:Name="Expression">"you"</DTS:Property>
<DTS:VariableValue DTS:DataType="8">you</DTS:VariableValue></DTS:Variable>
<DTS:Executable DTS:ExecutableType="STOCK:SEQUENCE"><DTS:Property DTS:Name="ObjectName">First</DTS:Property>
<DTS:Property DTS:Name="DTSID">{1}</DTS:Property><DTS:Property DTS:Name="FailPackageOnFailure">-1</DTS:Property>
<DTS:Property DTS:Name="MaxErrorCount">1</DTS:Property><DTS:EventHandler><DTS:Property DTS:Name="EventName">OnError</DTS:Property>
<DTS:Variable><DTS:Property DTS:Name="Namespace">System</DTS:Property><DTS:Property DTS:Name="ObjectName">Propagate</DTS:Property>
<DTS:VariableValue DTS:DataType="11">0</DTS:VariableValue></DTS:Variable>
<DTS:Executable DTS:ExecutableType="Any"><DTS:Property DTS:Name="ObjectName">Cry</DTS:Property></DTS:Executable></DTS:EventHandler></DTS:Executable>
<DTS:Executable DTS:ExecutableType="My.SendMailTask"><DTS:Property DTS:Name="ObjectName">Then</DTS:Property>
<DTS:Property DTS:Name="DTSID">{2}</DTS:Property><DTS:Property DTS:Name="Disabled">-1</DTS:Property>
<DTS:PropertyExpression DTS:Name="ToLine">@Who</DTS:PropertyExpression><DTS:ObjectData>
<M:SendMailTaskData xmlns:M="mail" M:SMTPServer="{0a}" M:From="a@b" M:To="" M:CC="" M:BCC="" M:Subject="" M:Priority="Normal" M:MessageSourceType="DirectInput" M:MessageSource=""/>
</DTS:ObjectData></DTS:Executable>
<DTS:PrecedenceConstraint><DTS:Property DTS:Name="Value">1</DTS:Property><DTS:Property DTS:Name="EvalOp">3</DTS:Property>
<DTS:Property DTS:Name="LogicalAnd">0</DTS:Property><DTS:Property DTS:Name="Expression">1 == 1</DTS:Property>
<DTS:Executable IDREF="{1}" DTS:IsFrom="-1"/><DTS:Executable IDREF="{2}" DTS:IsFrom="0"/>
<DTS:Property DTS:Name="ObjectName">C</DTS:Property></DTS:PrecedenceConstraint>
<DTS:Property DTS:Name="ObjectName">P</DTS:Property></DTS:Executable>"""  # noqa: E501
FORMAT_8 = """<?xml version="1.0"?><DTS:Executable xmlns:DTS="www.microsoft.com/SqlServer/Dts" DTS:refId="Package"
 DTS:ExecutableType="Package" DTS:ObjectName="P"><DTS:Property DTS:Name="PackageFormatVersion">8</DTS:Property>
<DTS:ConnectionManagers><DTS:ConnectionManager DTS:refId="Package.ConnectionManagers[Mail]" DTS:CreationName="SMTP" DTS:DTSID="{0A}"
 DTS:ObjectName="Mail"><DTS:ObjectData><SmtpConnectionManager ConnectionString="SmtpServer=a;"/></DTS:ObjectData></DTS:ConnectionManager></DTS:ConnectionManagers>
<DTS:Variables><DTS:Variable DTS:Namespace="User" DTS:ObjectName="Who" DTS:EvaluateAsExpression="True" DTS:Expression="&quot;you&quot;">
<DTS:VariableValue DTS:DataType="8">you</DTS:VariableValue></DTS:Variable></DTS:Variables>
<DTS:Executables><DTS:Executable DTS:refId="Package\\First" DTS:ExecutableType="STOCK:SEQUENCE" DTS:DTSID="{1}" DTS:ObjectName="First"
 DTS:FailPackageOnFailure="True"><DTS:EventHandlers><DTS:EventHandler DTS:refId="Package\\First.EventHandlers[OnError]" DTS:EventName="OnError">
<DTS:Variables><DTS:Variable DTS:Namespace="System" DTS:ObjectName="Propagate"><DTS:VariableValue DTS:DataType="11">0</DTS:VariableValue></DTS:Variable></DTS:Variables>
<DTS:Executables><DTS:Executable DTS:refId="Package\\First.EventHandlers[OnError]\\Cry" DTS:ExecutableType="Any" DTS:ObjectName="Cry"/></DTS:Executables>
</DTS:EventHandler></DTS:EventHandlers></DTS:Executable>
<DTS:Executable DTS:refId="Package\\Then" DTS:ExecutableType="My.SendMailTask" DTS:DTSID="{2}" DTS:Disabled="True" DTS:ObjectName="Then">
<DTS:PropertyExpression DTS:Name="ToLine">@Who</DTS:PropertyExpression><DTS:ObjectData>
<M:SendMailTaskData xmlns:M="mail" M:SMTPServer="{0A}" M:From="a@b"/></DTS:ObjectData></DTS:Executable></DTS:Executables>
<DTS:PrecedenceConstraints><DTS:PrecedenceConstraint DTS:refId="Package.PrecedenceConstraints[C]" DTS:EvalOp="3" DTS:Expression="1 == 1"
 DTS:From="Package\\First" DTS:To="Package\\Then" DTS:LogicalAnd="False" DTS:Value="1"/></DTS:PrecedenceConstraints></DTS:Executable>"""  # noqa: E501


@pytest.fixture
def package_of(tmp_path):
    def package_of(text):
        path = tmp_path / "P.dtsx"
        path.write_text(text, encoding="utf-8")
        return read_package(path)

    return package_of


def test_both_formats_of_a_package_yield_the_same_model(package_of):
    old, new = package_of(FORMAT_3), package_of(FORMAT_8)
    assert (old.format_version, new.format_version) == (3, 8)
    assert old.root == new.root
    assert old.connection_managers == new.connection_managers
    assert [e.ref_id for e in walk(old.root)] == [
        "Package", r"Package\First", r"Package\First.EventHandlers[OnError]\Cry", r"Package\Then"
    ]  # fmt: skip


@pytest.mark.parametrize("version", [2, 3])
def test_formats_2_and_3_are_read_alike(package_of, version):
    text = FORMAT_3.replace('FormatVersion">3<', f'FormatVersion">{version}<')
    assert package_of(text).format_version == version


@pytest.mark.parametrize("version", [6, 8])
def test_formats_6_and_8_are_read_alike(package_of, version):
    text = FORMAT_8.replace('FormatVersion">8<', f'FormatVersion">{version}<')
    assert package_of(text).format_version == version


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.stem)
def test_all_executables_of_a_package_are_read(path):
    in_file = len(re.findall(r"<DTS:Executable\b(?! IDREF)", path.read_text(encoding="utf-8")))
    assert len(list(walk(read_package(path).root))) == in_file


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.stem)
def test_every_send_mail_task_has_an_existing_connection_manager(path):
    package = read_package(path)
    managers = package.connection_managers
    if path.parent in {NIGHTLY_SALES, TICKETS_2022}:
        managers = read_project(path.parent).connection_managers
    mails = [executable.mail for executable in walk(package.root) if executable.kind is Kind.SEND_MAIL]
    assert mails
    assert {mail.smtp_connection for mail in mails} <= {manager.dtsid for manager in managers}


def test_send_mail_task_with_all_its_properties():
    mail = find(read_package(CHECK_FEEDS), r"Package\Feeds are bad").mail
    assert mail.from_line == "feeds@ledger.example"
    assert mail.to_line == "finance@ledger.example"
    assert mail.cc_line == "it@ledger.example"
    assert mail.bcc_line == "audit@ledger.example"  # of its configuration file
    assert mail.subject == "Feeds: totals do not agree"
    assert mail.priority == 1
    assert mail.attachments == (r"D:\feeds\differences.txt", r"D:\feeds\statements & totals.csv")


def test_line_breaks_of_a_message_are_kept():
    mail = find(read_package(CHECK_FEEDS), r"Package\Feeds are good").mail
    assert mail.message_source == "Bank, cards and payroll.\r\nTotals agree.\r\n"


def test_message_from_a_variable():
    mail = find(read_package(JOINERS), r"Package\Each joiner\Welcome").mail
    assert (mail.message_source_type, mail.message_source) == (MessageSourceType.VARIABLE, "User::Welcome")


def test_message_from_a_file_names_its_connection_manager():
    package = read_package(NIGHTLY_SALES / "PublishReports.dtsx")
    mail = find(package, r"Package\Send report").mail
    assert mail.message_source_type is MessageSourceType.FILE_CONNECTION
    assert mail.message_source == package.connection_managers[0].dtsid


def test_unknown_priority_is_kept():
    assert find(read_package(MONTH_END), r"Package\Close report").mail.priority == 0


def test_execute_package_task_has_the_package_that_it_runs():
    package = read_package(NIGHTLY_SALES / "NightlyMaster.dtsx")
    run = {executable.name: executable.run.package_name for executable in walk(package.root) if executable.run}
    assert run == {
        "Load customers": "LoadCustomers.dtsx",
        "Load sales": "LoadSales.dtsx",
        "Publish reports": "PublishReports.dtsx",
    }


def test_execute_package_task_passes_values_in_format_8_and_names_a_file_in_format_2():
    new = find(read_package(TICKETS_2022 / "Morning.dtsx"), r"Package\Remind").run
    assert new.parameters == {"Sender": "$Package::Sender", "Limit": "User::Most"}
    old = read_package(TICKETS_2005 / "MorningRound.dtsx")
    used = find(old, r"Package\Remind").run.connection
    (file,) = (manager for manager in old.connection_managers if manager.dtsid == used)
    assert (file.creation_name, file.connection_string) == ("FILE", r"D:\packages\RemindAll.dtsx")


@pytest.mark.parametrize("path", [TICKETS_2005 / "RemindAll.dtsx", TICKETS_2022 / "Remind.dtsx"], ids=["2", "8"])
def test_items_of_foreach_loops(path):
    package = read_package(path)
    assert find(package, r"Package\Each region").foreach == Foreach(
        variables={0: "User::Region", 1: "User::Address"},
        rows=(
            ("North", "north@bramblefield.example"),
            ("South & East", "south@bramblefield.example; east@bramblefield.example"),
        ),
    )
    assert find(package, r"Package\Each office").foreach == Foreach(
        variables={0: "User::Office", 1: "User::OfficeAddress"},
        rows=(("Hill Street", "hill@bramblefield.example"), ("Mill Lane", "mill@bramblefield.example")),
    )
    files = find(package, r"Package\Each list").foreach.files
    assert (files.file_spec, files.retrieval, files.recurse) == ("tickets-*.txt", 0, False)


NODES = """<DTS:Executable xmlns:DTS="www.microsoft.com/SqlServer/Dts" DTS:refId="Package" DTS:ObjectName="P">
<DTS:Property DTS:Name="PackageFormatVersion">8</DTS:Property><DTS:Executables><DTS:Executable DTS:refId="Package\\L"
 DTS:ExecutableType="STOCK:FOREACHLOOP" DTS:ObjectName="L"><DTS:ForEachEnumerator DTS:CreationName="Nodes">{more}
<DTS:ObjectData><FEENODELIST {attributes}/></DTS:ObjectData></DTS:ForEachEnumerator>
<DTS:ForEachVariableMappings><DTS:ForEachVariableMapping DTS:ValueIndex="0" DTS:VariableName="User::V"/>
</DTS:ForEachVariableMappings></DTS:Executable></DTS:Executables></DTS:Executable>"""
DOCUMENT = "<r><a><b>1</b><c>2</c></a><a><b>3</b></a></r>"


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ({"OuterXPathString": "/r/a/b"}, (("1",), ("3",))),
        ({"OuterXPathString": "//b"}, (("1",), ("3",))),
        ({"OuterXPathString": "/r/a"}, (("12",), ("3",))),
        ({"OuterXPathString": "/r/*/b/text()"}, (("1",), ("3",))),
        (
            {"OuterXPathString": "/r/a", "EnumerationType": "ElementCollection", "InnerXPathString": "*"},
            (("1", "2"), ("3",)),
        ),
        ({"OuterXPathString": "/r/a[1]"}, None),
        ({"OuterXPathString": "/gone"}, None),
        ({"OuterXPathString": "/r/a", "EnumerationType": "Navigator"}, None),
        ({"OuterXPathString": "/r/a", "SourceType": "Variable", "SourceDocument": "User::X"}, None),
        ({"OuterXPathString": "/r/a", "SourceDocument": "<r><a>"}, None),
        ({"OuterXPathString": "/r", "SourceDocument": "<!DOCTYPE r [<!ENTITY e 'x'>]><r>&e;</r>"}, None),
    ],
)
def test_a_node_list_is_known_if_it_is_constant(package_of, given, rows):
    escaped = {name: value.replace("&", "&amp;").replace("<", "&lt;") for name, value in given.items()}
    attributes = {"SourceType": "DirectInput", "SourceDocument": DOCUMENT.replace("<", "&lt;")} | escaped
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    loop = find(package_of(NODES.format(attributes=written, more="")), "Package\\L")

    assert (loop.foreach.rows if loop.foreach else None) == rows


def test_a_node_list_with_an_expression_is_not_known(package_of):
    attributes = f'OuterXPathString="/r/a" SourceDocument="{DOCUMENT.replace("<", "&lt;")}"'
    more = '<DTS:PropertyExpression DTS:Name="SourceDocument">@[User::X]</DTS:PropertyExpression>'

    assert find(package_of(NODES.format(attributes=attributes, more=more)), "Package\\L").foreach is None


def test_guids_in_lower_case_are_compared_in_upper_case():
    package = read_package(MONTH_END)
    assert package.connection_managers[0].dtsid == "{F1A20008-0000-4000-8000-0000000000A1}"
    assert find(package, r"Package\Close report").mail.smtp_connection == package.connection_managers[0].dtsid


def test_precedence_constraints():
    constraints = {constraint.ref_id: constraint for constraint in read_package(CHECK_FEEDS).root.constraints}
    assert constraints["Package.PrecedenceConstraints[Good]"].outcome is Outcome.SUCCESS
    assert constraints["Package.PrecedenceConstraints[Bad]"].outcome is Outcome.FAILURE
    assert constraints["Package.PrecedenceConstraints[In any case]"].outcome is Outcome.COMPLETION
    fridays = constraints["Package.PrecedenceConstraints[On Fridays]"]
    assert fridays.operation is EvaluatedOperation.EXPRESSION_AND_CONSTRAINT
    assert fridays.expression == 'DATEPART("dw", GETDATE()) == 6'
    assert (fridays.source, fridays.target) == (r"Package\Write log", r"Package\Weekly digest")
    forced = constraints["Package.PrecedenceConstraints[Or forced]"]
    assert (forced.operation, forced.logical_and) == (EvaluatedOperation.EXPRESSION_OR_CONSTRAINT, False)


def test_precedence_constraint_within_containers():
    bank = find(read_package(CHECK_FEEDS), r"Package\Feeds\Bank")
    (constraint,) = bank.constraints
    assert constraint.ref_id == r"Package\Feeds\Bank.PrecedenceConstraints[Constraint]"
    assert constraint.source == r"Package\Feeds\Bank\Load statements"


@pytest.mark.parametrize(
    ("path", "owner", "event", "propagates"),
    [
        (CHECK_FEEDS, "Package", "OnError", True),
        (CHECK_FEEDS, r"Package\Feeds", "OnPostExecute", False),
        (MONTH_END, r"Package\Journals\Load journal", "OnTaskFailed", False),
        (JOINERS, r"Package\Tell facilities", "OnError", False),
        (NIGHTLY_SALES / "LoadSales.dtsx", "Package", "OnTaskFailed", True),
        (NIGHTLY_SALES / "LoadSales.dtsx", r"Package\For each shop\Load file", "OnError", False),
    ],
)
def test_event_handlers_belong_to_their_executable(path, owner, event, propagates):
    (handler,) = find(read_package(path), owner).event_handlers
    assert handler.ref_id == f"{owner}.EventHandlers[{event}]"
    assert (handler.event, handler.propagates) == (event, propagates)
    assert handler.variables == ()
    assert [executable.kind for executable in handler.executables] == [Kind.SEND_MAIL]


def test_for_loop():
    loop = find(read_package(MONTH_END), r"Package\Wait for the ledger")
    assert loop.kind is Kind.FOR_LOOP
    assert loop.properties == {
        "InitExpression": "@Try = 0",
        "EvalExpression": "@Try < 10 && @Closed == FALSE",
        "AssignExpression": "@Try = @Try + 1",
    }


def test_foreach_loop():
    loop = find(read_package(NIGHTLY_SALES / "LoadSales.dtsx"), r"Package\For each shop")
    assert loop.kind is Kind.FOREACH_LOOP
    assert loop.properties == {
        "ForEachEnumerator": "Microsoft.ForEachFileEnumerator",
        "VariableMapping[0]": "User::ShopFile",
    }
    old = find(read_package(MONTH_END), r"Package\Journals")
    assert old.properties == {
        "ForEachEnumerator": "DTS.ForEachFileEnumerator.1",
        "VariableMapping[0]": "User::Journal",
    }


def test_only_unusual_properties_are_kept():
    package = read_package(CHECK_FEEDS)
    assert package.root.properties == {}
    assert find(package, r"Package\Feeds\Check totals").properties == {
        "FailParentOnFailure": "True",
        "MaxErrorCount": "3",
    }
    assert find(read_package(MONTH_END), r"Package\Journals\Archive journal").properties == {
        "ForceExecutionResult": "0"
    }


def test_disabled():
    assert find(read_package(CHECK_FEEDS), r"Package\Old address").disabled
    assert find(read_package(NIGHTLY_SALES / "LoadCustomers.dtsx"), r"Package\Tell the old team").disabled
    assert not find(read_package(CHECK_FEEDS), r"Package\Feeds").disabled


def test_property_expressions_and_the_values_that_the_designer_stored():
    task = find(read_package(NIGHTLY_SALES / "PublishReports.dtsx"), r"Package\Send report")
    assert task.expressions == {
        "Disable": "!@[$Project::SendReports]",
        "FileAttachments": r'@[User::ReportFile] + "|\\\\files01\\etl\\reports\\explanations.pdf"',
        "ToLine": "@[$Project::SalesTeam]",
    }
    assert task.mail.to_line == "sales@harbourpine.example; shops@harbourpine.example"


def test_variables():
    variables = {variable.name: variable for variable in read_package(JOINERS).root.variables}
    assert (variables["Joiners"].data_type, variables["Joiners"].value) == (None, None)
    assert variables["Welcome"].value == "Willkommen!\nSchön, dass Sie da sind.\n"
    summary = {variable.name: variable for variable in read_package(MONTH_END).root.variables}["Greeting"]
    assert summary.expression.startswith('"Close of "')
    assert summary.value == "Close of 2008-12"


def test_variables_of_a_container():
    (variable,) = find(read_package(CHECK_FEEDS), r"Package\Feeds\Bank").variables
    assert (variable.namespace, variable.name, variable.value) == ("User", "Bank", "Northern")


@pytest.mark.parametrize(
    ("in_package", "in_project", "data_type"),
    [
        (2, 7, DataType.I2),
        (3, 9, DataType.I4),
        (4, 13, DataType.R4),
        (5, 14, DataType.R8),
        (7, 16, DataType.DATE),
        (8, 18, DataType.WSTR),
        (11, 3, DataType.BOOL),
        (13, 1, None),
        (14, 15, DataType.DECIMAL),
        (16, 5, DataType.I1),
        (17, 6, DataType.UI1),
        (18, 8, DataType.UI2),
        (19, 10, DataType.UI4),
        (20, 11, DataType.I8),
        (21, 12, DataType.UI8),
    ],
)
def test_packages_and_projects_number_the_same_data_types_differently(tmp_path, in_package, in_project, data_type):
    """VARENUM ([MS-OAUT] 2.2.7), of which SSIS's object is VT_UNKNOWN, and System.TypeCode."""
    of_package = f"""<DTS:PackageParameters><DTS:PackageParameter DTS:ObjectName="P" DTS:DataType="{in_package}">
        <DTS:Property DTS:Name="ParameterValue">1</DTS:Property></DTS:PackageParameter></DTS:PackageParameters>"""
    text = FORMAT_8.replace('DataType="8"', f'DataType="{in_package}"')
    (tmp_path / "P.dtsx").write_text(text.replace("<DTS:Variables>", f"{of_package}<DTS:Variables>", 1))
    (tmp_path / "Project.params").write_text(
        f"""<S:Parameters xmlns:S="www.microsoft.com/SqlServer/SSIS"><S:Parameter S:Name="P"><S:Properties>
        <S:Property S:Name="DataType">{in_project}</S:Property></S:Properties></S:Parameter></S:Parameters>"""
    )
    project = read_project(tmp_path)
    (package,) = project.packages

    read = (*package.root.variables, *package.parameters, *project.parameters)
    assert [one.data_type for one in read] == [data_type] * 3


def test_parameters_of_a_package():
    parameters = {parameter.name: parameter for parameter in read_package(JOINERS).parameters}
    assert (parameters["SmtpServer"].data_type, parameters["SmtpServer"].value) == (
        DataType.WSTR,
        "relay.alderwick.example",
    )
    assert parameters["SmtpServer"].description == "Host of the relay"
    assert (parameters["FirstDay"].data_type, parameters["FirstDay"].required) == (DataType.DATE, True)
    assert parameters["DirectoryPassword"].sensitive
    assert parameters["DirectoryPassword"].value is None


def test_connection_managers_of_other_vendors_are_kept_with_their_name():
    managers = {manager.name: manager for manager in read_package(JOINERS).connection_managers}
    assert managers["Cloud mail"].creation_name == "SMTP (KingswaySoft)"
    assert managers["People mail"].creation_name == "SMTP"
    assert managers["People mail"].expressions["ConnectionString"].startswith('"SmtpServer="')


def test_send_mail_task_is_recognised_by_its_data_alone(package_of):
    package = package_of(FORMAT_8.replace("My.SendMailTask", "{GUID}"))
    assert find(package, r"Package\Then").kind is Kind.SEND_MAIL


def test_send_mail_task_is_recognised_by_its_type_alone(package_of):
    package = package_of(re.sub("<M:SendMailTaskData.*?/>", "", FORMAT_8))
    assert find(package, r"Package\Then").mail.smtp_connection == ""


def test_precedence_constraints_by_guid_in_format_8(package_of):
    """As written by some tools."""
    package = package_of(FORMAT_8.replace(r'DTS:From="Package\First"', 'DTS:From="{1}"'))
    assert package.root.constraints[0].source == r"Package\First"


SCRIPT_TASK = """<S:ScriptProject xmlns:S="script" Name="ST_1" Language="CSharp">
<ProjectItem Name="ScriptMain.cs"><![CDATA[
using System.Net.Mail;
{filler}
public void Main() {{ new SmtpClient("mail.corp.example").Send(message); }}
]]></ProjectItem><BinaryItem Name="ST_1.dll">TVqQAAMA</BinaryItem></S:ScriptProject>"""
SQL_TASK = """<Q:SqlTaskData xmlns:Q="sql" Q:SqlStatementSource="EXEC msdb.dbo.sp_send_dbmail @to = 'a'"/>"""


@pytest.mark.parametrize(
    ("data", "mailer"),
    [
        (SCRIPT_TASK.format(filler=""), "SmtpClient"),
        (SQL_TASK, "sp_send_dbmail"),
        (SCRIPT_TASK.replace("SmtpClient", "WebClient").format(filler=""), ""),
    ],
    ids=["script", "SQL", "script without mail"],
)
def test_scripts_and_sql_that_send_mail_are_recognised(tmp_path, data, mailer):
    assert _mailer(tmp_path / "P.dtsx", data) == mailer


@pytest.mark.parametrize("length", range(960, 985))
def test_scripts_that_send_mail_are_recognised_wherever_the_parser_splits_their_text(tmp_path, length):
    """It passes UTF-16 on in pieces of 1,024 characters of a line."""
    data = SCRIPT_TASK.replace("\n", "").format(filler="/" * length)

    assert _mailer(tmp_path / "P.dtsx", data, encoding="utf-16") == "SmtpClient"


@pytest.mark.parametrize(
    "type_",
    [
        "Microsoft.SqlServer.Management.DatabaseMaintenance.DbMaintenanceNotifyOperatorTask",
        "KingswaySoft.IntegrationToolkit.Email.SendEmailTask",
    ],
)
def test_tasks_of_other_vendors_that_send_mail_are_recognised(tmp_path, type_):
    assert _mailer(tmp_path / "P.dtsx", "<x/>", type_=f"{type_}, SomeMailAssembly, Version=1.0.0.0") == type_


def test_the_name_of_an_assembly_is_not_mail(tmp_path):
    assert _mailer(tmp_path / "P.dtsx", "<x/>", type_="Maker.CopyTask, Maker.Mail, Version=1.0.0.0") == ""


def _mailer(file, data, encoding="utf-8", type_="Microsoft.ScriptTask"):
    task = f'<DTS:Executable DTS:refId="Package\\Own" DTS:ObjectName="Own" DTS:ExecutableType="{type_}">'
    text = FORMAT_8.replace(
        "<DTS:Executables><DTS:Executable ",
        f"<DTS:Executables>{task}<DTS:ObjectData>{data}</DTS:ObjectData></DTS:Executable><DTS:Executable ",
        1,
    )
    file.write_text(text, encoding)
    return find(read_package(file), "Package\\Own").mailer
