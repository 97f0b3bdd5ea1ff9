"""Which files are found, and which of them belong to one project."""

import os
import shutil

import pytest

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.model import Project, Unreadable
from airflow_smtp_cm.ssis.reading.reader import find_files, read
from tests.ssis.packages import CHECK_FEEDS, HERE, MONTH_END, NIGHTLY_SALES
from tests.ssis.reading import build_ispac, read_all, read_project, unreadable


@pytest.fixture
def project(tmp_path):
    """A copy of a project's folder, which a test may change."""
    return shutil.copytree(NIGHTLY_SALES, tmp_path / "nightly_sales")


def test_folder_with_a_project_file_is_one_project():
    project = read_project(NIGHTLY_SALES)
    assert (project.name, project.source) == ("NightlySales", NIGHTLY_SALES)
    assert [package.root.name for package in project.packages] == [
        "LoadCustomers", "LoadSales", "NightlyMaster", "PublishReports"
    ]  # fmt: skip
    assert [manager.ref_id for manager in project.connection_managers] == [
        "Project.ConnectionManagers[Mail]", "Project.ConnectionManagers[Warehouse]"
    ]  # fmt: skip
    assert project.connection_managers[0].expressions == {"SmtpServer": "@[$Project::SmtpServer]"}


def test_parameters_of_a_project():
    parameters = {parameter.name: parameter for parameter in read_project(NIGHTLY_SALES).parameters}
    assert (parameters["SendReports"].data_type, parameters["SendReports"].value) == (DataType.BOOL, "True")
    assert parameters["OperationsTeam"].required
    assert parameters["MinimumRows"].description == "Fewer rows than this are suspicious"
    assert (parameters["WarehousePassword"].sensitive, parameters["WarehousePassword"].value) == (True, None)


def test_connection_managers_as_parameters_and_configurations():
    project = read_project(NIGHTLY_SALES)
    stored = {parameter.name: parameter.value for parameter in project.connection_parameters}
    assert stored["CM.Mail.SmtpServer"] == "mail.harbourpine.example"
    assert stored["CM.Warehouse.Password"] is None
    development, production = project.configurations
    assert development.name == "Development"
    assert development.values == {"CM.Mail.SmtpServer": "smtp.test.harbourpine.example", "SendReports": "false"}
    assert production.values == {}
    (load_sales,) = (package for package in project.packages if package.root.name == "LoadSales")
    assert [parameter.name for parameter in load_sales.connection_parameters] == ["CM.Shop file.ConnectionString"]


def test_packages_are_in_the_order_of_the_project(project):
    file = project / "NightlySales.dtproj"
    text = file.read_text()
    line = '          <SSIS:Package SSIS:Name="NightlyMaster.dtsx" SSIS:EntryPoint="1" />\n'
    first = "        <SSIS:Packages>\n"
    file.write_text(text.replace(line, "").replace(first, first + line))
    assert read_project(project).packages[0].root.name == "NightlyMaster"


def test_package_by_itself_is_read_with_its_project(project):
    result = read_project(project / "LoadSales.dtsx")
    assert result.name == "NightlySales"
    assert [package.root.name for package in result.packages] == ["LoadSales"]
    assert result.connection_managers


def test_package_without_a_project_is_a_project_without_a_name(tmp_path):
    shutil.copy(CHECK_FEEDS, tmp_path)
    shutil.copy(MONTH_END, tmp_path)
    projects = read_all(tmp_path)
    assert [(project.name, project.packages[0].root.name) for project in projects] == [
        ("", "CheckFeeds"), ("", "MonthEnd")
    ]  # fmt: skip


def test_missing_packages_of_a_project_are_one_line(project):
    (project / "LoadSales.dtsx").unlink()
    (project / "LoadCustomers.dtsx").unlink()
    missing, rest = read_all(project)
    assert isinstance(missing, Unreadable)
    assert missing.source == project
    assert missing.why == (
        "The project NightlySales lists files that do not exist: LoadCustomers.dtsx, LoadSales.dtsx."
    )
    assert len(rest.packages) == 2


