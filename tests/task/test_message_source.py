"""The sources of text and attachments: direct input, files, connections, object storage, Variables."""

import codecs
import json
import logging
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath, Variable

from airflow_smtp_cm.mail.attachments import Attachment
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.task.message_source import MessageSourceType, locate_attachments, read_message
from tests.airflow_versions import AIRFLOW, looks_variables_up

TEXT = "Größe: 5 €\n"


def from_file(source):
    return read_message(MessageSourceType.FILE_CONNECTION, str(source))


def from_variable(name):
    return read_message(MessageSourceType.VARIABLE, name)


def problems_of_file(source):
    with pytest.raises(InvalidMessage) as caught:
        from_file(source)
    return "\n".join(caught.value.problems)


def problems_of_attachments(attachments):
    with pytest.raises(InvalidMessage) as caught:
        locate_attachments(attachments)
    return caught.value.problems


@pytest.fixture
def body(tmp_path):
    path = tmp_path / "body.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def connection(monkeypatch):
    """Return a function that defines the connection body_file."""

    def define(**given):
        monkeypatch.setenv("AIRFLOW_CONN_BODY_FILE", json.dumps({"conn_type": "fs"} | given))

    return define


# --- types


@pytest.mark.parametrize("name", ["DirectInput", "FileConnection", "Variable"])
def test_types_have_the_names_of_ssis(name):
    assert MessageSourceType(name).value == name


@pytest.mark.parametrize("name", ["Direct Input", "{{ params.kind }}", "", None, 1])
def test_unknown_type_is_an_error_that_lists_the_three(name):
    with pytest.raises(InvalidMessage, match=r"is none of DirectInput, FileConnection, Variable\.$"):
        MessageSourceType(name)


@pytest.mark.parametrize("text", ["", TEXT, "body.txt", "/etc/hostname", "file:///etc/hostname", "{{ ds }}"])
def test_direct_input_is_the_text_even_if_it_looks_like_a_path(text):
    assert read_message(MessageSourceType.DIRECT_INPUT, text) == text


# --- files


def test_path_is_read(body):
    assert from_file(body) == TEXT


def test_relative_path_is_read(body, monkeypatch):
    monkeypatch.chdir(body.parent.parent)

    assert from_file(Path(body.parent.name, body.name)) == TEXT


def test_file_in_the_working_folder_needs_no_connection(body, monkeypatch):
    monkeypatch.chdir(body.parent)

    assert from_file(body.name) == TEXT


def test_url_of_object_storage_is_read(body):
    assert from_file(body.as_uri()) == TEXT


@pytest.mark.parametrize("conn_type", ["fs", "file"])
def test_file_connection_is_read(body, connection, conn_type):
    connection(conn_type=conn_type, extra={"path": str(body)})

    assert from_file("body_file") == TEXT


def test_file_connection_may_name_a_url(body, connection):
    connection(extra={"path": body.as_uri()})

    assert from_file("body_file") == TEXT


def test_connection_of_another_type_is_an_error_with_the_text_of_ssis(connection):
    connection(conn_type="smtp_cm", host="mail.corp.test")

    assert problems_of_file("body_file").startswith('Connection "body_file" is not of type File.')


no_object = pytest.param(
    [1],
    marks=pytest.mark.skipif((3, 0) <= AIRFLOW < (3, 2), reason="Airflow 3.0 and 3.1 do not read such a connection"),
)


@pytest.mark.parametrize("extra", [None, {}, {"path": ""}, {"path": 5}, no_object])
def test_connection_without_path_is_an_error_with_the_text_of_ssis(connection, extra):
    connection(extra=extra)

    assert problems_of_file("body_file").startswith('Connection "body_file" is empty.')


def test_empty_source_is_an_error_with_the_text_of_ssis():
    assert problems_of_file("").startswith('Connection "" is empty.')


@pytest.mark.parametrize("where", ["{}", "file://{}"])
def test_missing_file_is_an_error_with_the_text_of_ssis(tmp_path, where):
    source = where.format(tmp_path / "none.txt")

    assert problems_of_file(source).startswith(
        f'On operation "reading the message source", file "{source}" does not exist.'
    )


def test_missing_file_of_a_connection_is_named(tmp_path, connection):
    path = tmp_path / "none.txt"
    connection(extra={"path": str(path)})

    assert f'file "{path}" does not exist.' in problems_of_file("body_file")


def test_source_that_is_neither_a_file_nor_a_connection_is_an_error_that_says_so():
    assert problems_of_file("none") == (
        'On operation "reading the message source", file "none" does not exist. There is no connection with this id, '
        "either."
    )


@pytest.mark.parametrize("source", ["Dear all,\n" * 500, "/" + "x" * 300, "a\0b", "a/b\0c"], ids=repr)
def test_source_that_cannot_be_a_path_is_an_error(source):
    """For example, the text itself by mistake; the error contains only its beginning."""
    problem = problems_of_file(source)

    assert "does not exist" in problem
    assert "\n" not in problem
    assert len(problem) < 3000


def test_folder_is_an_error(tmp_path):
    assert "Is a directory" in problems_of_file(tmp_path)


def test_network_error_is_not_reported_as_a_missing_file(body, monkeypatch):
    """It is transient: the task is retried."""

    def broken(*_):
        raise ConnectionResetError("gone")

    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(ConnectionResetError):
        from_file(body)


