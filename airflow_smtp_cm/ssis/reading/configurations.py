r"""Reads configuration files (.dtsConfig), and applies package configurations as SSIS does when a package starts.

A file contains paths of properties, such as ``\Package.Connections[Mail].Properties[SmtpServer]``, and their values
("Package Configurations"). A package names its file by a path on the machine that it ran on. This machine has another
path, so the file is found by its name. Expressions are evaluated later, and override configurations.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.ssis.model import Configuration, ConfigurationType, Unreadable
from airflow_smtp_cm.ssis.reading.configured import Setting, Target, configured
from airflow_smtp_cm.ssis.reading.encryption import reject_encrypted
from airflow_smtp_cm.ssis.reading.files import load
from airflow_smtp_cm.ssis.reading.redaction import Secrets
from airflow_smtp_cm.ssis.reading.safe_xml import NotReadableError, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_smtp_cm.ssis.model import Package
    from airflow_smtp_cm.ssis.reading.safe_xml import Element

#: The suffix of configuration files, in lower case.
SUFFIX = ".dtsconfig"

_LONGEST_PATH = 4_000  # characters; a container within a container takes a name of at most some hundred
_TARGET = re.compile(
    r"\\(?P<owner>[^\[\]]*(?:\.EventHandlers\[[^\[\]]*\][^\[\]]*)*?)"
    r"(?:\.(?P<collection>Connections|Variables)\[(?P<member>[^\]]*)\])?"
    r"\.(?:Properties\[(?P<property>[^\[\]]*)\]|(?P<value>Value))"
)


class _File(NamedTuple):
    source: Path
    settings: tuple[Setting, ...]


@dataclass(slots=True)
class ConfigurationFiles:
    """The configuration files that packages can use; each is read when it is first used.

    Attributes:
        given: files that apply to every package, as with ``dtexec /ConfigFile``.
        found: files that were found with the packages, by name, case-folded.
        unreadable: the files that could not be read.
    """

    given: tuple[Path, ...] = ()
    found: Mapping[str, list[Path]] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    _read: dict[Path, tuple[Setting, ...] | None] = field(default_factory=dict)
    _in_folders: dict[PurePath, tuple[Path, ...]] = field(default_factory=dict)

    def read_given(self) -> None:
        """Read the given files, so that each unreadable one is reported, even if no package uses it."""
        for path in self.given:
            self._file(path)

    def applied_to(self, package: Package) -> Package:
        """Return a package with the values of its configurations.

        SSIS applies the files of ``dtexec /ConfigFile`` first, then the package's own configurations in their order;
        the last value of a property counts.
        """
        own = [(configuration, self._file_of(configuration, package)) for configuration in package.configurations]
        taken = {file.source for _, file in own if file}
        given = [
            (Configuration(name=path.name, type=ConfigurationType.CONFIG_FILE, location=str(path)), file)
            for path in self.given
            if path not in taken and (file := self._file(path))
        ]
        applied = []
        for configuration, file in (*given, *own):
            if file is None:
                applied.append(configuration)
                continue
            package, settings = configured(package, file.settings)
            paths = tuple(setting.path for setting in settings)
            secrets = (f"{file.source.name}: {setting.path}" for setting in settings if setting.secret)
            package = replace(package, secrets=(*package.secrets, *secrets))
            if settings or configuration in package.configurations:
                applied.append(replace(configuration, file=file.source, properties=paths))
        return replace(package, configurations=tuple(applied))

    def _file_of(self, configuration: Configuration, package: Package) -> _File | None:
        name = PureWindowsPath(configuration.location).name.casefold()
        if configuration.type is not ConfigurationType.CONFIG_FILE or not name:
            return None
        folder = package.source.parent
        if folder not in self._in_folders:
            self._in_folders[folder] = _in_folder(folder)
        here = (path for path in (*self.given, *self._in_folders[folder]) if path.name.casefold() == name)
        path = next(here, None) or _nearest(self.found.get(name, ()), folder)
        return self._file(path) if path else None

    def _file(self, path: Path) -> _File | None:
        if path not in self._read:
            try:
                self._read[path] = tuple(_settings(parse(load(path)), path.name))
            except NotReadableError as error:
                self._read[path] = None
                self.unreadable.append(Unreadable(source=path, why=error.why, what_to_do=error.what_to_do))
        settings = self._read[path]
        return None if settings is None else _File(path, settings)


def target_of(path: str) -> Target | None:
    """Return what a path means; None if it is not the path of a property."""
    match = _TARGET.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if match is None:
        return None
    return Target(match["owner"], match["collection"] or "", match["member"] or "", match["property"] or "Value")


def _settings(root: Element, name: str) -> Iterator[Setting]:
    reject_encrypted(root)
    if root.name != "DTSConfiguration":
        raise NotReadableError(
            f"It is not a configuration file: its root element is {root.name}, not DTSConfiguration.",
            "Pass a .dtsConfig file.",
        )
    secrets = Secrets()
    for element in root.all("Configuration"):
        path = element.attributes.get("Path", "")
        stored = element.first("ConfiguredValue")
        target = target_of(path)
        if target is None or stored is None:
            continue
        named = target.member.rpartition("::")[2] if target.collection == "Variables" else target.property
        before = len(secrets.places)
        value = secrets.named(named, stored.text, f"{name}: {path}")
        yield Setting(path, target, value, secret=len(secrets.places) > before)


def _nearest(files: Iterable[Path], folder: PurePath) -> Path | None:
    here = os.path.realpath(folder)
    return max(files, key=lambda path: len(os.path.commonpath((os.path.realpath(path), here))), default=None)


def _in_folder(folder: PurePath) -> tuple[Path, ...]:
    try:
        return tuple(sorted(path for path in Path(folder).iterdir() if path.suffix.lower() == SUFFIX))
    except OSError:  # an archive
        return ()
