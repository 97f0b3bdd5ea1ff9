"""Reads projects: their files (.dtproj, @Project.manifest, .params, .conmgr) together with their packages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.ssis.model import Parameter, Project, ProjectConfiguration, Unreadable
from airflow_smtp_cm.ssis.reading.dtsx import read_connection_manager, read_package
from airflow_smtp_cm.ssis.reading.encryption import reject_encrypted
from airflow_smtp_cm.ssis.reading.redaction import Secrets
from airflow_smtp_cm.ssis.reading.safe_xml import Element, NotReadableError, parse
from airflow_smtp_cm.ssis.reading.unexpected import unexpected
from airflow_smtp_cm.ssis.reading.variables import read_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_smtp_cm.ssis.model import ConnectionManager, Package
    from airflow_smtp_cm.ssis.reading.configurations import ConfigurationFiles

#: The project file within an .ispac.
MANIFEST = "@Project.manifest"


class Part(NamedTuple):
    """A file of a project, in a folder or in an archive.

    Attributes:
        source: its path.
        load: returns its content, or raises NotReadableError.
    """

    source: PurePath
    load: Callable[[], bytes]


def read_project(
    source: PurePath, parts: Iterable[Part], configurations: ConfigurationFiles, *, complete: bool = True
) -> Iterator[Project | Unreadable]:
    """Read the files of one project.

    Args:
        source: its folder or archive.
        parts: its files; each is read in turn, and its bytes are not kept.
        configurations: the configuration files that its packages can use.
        complete: whether these are all its files; then a file that the project lists must be among them.

    Yields:
        Every unreadable file; then the project with the other files, if there are any.
    """
    project = _ProjectReader(configurations)
    seen = set()
    for part in parts:
        seen.add(part.source.name.casefold())
        try:
            project.read(part)
        except NotReadableError as error:
            yield Unreadable(source=part.source, why=error.why, what_to_do=error.what_to_do)
        except Exception as error:  # noqa: BLE001 - one file must not stop the import of the others
            yield unexpected(error, part.source)
    missing = [name for name in project.listed if complete and name.casefold() not in seen]
    if missing:
        yield Unreadable(
            source=source,
            why=f"The project {project.name} lists files that do not exist: {', '.join(missing)}.",
            what_to_do="Get them from the source of the project, or remove them from the project.",
        )
    if project.packages or project.connection_managers or project.parameters:
        yield project.result(source)


@dataclass
class _ProjectReader:
    """The content of the project's files read so far."""

    configurations: ConfigurationFiles
    name: str = ""
    listed: list[str] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    connection_managers: list[ConnectionManager] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    _connection_parameters: tuple[Parameter, ...] = ()
    _package_parameters: dict[str, tuple[Parameter, ...]] = field(default_factory=dict)  # by the file's name
    _configurations: tuple[ProjectConfiguration, ...] = ()
    _secrets: Secrets = field(default_factory=Secrets)

    def read(self, part: Part) -> None:
        root = parse(part.load())
        reject_encrypted(root)
        match part.source.suffix.lower():
            case ".dtsx":
                self.packages.append(self.configurations.applied_to(read_package(root, part.source)))
            case ".conmgr":
                _expect(root, "ConnectionManager")
                self.connection_managers.append(read_connection_manager(root, "Project", self._secrets))
            case ".params":
                _expect(root, "Parameters")
                self.parameters += read_parameters(root.all("Parameter"), "Project.Parameters", self._secrets)
            case _:
                _expect(root, "Project")
                self._read_project_file(root, part.source)

    def result(self, source: PurePath) -> Project:
        order = {name.casefold(): number for number, name in enumerate(self.listed)}
        packages = [
            replace(package, connection_parameters=self._package_parameters.get(package.source.name.casefold(), ()))
            for package in self.packages
        ]
        shares = self.connection_managers or self.parameters
        return Project(
            name=self.name or (source.name if shares else ""),
            source=source,
            packages=tuple(sorted(packages, key=lambda p: order.get(p.source.name.casefold(), len(order)))),
            connection_managers=tuple(self.connection_managers),
            parameters=tuple(self.parameters),
            connection_parameters=self._connection_parameters,
            configurations=self._configurations,
            secrets=self._secrets.places,
        )

    def _read_project_file(self, root: Element, source: PurePath) -> None:
        """Read a .dtproj, which contains the manifest, or the manifest of an .ispac."""
        manifest = _manifest(root)
        properties = {child.attributes.get("Name"): child.text for child in _children(manifest, "Properties")}
        self.name = properties.get("Name") or source.stem
        self.listed = _listed(root, manifest)
        self._connection_parameters = tuple(
            read_parameters(
                _children(manifest, "DeploymentInfo", "ProjectConnectionParameters"),
                "Project.ConnectionParameters",
                self._secrets,
            )
        )
        for package in _children(manifest, "DeploymentInfo", "PackageInfo"):
            name = package.attributes.get("Name", "")
            parameters = read_parameters(
                _children(package, "Parameters"), f"Project.Packages[{name}].Parameters", self._secrets
            )
            # The package's own file contains the others, too.
            self._package_parameters[name.casefold()] = tuple(p for p in parameters if p.name.startswith("CM."))
        self._configurations = tuple(self._configuration(child) for child in _children(root, "Configurations"))

    def _configuration(self, element: Element) -> ProjectConfiguration:
        name = _text(element, "Name")
        place = f"Project.Configurations[{name}].Parameters"
        values = {}
        for setting in _children(element, "Options", "ParameterConfigurationValues"):
            parameter = _text(setting, "Name")
            values[parameter] = self._secrets.named(parameter, _text(setting, "Value"), f"{place}[{parameter}]")
        for setting in _children(element, "Options", "ParameterConfigurationSensitiveValues"):
            parameter = _text(setting, "Name")
            values[parameter] = None
            self._secrets.note(f"{place}[{parameter}]")
        return ProjectConfiguration(name=name, values=values)


def listed_files(part: Part) -> frozenset[str]:
    """Return the names of the files that a .dtproj lists, case-folded; none if it cannot be read."""
    try:
        root = parse(part.load())
    except NotReadableError:
        return frozenset()
    return frozenset(name.casefold() for name in _listed(root, _manifest(root)))


def _manifest(root: Element) -> Element:
    """Return the manifest within a .dtproj; the manifest of an .ispac is a file of its own."""
    return root.first("DeploymentModelSpecificContent", "Manifest", "Project") or root


def _listed(root: Element, manifest: Element) -> list[str]:
    return [
        child.attributes.get("Name", "")
        for group in ("Packages", "ConnectionManagers")
        for child in _children(manifest, group)
    ] or [PurePath(_text(package, "FullPath")).name for package in _children(root, "DTSPackages")]


def _expect(root: Element, name: str) -> None:
    if root.name != name:
        raise NotReadableError(
            f"Its root element is {root.name}, not {name} as in a file of this type.",
            "Check its name.",
        )


def _children(element: Element, *path: str) -> list[Element]:
    found = element.first(*path)
    return found.children if found else []


def _text(element: Element, name: str) -> str:
    found = element.first(name)
    return found.text if found else ""
