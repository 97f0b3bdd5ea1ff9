"""Package configurations: which file is read, what it sets, and what it never sets."""

import shutil
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_smtp_cm.ssis.model import ConfigurationType, MessageSourceType, Project, Unreadable
from airflow_smtp_cm.ssis.reading.configurations import target_of
from airflow_smtp_cm.ssis.reading.configured import Setting, Target, configured
from airflow_smtp_cm.ssis.reading.reader import read
from tests.ssis.building import SMTP, handler, mail, package, task, variable
from tests.ssis.packages import CHECK_FEEDS, INVENTORY, MONTH_END
from tests.ssis.reading import build_ispac, find, read_all, read_package, unreadable

HOST = r"\Package.Connections[Mail].Properties[SmtpServer]"
FILE = (
    '<DTSConfiguration><Configuration Path="{}"><ConfiguredValue>{}</ConfiguredValue></Configuration>'
    "</DTSConfiguration>"
)


def strings(package):
    return {manager.name: manager.connection_string for manager in package.connection_managers}


def values(package):
    return {variable.name: variable.value for variable in package.root.variables}


def with_setting(path, value, **given):
    """Return a package with one setting, and whether it was applied."""
    changed, applied = configured(package(mail("Send"), **given), [Setting(path, target_of(path), value)])
    return changed, bool(applied)


def test_the_oldest_format_reads_the_file_of_this_name():
    """The path is that of another machine."""
    package = read_package(CHECK_FEEDS)
    relay, digest = package.configurations

    assert strings(package)["Mail relay"].startswith("SmtpServer=relay.ledger.example;")
    assert values(package)["Operators"] == "it@ledger.example; duty@ledger.example;"
    assert find(package, r"Package\Feeds are bad").mail.bcc_line == "audit@ledger.example"
    assert (relay.location, relay.file) == (
        r"D:\feeds\config\CheckFeeds.dtsConfig", CHECK_FEEDS.with_suffix(".dtsConfig")
    )  # fmt: skip
    assert r"\Package\Other package's task.Properties[ToLine]" not in relay.properties
    assert (digest.type, digest.location, digest.target, digest.file) == (
        ConfigurationType.ENV_VARIABLE,
        "FEEDS_DIGEST",
        r"\Package.Variables[User::ForceDigest].Properties[Value]",
        None,
    )


def test_the_newest_format_does_the_same():
    package = read_package(INVENTORY)

    assert strings(package)["Mail"] == (
        "SmtpServer=mail.cooperage.example;UseWindowsAuthentication=False;EnableSsl=True;"
    )
    assert values(package)["Buyers"] == "buyers@cooperage.example; planning@cooperage.example"
    assert find(package, r"Package\Count\Stock is low").mail.priority == 1
    assert find(package, r"Package.EventHandlers[OnError]\Count failed").mail.to_line == "it@cooperage.example"
    assert [one.type for one in package.configurations] == [
        ConfigurationType.CONFIG_FILE,
        ConfigurationType.ENV_VARIABLE,
        ConfigurationType.SQL_SERVER,
        ConfigurationType.PARENT_VARIABLE,
    ]


def test_secrets_of_a_file_are_not_read():
    package = read_package(INVENTORY)

    assert values(package)["ArchivePassword"] is None
    assert r"Inventory.dtsConfig: \Package.Variables[User::ArchivePassword].Properties[Value]" in package.secrets
    assert "stand-in-of" not in repr(read_all(INVENTORY, CHECK_FEEDS))


def test_a_file_that_does_not_exist_changes_nothing():
    (servers,) = read_package(MONTH_END).configurations

    assert (servers.location, servers.file, servers.properties) == (r"D:\close\MonthEnd.dtsConfig", None, ())


def test_a_file_elsewhere_in_the_passed_folders_is_found(tmp_path):
    """The nearest one, if several have the name."""
    for folder, host in (("prod/config", "prod"), ("test/config", "test")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "monthend.DTSCONFIG").write_text(FILE.format(HOST, host))
    (tmp_path / "test" / "close").mkdir()
    shutil.copy(MONTH_END, tmp_path / "test" / "close")

    assert strings(read_package(tmp_path))["Mail"].startswith("SmtpServer=test;")


def test_a_given_file_applies_to_every_package(tmp_path):
    """As with dtexec /ConfigFile: before the package's own configurations."""
    file = tmp_path / "All.dtsConfig"
    file.write_text(FILE.format(HOST, "given.example"))
    month_end, inventory = (
        project.packages[0] for project in read([MONTH_END, INVENTORY], on_file=lambda _: None, given=[file])
    )

    assert strings(month_end)["Mail"].startswith("SmtpServer=given.example;")
    assert month_end.configurations[0].file == file
    assert strings(inventory)["Mail"].startswith("SmtpServer=mail.cooperage.example;")


def test_a_given_file_replaces_the_one_of_its_name(tmp_path):
    file = tmp_path / "Inventory.dtsConfig"
    file.write_text(FILE.format(HOST, "given.example"))
    (project,) = read([INVENTORY], on_file=lambda _: None, given=[file])
    (package,) = project.packages

    assert strings(package)["Mail"].startswith("SmtpServer=given.example;")
    assert values(package)["Buyers"] == "lnovak@cooperage.example"
    assert [one.file for one in package.configurations] == [file, None, None, None]


