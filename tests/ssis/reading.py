"""Functions that the tests of the reader share."""

from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile

from airflow_smtp_cm.ssis.model import Project, Unreadable
from airflow_smtp_cm.ssis.reading.reader import read

MANIFEST = """<SSIS:Project SSIS:ProtectionLevel="DontSaveSensitive" xmlns:SSIS="www.microsoft.com/SqlServer/SSIS">
  <SSIS:Properties><SSIS:Property SSIS:Name="Name">{name}</SSIS:Property></SSIS:Properties>
  <SSIS:Packages>{packages}</SSIS:Packages>
</SSIS:Project>"""


def read_all(*paths):
    return list(read(paths, on_file=lambda _: None))


def read_project(path):
    (project,) = read_all(path)
    assert isinstance(project, Project), project
    return project


def read_package(path):
    """Return the package of this file, with the context of its project if it has one."""
    (package,) = read_project(path).packages
    return package


def unreadable(*paths):
    return [result for result in read_all(*paths) if isinstance(result, Unreadable)]


def walk(executable):
    """Yield an executable, the executables in it, and those of its event handlers."""
    yield executable
    for holder in (executable, *executable.event_handlers):
        for member in holder.executables:
            yield from walk(member)


def find(package, ref_id):
    (found,) = (executable for executable in walk(package.root) if executable.ref_id == ref_id)
    return found


def build_ispac(path, folder, name="Built"):
    """Return the archive that Visual Studio builds from a project's folder."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix in {".dtsx", ".conmgr", ".params"}]
    packages = "".join(f'<SSIS:Package SSIS:Name="{file.name}"/>' for file in files if file.suffix == ".dtsx")
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("@Project.manifest", MANIFEST.format(name=name, packages=packages))
        for file in files:
            archive.writestr(quote(file.name), file.read_bytes())
        archive.writestr("[Content_Types].xml", "<Types/>")
    return path
