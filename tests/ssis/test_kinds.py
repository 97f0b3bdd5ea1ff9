"""The kinds of executables, and their declarations."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_smtp_cm.ssis.kinds import Kind, kind_of, title_of

TABLE = (Path(__file__).parents[2] / "docs" / "import.md").read_text().split("## Conversion table")[1]


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("Microsoft.Pipeline", Kind.DATA_FLOW),
        ("DTS.Pipeline.1", Kind.DATA_FLOW),
        ("SSIS.ExecutePackageTask.2", Kind.EXECUTE_PACKAGE),
        ("Microsoft.SqlServer.Dts.Tasks.FtpTask.FtpTask, Microsoft.SqlServer.FtpTask, Version=9.0.242.0", Kind.FTP),
        ("STOCK:SendMailTask", Kind.SEND_MAIL),
        ("STOCK:FOREACHLOOP", Kind.FOREACH_LOOP),
        ("Maker.Sequence", Kind.TASK),
        ("Maker.Copier, Microsoft.SqlServer.SendMailTask", Kind.TASK),
        ("", Kind.TASK),
    ],
)
def test_the_kind_of_an_executable_is_that_of_its_class(type_, kind):
    assert kind_of(type_, ()) is kind


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.value.data], ids=lambda kind: kind.name)
def test_a_task_whose_type_is_a_guid_is_recognised_by_its_data(kind):
    assert kind_of("{0A7B3C1D-0000-4000-8000-000000000001}", {kind.value.data}) is kind


@pytest.mark.parametrize(
    ("type_", "title"),
    [
        ("Microsoft.BulkInsertTask", "Bulk Insert task"),
        ("Microsoft.SqlServer.Dts.Tasks.WMIEventWatcherTask.WMIEventWatcherTask, Any", "WMI Event Watcher task"),
        ("Maker.Copier", "Maker.Copier"),
        ("", "task"),
    ],
)
def test_a_task_of_another_kind_has_the_name_of_its_class(type_, title):
    assert title_of(type_) == title


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.value.data], ids=lambda kind: kind.name)
def test_a_kind_whose_data_is_kept_has_a_row_in_the_conversion_table(kind):
    assert f"| {kind.value.title} |" in TABLE