@pytest.mark.parametrize("url", ["s3://bucket/key", "nonsense://x/y"])
def test_storage_without_its_provider_is_not_reported_as_a_missing_file(url):
    """A package is missing, not a file: for text and attachments."""
    for problem in (problems_of_file(url), *problems_of_attachments([url])):
        assert problem.startswith(f'"{url}" cannot be opened here')
        assert "needs the Airflow provider" in problem


# --- encodings


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "UTF-16 LE", "UTF-16 BE", "Windows-1252"],
)
def test_text_is_decoded_from_the_encodings_of_windows(body, content):
    body.write_bytes(content)

    assert from_file(body) == TEXT


def test_guess_of_the_encoding_is_logged(body, caplog):
    body.write_bytes(TEXT.encode("cp1252"))
    with caplog.at_level(logging.WARNING):
        from_file(body)

    (record,) = caplog.records
    assert record.getMessage() == f"The message source {body} is not UTF-8. It is decoded as Windows-1252."


@pytest.mark.parametrize(
    "content",
    [codecs.BOM_UTF8 + b"\xff", codecs.BOM_UTF16_LE + b"a", codecs.BOM_UTF16_LE + b"\x00\xd8\x20\x00", b"\x81\x8d"],
    ids=["UTF-8", "half a UTF-16 unit", "lone surrogate", "not even Windows-1252"],
)
def test_bytes_that_are_not_text_are_an_error(body, content):
    """They are not replaced by question marks."""
    body.write_bytes(content)

    assert f'The file "{body}" is n' in problems_of_file(body)


def test_line_ends_stay_as_they_are(body):
    body.write_bytes(b"a\r\nb\nc\r")

    assert from_file(body) == "a\r\nb\nc\r"


def test_large_file_is_read_whole(body):
    body.write_text(TEXT * 500_000, encoding="utf-8")

    assert from_file(body) == TEXT * 500_000


def test_empty_file_is_an_empty_text(body):
    body.write_bytes(b"")

    assert from_file(body) == ""


# --- Variables


@pytest.mark.parametrize("text", [TEXT, "", '{"a": 1}', "12"])
def test_text_of_a_variable_is_read(monkeypatch, text):
    monkeypatch.setenv("AIRFLOW_VAR_BODY", text)

    assert from_variable("body") == text


@looks_variables_up
@pytest.mark.parametrize("name", ["none", "", "a\nb"])
def test_missing_variable_is_an_error(name):
    with pytest.raises(InvalidMessage, match=r'^The Variable ".*" does not exist\.'):
        from_variable(name)


def test_variable_that_is_not_text_is_an_error_with_the_text_of_ssis(monkeypatch):
    """Airflow's own Variables are text; a secrets backend may contain any type."""
    monkeypatch.setattr(Variable, "get", lambda *_: {"a": 1})
    with pytest.raises(InvalidMessage, match=r'^Variable "body" is not of type string\.$'):
        from_variable("body")


# --- attachments


@pytest.mark.parametrize("nothing", [None, "", [], ()])
def test_no_attachments(nothing):
    assert locate_attachments(nothing) == ()


def test_line_can_have_several_paths():
    assert locate_attachments("/a/b.txt | /c d.txt||out/*.csv|") == ("/a/b.txt", "/c d.txt", "out/*.csv")


def test_list_can_contain_lines():
    assert locate_attachments(["/a|/b", Path("/c|d")]) == ("/a", "/b", Path("/c|d"))


def test_urls_become_objects_that_can_be_opened(body):
    path, located = locate_attachments(f"{body}|{body.as_uri()}")

    assert path == str(body)
    assert isinstance(located, ObjectStoragePath)
    assert located.read_text(encoding="utf-8") == TEXT


def test_single_attachment_need_not_be_in_a_list(body):
    for thing in (body, ObjectStoragePath(body.as_uri()), Attachment(b"x", "x.bin")):
        assert locate_attachments(thing) == (thing,)


def test_error_lists_every_item_that_is_not_an_attachment():
    assert problems_of_attachments([1, "/a", ["/b"], None]) == (
        "An attachment must be a path or a URL, not int.",
        "An attachment must be a path or a URL, not list.",
        "An attachment must be a path or a URL, not NoneType.",
    )


def test_stored_object_is_attached_unchanged(tmp_path):
    """It is read with fsspec, like every object storage."""
    file = tmp_path / "Übersicht.csv"
    file.write_bytes(bytes(range(256)) * 1000)
    message = MailMessage(from_email="a@x.test", to="b@x.test", attachments=locate_attachments(f"file://{file}"))

    (attachment,) = message.attachments
    assert (attachment.name, attachment.media_type, attachment.size) == ("Übersicht.csv", "text/csv", 256_000)
    assert b"".join(attachment.blocks(60_000)) == file.read_bytes()


def test_missing_stored_object_is_an_error_with_the_text_of_ssis(tmp_path):
    url = (tmp_path / "none.csv").as_uri()
    with pytest.raises(InvalidMessage, match=r'Either the file ".*none\.csv" does not exist or you do not have'):
        MailMessage(from_email="a@x.test", to="b@x.test", attachments=locate_attachments(url))
