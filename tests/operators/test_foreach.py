"""ForeachFileOperator: the files that SSIS's Foreach File enumerator finds, in order."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.operators.foreach import ForeachFileOperator


@pytest.fixture
def files(tmp_path):
    """A function that lists files of a folder with b.csv, A.CSV, [1].csv, readme, and sub/c.csv."""
    (tmp_path / "sub").mkdir()
    for name in ("b.csv", "A.CSV", "[1].csv", "readme", "sub/c.csv"):
        (tmp_path / name).write_text("")

    def files(**given):
        found = ForeachFileOperator(task_id="files", folder=str(tmp_path), **given).execute({})
        return [one.replace(f"{tmp_path}/", "") for one in found]

    return files


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"file_spec": "*.csv"}, ["[1].csv", "A.CSV", "b.csv"]),
        ({"file_spec": "?.csv"}, ["A.CSV", "b.csv"]),
        ({"file_spec": "[1].csv"}, ["[1].csv"]),
        ({"file_spec": "*.*"}, ["[1].csv", "A.CSV", "b.csv", "readme"]),
        ({}, ["[1].csv", "A.CSV", "b.csv", "readme"]),
        ({"file_spec": "*.csv", "recurse": True}, ["[1].csv", "A.CSV", "b.csv", "sub/c.csv"]),
        ({"file_spec": "*.csv", "recurse": True, "retrieve": "name_only"}, ["[1]", "A", "b", "c"]),
        ({"file_spec": "?.csv", "retrieve": "name_and_extension"}, ["A.CSV", "b.csv"]),
        ({"file_spec": "*.txt"}, []),
    ],
)
def test_files_are_listed_as_the_enumerator_lists_them(files, given, expected):
    assert files(**given) == expected


def test_a_path_is_listed_with_its_folder(tmp_path):
    (tmp_path / "a.csv").write_text("")

    assert ForeachFileOperator(task_id="files", folder=str(tmp_path)).execute({}) == [str(tmp_path / "a.csv")]


def test_a_missing_folder_is_an_error(tmp_path):
    """A worker may lack the access that the server of SSIS had; nothing would be done, and nobody would know."""
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*/gone on this worker, or it has no access"):
        ForeachFileOperator(task_id="files", folder=f"{tmp_path}/gone").execute({})


def test_an_unknown_retrieval_is_an_error():
    with pytest.raises(ValueError, match="retrieve must be one of fully_qualified, name_and_extension, name_only"):
        ForeachFileOperator(task_id="files", folder="/tmp", retrieve="all")