def test_unreadable_files_do_not_stop_the_others(project):
    (project / "LoadSales.dtsx").write_bytes(b"")
    (project / "Mail.conmgr").write_text("<a/>")
    results = read_all(project)
    assert [result.source.name for result in results[:2]] == ["Mail.conmgr", "LoadSales.dtsx"]
    assert len(results[2].packages) == 3
    assert [manager.name for manager in results[2].connection_managers] == ["Warehouse"]


def test_packages_of_an_unreadable_project_file_are_still_one_project(project):
    (project / "NightlySales.dtproj").write_text("<Project>")
    damaged, rest = read_all(project)
    assert damaged.source.name == "NightlySales.dtproj"
    assert (rest.name, len(rest.packages), len(rest.connection_managers)) == ("nightly_sales", 4, 2)


def second_project(folder, *packages):
    """Add a project to a folder: a .dtproj with these packages and the connection manager Mail."""
    listed = "".join(f'<SSIS:Package SSIS:Name="{name}"/>' for name in packages)
    (folder / "Second.dtproj").write_text(
        '<Project xmlns:SSIS="www.microsoft.com/SqlServer/SSIS">'
        "<DeploymentModelSpecificContent><Manifest><SSIS:Project>"
        '<SSIS:Properties><SSIS:Property SSIS:Name="Name">Second</SSIS:Property></SSIS:Properties>'
        f"<SSIS:Packages>{listed}</SSIS:Packages><SSIS:ConnectionManagers>"
        '<SSIS:ConnectionManager SSIS:Name="Mail.conmgr"/></SSIS:ConnectionManagers>'
        "</SSIS:Project></Manifest></DeploymentModelSpecificContent></Project>"
    )


def test_two_project_files_in_a_folder_are_two_projects(project):
    """They share the .params; a package that none of them lists is in neither."""
    for name in ("Own", "Stray"):
        shutil.copy(project / "LoadSales.dtsx", project / f"{name}.dtsx")
    second_project(project, "Own.dtsx", "Gone.dtsx")
    announced = []
    results = list(read([project], on_file=announced.append))
    nightly, missing, second, rest = results

    assert [(one.name, [package.source.name for package in one.packages]) for one in (nightly, second, rest)] == [
        (
            "NightlySales",
            ["LoadCustomers.dtsx", "LoadSales.dtsx", "NightlyMaster.dtsx", "PublishReports.dtsx"],
        ),
        ("Second", ["Own.dtsx"]),
        ("nightly_sales", ["Stray.dtsx"]),
    ]
    assert missing.why == "The project Second lists files that do not exist: Gone.dtsx."
    assert [manager.name for manager in second.connection_managers] == ["Mail"]
    assert {parameter.name for parameter in second.parameters} == {one.name for one in nightly.parameters}
    assert len(announced) == len(set(announced)) == len(find_files([project]))


def test_a_damaged_one_of_two_project_files_is_reported(project):
    (project / "Second.dtproj").write_text("<Project>")
    results = read_all(project)

    assert [one.source.name for one in results if isinstance(one, Unreadable)] == ["Second.dtproj"]
    assert [len(one.packages) for one in results if isinstance(one, Project) and one.name == "NightlySales"] == [4]


def test_project_of_the_package_deployment_model(tmp_path):
    """Projects of SQL Server 2005 and 2008 list their packages in another form."""
    shutil.copy(CHECK_FEEDS, tmp_path)
    (tmp_path / "Finance.dtproj").write_text(
        "<Project><DTSPackages><DtsPackage><Name>CheckFeeds.dtsx</Name><FullPath>CheckFeeds.dtsx</FullPath></DtsPackage>"
        "<DtsPackage><FullPath>Gone.dtsx</FullPath></DtsPackage></DTSPackages></Project>"
    )
    gone, project = read_all(tmp_path)
    assert gone.why.endswith("do not exist: Gone.dtsx.")
    assert (project.name, len(project.packages)) == ("Finance", 1)