def test_a_given_file_applies_to_archives(tmp_path):
    archive = build_ispac(tmp_path / "Stock.ispac", INVENTORY.parent)
    file = tmp_path / "Inventory.dtsConfig"
    file.write_text(FILE.format(HOST, "given.example"))
    (project,) = read([archive], on_file=lambda _: None, given=[file])

    assert strings(project.packages[0])["Mail"].startswith("SmtpServer=given.example;")


@pytest.mark.parametrize("content", ["", "<DTSConfiguration>", "<a/>", "<!DOCTYPE a><a/>"])
def test_an_unreadable_file_is_reported_once(tmp_path, content):
    shutil.copytree(INVENTORY.parent, tmp_path / "a")
    shutil.copy(INVENTORY, tmp_path / "a" / "Copy.dtsx")
    (tmp_path / "a" / "Inventory.dtsConfig").write_text(content)
    (bad,) = unreadable(tmp_path)

    assert bad.source.name == "Inventory.dtsConfig"
    assert len([one for one in read_all(tmp_path) if isinstance(one, Project)]) == 2


def test_a_given_file_that_is_missing_is_reported(tmp_path):
    *_, bad = read([MONTH_END], on_file=lambda _: None, given=[tmp_path / "Gone.dtsConfig"])

    assert isinstance(bad, Unreadable)
    assert bad.source.name == "Gone.dtsConfig"


def test_the_last_value_counts():
    settings = [Setting(HOST, target_of(HOST), host) for host in ("a.example", "b.example")]
    changed, _ = configured(package(mail()), settings)

    assert strings(changed)["Mail"] == "SmtpServer=b.example;UseWindowsAuthentication=False;EnableSsl=False;"


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("FromLine", "a@b.test", "from_line", "a@b.test"),
        ("ToLine", "a@b.test", "to_line", "a@b.test"),
        ("CCLine", "a@b.test", "cc_line", "a@b.test"),
        ("BCCLine", "a@b.test", "bcc_line", "a@b.test"),
        ("Subject", "", "subject", ""),
        ("MessageSource", "User::Body", "message_source", "User::Body"),
        ("MessageSourceType", "2", "message_source_type", MessageSourceType.VARIABLE),
        ("MessageSourceType", "FileConnection", "message_source_type", MessageSourceType.FILE_CONNECTION),
        ("Priority", "High", "priority", 1),
        ("FileAttachments", "a.csv|b.csv", "attachments", ("a.csv", "b.csv")),
        ("SmtpConnection", "{abc}", "smtp_connection", "{ABC}"),
    ],
)
def test_it_sets_every_property_of_a_send_mail_task(name, value, field, expected):
    changed, applied = with_setting(rf"\Package\Send.Properties[{name}]", value)

    assert applied
    assert getattr(find(changed, r"Package\Send").mail, field) == expected


@pytest.mark.parametrize(
    ("name", "value"), [("Priority", "urgent"), ("MessageSourceType", "9"), ("MaxErrorCount", "3"), ("ToLine", None)]
)
def test_other_properties_and_invalid_values_change_nothing(name, value):
    changed, applied = with_setting(rf"\Package\Send.Properties[{name}]", value)

    assert not applied
    assert changed == package(mail("Send"))


def test_it_disables_tasks_and_containers():
    changed, _ = with_setting(r"\Package\Send.Properties[Disable]", "True")
    assert find(changed, r"Package\Send").disabled
    assert not with_setting(r"\Package.Properties[Disable]", "0")[0].root.disabled


def test_it_sets_variables_of_any_scope():
    inner = task("Load", variables=(variable("Rows", "1"),))
    on_error = handler("Package", "OnError", "Tell", variables=(variable("Why", ""),))
    start = package(inner, event_handlers=(on_error,))
    paths = {
        r"\Package\Load.Variables[User::Rows].Value": "2",
        r"\Package.EventHandlers[OnError].Variables[User::Why].Properties[Value]": "x",
        r"\Package.Variables[User::Rows].Properties[Value]": "it has none",
    }
    changed, applied = configured(start, [Setting(path, target_of(path), value) for path, value in paths.items()])

    assert changed.root.executables[0].variables[0].value == "2"
    assert changed.root.event_handlers[0].variables[0].value == "x"
    assert len(applied) == 2


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (HOST, Target("Package", "Connections", "Mail", "SmtpServer")),
        (r"\Package.Connections[(local).A].Properties[X]", Target("Package", "Connections", "(local).A", "X")),
        (r"\Package\A b.Variables[User::C].Value", Target(r"Package\A b", "Variables", "User::C", "Value")),
        (r"\Package.EventHandlers[OnError]\A\B.Properties[ToLine]",
         Target(r"Package.EventHandlers[OnError]\A\B", "", "", "ToLine")),
        ("Package.Properties[Name]", None),
        (r"\Package", None),
        ("\\" + "a" * 10_000 + ".Value", None),
    ],
)  # fmt: skip
def test_paths(path, target):
    assert target_of(path) == target


@given(st.text("\\.[]PackageEventHandlersConnectionsVariablesPropertiesValue:: "))
@example(r"\.EventHandlers[" * 200)
@example(r"\a" + ".EventHandlers[a]" * 200)
def test_any_path_is_read_quickly(path):
    target = target_of(path)
    assert target is None or path.startswith(f"\\{target.owner}")


def test_a_bare_server_name_is_a_connection_string():
    """As in Microsoft's samples."""
    bare = (replace(SMTP, connection_string="old"),)
    changed, _ = with_setting(r"\Package.Connections[Mail].Properties[EnableSsl]", "True", managers=bare)

    assert strings(changed)["Mail"] == "EnableSsl=True;SmtpServer=old;"
