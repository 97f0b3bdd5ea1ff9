"""Reports package configurations: which file was read, and which values only the other machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import ConfigurationType
from airflow_smtp_cm.ssis.writing.findings import About, Findings

if TYPE_CHECKING:
    from airflow_smtp_cm.ssis.model import Configuration

_PLACES = {
    ConfigurationType.PARENT_VARIABLE: "The variable {} of the parent package",
    ConfigurationType.CONFIG_FILE: "The configuration file {}",
    ConfigurationType.ENV_VARIABLE: "The environment variable {}",
    ConfigurationType.REG_ENTRY: "The registry key {}",
    ConfigurationType.I_PARENT_VARIABLE: "The variable of the parent package that the environment variable {} names",
    ConfigurationType.I_CONFIG_FILE: "The configuration file that the environment variable {} names",
    ConfigurationType.I_REG_ENTRY: "The registry key that the environment variable {} names",
    ConfigurationType.SQL_SERVER: "The table of SQL Server {}",
    ConfigurationType.INI_FILE: "The file {}",
    ConfigurationType.I_SQL_SERVER: "The table of SQL Server that the environment variable {} names",
    ConfigurationType.I_INI_FILE: "The file that the environment variable {} names",
}


def report_configuration(configuration: Configuration, findings: Findings) -> None:
    """Report a package configuration.

    Args:
        configuration: the package configuration.
        findings: collects the findings.
    """
    place = f"Package.Configurations[{configuration.name}]"
    where = _PLACES[configuration.type].format(configuration.location)
    if configuration.file is None:
        sets = f"sets {configuration.target}" if configuration.target else "may set variables and properties"
        findings.manual(
            About.CONFIGURATION,
            place,
            f"{where} {sets} when the package starts. It was not read, so the stored values are in the DAG: "
            f"{_advice(configuration)}",
        )
        return
    properties = ", ".join(configuration.properties) or "nothing that mail uses"
    if configuration.location in {str(configuration.file), configuration.file.name}:
        findings.converted(About.CONFIGURATION, place, f"{where} was read. It sets {properties}.")
    else:
        findings.manual(
            About.CONFIGURATION,
            place,
            f"{where} is on another machine: {configuration.file} was read instead. Check that it has the same "
            f"values. It sets {properties}.",
        )


def _advice(configuration: Configuration) -> str:
    if configuration.type in {ConfigurationType.CONFIG_FILE, ConfigurationType.I_CONFIG_FILE}:
        return "pass the file with --configuration."
    return "write its values into a .dtsConfig file and pass that with --configuration, or change the DAG."