def test_deployment_file_is_the_same_project(tmp_path):
    archive = build_ispac(tmp_path / "Night 1.ispac", NIGHTLY_SALES, name="NightlySales")
    folder, built = read_project(NIGHTLY_SALES), read_project(archive)
    assert (built.name, built.source) == ("NightlySales", archive)
    assert [package.root for package in built.packages] == [package.root for package in folder.packages]
    assert built.connection_managers == folder.connection_managers
    assert built.parameters == folder.parameters
    assert built.packages[0].source == archive / "LoadCustomers.dtsx"


def test_names_in_a_deployment_file_are_percent_encoded(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(CHECK_FEEDS, folder / "000 - Prüfung.dtsx")
    project = read_project(build_ispac(tmp_path / "a.ispac", folder))
    assert project.packages[0].source.name == "000 - Prüfung.dtsx"


def test_files_are_found_once_and_in_a_stable_order():
    files = find_files([HERE])
    assert files == sorted(files)
    assert find_files([CHECK_FEEDS, HERE, HERE / ".." / "packages"])[0] == CHECK_FEEDS
    assert sorted(find_files([CHECK_FEEDS, HERE, HERE / ".." / "packages"])) == files


def test_suffixes_are_case_insensitive(tmp_path):
    shutil.copy(CHECK_FEEDS, tmp_path / "OLD.DTSX")
    assert read_project(tmp_path).packages[0].root.name == "CheckFeeds"


def test_each_file_is_announced_before_it_is_read(project):
    shutil.copy(CHECK_FEEDS, project.parent)
    build_ispac(project.parent / "built.ispac", NIGHTLY_SALES)
    announced = []
    assert len(list(read([project.parent], on_file=announced.append))) == 3
    assert sorted(announced) == sorted(find_files([project.parent]))


def test_copies_of_a_build_are_ignored(project):
    shutil.copytree(NIGHTLY_SALES, project / "obj" / "Development")
    (project / "bin").mkdir()
    built = build_ispac(project / "bin" / "built.ispac", NIGHTLY_SALES)
    assert len(read_all(project)) == 1
    assert len(read_all(built)) == 1


def test_links_in_a_circle_are_followed_once(tmp_path):
    shutil.copy(CHECK_FEEDS, tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "above").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "below" / "again.dtsx").symlink_to(tmp_path / "CheckFeeds.dtsx")
    assert find_files([tmp_path]) == [tmp_path / "CheckFeeds.dtsx"]


def test_link_to_itself_is_reported(tmp_path):
    (tmp_path / "a.dtsx").symlink_to(tmp_path / "a.dtsx")
    assert [result.why for result in unreadable(tmp_path)] == [
        "It cannot be opened: Too many levels of symbolic links."
    ]


def test_missing_path_is_reported(tmp_path):
    (missing,) = unreadable(tmp_path / "missing")
    assert "No such file" in missing.why


def test_path_of_another_kind_is_reported(tmp_path):
    other = tmp_path / "readme.txt"
    other.touch()
    (failure,) = unreadable(other)
    assert ".dtsx" in failure.why
    assert read_all(tmp_path) == []


def test_pipe_with_the_name_of_a_package_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.dtsx")
    assert [result.why for result in unreadable(tmp_path)] == ["It is not a regular file."]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_folder_that_cannot_be_opened_is_reported(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    (failure,) = unreadable(tmp_path)
    assert failure.source == tmp_path / "closed"


def test_projects_are_read_one_by_one(tmp_path):
    """The second file is not opened before the first project has been returned."""
    shutil.copy(CHECK_FEEDS, tmp_path / "a.dtsx")
    (tmp_path / "b.dtsx").write_bytes(b"")
    results = read([tmp_path], on_file=lambda _: None)
    assert isinstance(next(results), Project)
    shutil.copy(MONTH_END, tmp_path / "b.dtsx")
    assert next(results).packages[0].root.name == "MonthEnd"
