"""Attachments: found, named and measured when they are created; opened only while they are read."""

import io
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail.attachments import Attachment, expand
from airflow_smtp_cm.mail.errors import InvalidAttachment, SourceChanged
from tests.mail.strategies import controls


class StoredObject:
    """A file in object storage, like Airflow's ObjectStoragePath; it records each opening."""

    def __init__(self, data, *, name="report.csv", most=None):
        self.data = data
        self.name = name
        self.most = most
        self.opened = []

    def __str__(self):
        return f"store://bucket/{self.name}"

    def stat(self):
        return SimpleNamespace(st_size=len(self.data))

    def open(self, mode):
        assert mode == "rb"
        file = io.BytesIO(self.data)
        if self.most:
            read = file.read
            file.read = lambda count: read(min(count, self.most))
        self.opened.append(file)
        return file

    @property
    def is_open(self):
        return any(not file.closed for file in self.opened)


def missing(path):
    return f'Either the file "{path}" does not exist or you do not have permissions to access the file.'


def problems_of(make, *args, **kwargs):
    with pytest.raises(InvalidAttachment) as caught:
        make(*args, **kwargs)
    return caught.value.problems


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "c.txt", "sub/d.csv", "sub/deeper/e.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def names(items):
    return [attachment.name for attachment in expand(items)]


def test_a_path_determines_name_size_and_media_type(folder):
    for source in (str(folder / "a.csv"), folder / "a.csv", "a.csv"):
        attachment = Attachment(source)
        assert (attachment.name, attachment.size, attachment.media_type) == ("a.csv", 5, "text/csv")
        assert b"".join(attachment.blocks(2)) == b"a.csv"


def test_a_path_like_object_is_used_as_its_path(folder):
    class OnlyAPath(os.PathLike):
        def __fspath__(self):
            return str(folder / "a.csv")

    assert Attachment(OnlyAPath()).name == "a.csv"


@pytest.mark.usefixtures("folder")
def test_name_and_media_type_can_be_given():
    attachment = Attachment("a.csv", "Bericht.txt", "text/csv; charset=utf-8")
    assert (attachment.name, attachment.media_type) == ("Bericht.txt", "text/csv; charset=utf-8")


def test_bytes_need_a_name():
    assert b"".join(Attachment(b"12345", "x.bin").blocks(2)) == b"12345"
    assert problems_of(Attachment, b"12345") == (
        'An attachment has no name. Set one: Attachment(content, "sales.csv").',
    )


@pytest.mark.parametrize("content", [io.BytesIO(b"1,2"), io.StringIO("1,2"), bytearray(b"1,2"), memoryview(b"1,2")])
def test_a_content_that_is_not_bytes_is_an_error_that_shows_the_right_call(content):
    expected = (
        f"An attachment must be a path or a URL, not {type(content).__name__}. "
        'For a content in memory, use its bytes and a name: Attachment(content, "sales.csv").'
    )
    for make in (Attachment, expand, lambda content: expand([content]), lambda content: Attachment(content, "a.csv")):
        assert problems_of(make, content) == (expected,)


def test_an_open_file_is_an_error_that_shows_the_right_call(tmp_path):
    (tmp_path / "sales.csv").write_text("1,2")
    with (tmp_path / "sales.csv").open("rb") as file:
        (problem,) = problems_of(expand, [file])

    assert problem.endswith('use its bytes and a name: Attachment(content, "sales.csv").')


def test_what_is_no_source_is_an_error():
    assert problems_of(expand, [5]) == ("An attachment must be a path or a URL, not int.",)


def test_a_stored_object_is_read_in_full_blocks_and_closed():
    """A remote file may return fewer bytes than requested."""
    stored = StoredObject(b"0123456789", most=3)
    attachment = Attachment(stored)
    assert not stored.is_open
    blocks = attachment.blocks(4)
    assert next(blocks) == b"0123"
    assert stored.is_open
    assert list(blocks) == [b"4567", b"89"]
    assert not stored.is_open


def test_a_file_is_closed_when_reading_stops_early():
    stored = StoredObject(b"0123456789")
    blocks = Attachment(stored).blocks(4)
    next(blocks)
    blocks.close()
    assert not stored.is_open


def test_a_file_that_has_become_shorter_is_an_error():
    stored = StoredObject(b"0123456789")
    blocks = Attachment(stored).blocks(4)
    stored.data = b"012345"
    assert next(blocks) == b"0123"
    assert next(blocks) == b"45"
    with pytest.raises(SourceChanged, match=r'"report\.csv" had 10 bytes .* and has 6 now'):
        next(blocks)
    assert not stored.is_open


def test_a_file_that_has_grown_is_cut_at_its_announced_size():
    stored = StoredObject(b"0123456789")
    attachment = Attachment(stored)
    stored.data = b"0123456789ABC"
    assert b"".join(attachment.blocks(4)) == b"0123456789"


def test_a_network_fault_is_not_an_error_of_the_message():
    """It must not become an error of the message, which would never be retried."""

    class Unreachable(StoredObject):
        def stat(self):
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        Attachment(Unreachable(b""))


def test_a_missing_file_is_rejected_with_the_text_of_ssis(folder):
    assert problems_of(Attachment, "x.csv") == (missing("x.csv"),)
    assert problems_of(Attachment, folder / "a.csv" / "x") == (missing(folder / "a.csv" / "x"),)


def test_an_unreadable_file_is_refused():
    class Closed(StoredObject):
        def open(self, _mode):
            raise PermissionError

    assert problems_of(Attachment, Closed(b"x")) == (missing("store://bucket/report.csv"),)


@pytest.mark.usefixtures("folder")
def test_a_folder_or_pipe_is_rejected():
    """Opening a pipe would block until a process writes into it."""
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    for source in ("sub", "pipe", "socket"):
        (problem,) = problems_of(Attachment, source)
        assert f'"{source}" is not a file' in problem


@given(st.text(st.characters(exclude_categories=["C"]), max_size=5), controls)
def test_a_control_character_in_a_file_name_is_refused(name, control):
    (problem,) = problems_of(Attachment, b"", f"a{name}{control}")
    assert f"the control character U+{ord(control):04X}" in problem


def test_a_file_name_that_is_not_unicode_needs_another(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_bytes(b"x")
    assert "U+DCE9" in problems_of(Attachment, path)[0]
    assert Attachment(path, "café.txt").size == 1


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.pdf", "application/pdf"),
        ("a.CSV", "text/csv"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.csv.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.tar.bz2", "application/x-bzip2"),
        ("a.json.xz", "application/x-xz"),
        ("a.csv.br", "application/octet-stream"),
        ("a.eml", "application/octet-stream"),
        ("a.mht", "application/octet-stream"),
        ("unknown", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("data:x/y,a", "application/octet-stream"),
    ],
)
def test_the_media_type_is_guessed_from_the_name(name, media_type):
    assert Attachment(b"", name).media_type == media_type


@pytest.mark.parametrize(
    "media_type", ["", "text", "text/", "text/csv; charset", "text/csv\r\nX: y", "a/b c", "t/" + "x" * 300]
)
def test_a_malformed_media_type_is_refused(media_type):
    (problem,) = problems_of(Attachment, b"", "a", media_type)
    assert "is not a media type" in problem


@pytest.mark.parametrize("media_type", ["message/rfc822", "Message/Partial", "multipart/mixed"])
def test_a_media_type_that_base64_is_not_allowed_for_is_refused(media_type):
    (problem,) = problems_of(Attachment, b"", "a.eml", media_type)
    assert "RFC 2046" in problem


def test_all_problems_of_an_attachment_are_reported_together():
    assert len(problems_of(Attachment, "/missing", "a\n", "x")) == 3


@pytest.mark.usefixtures("folder")
def test_a_line_holds_several_paths():
    assert names("b.csv|a.csv") == ["b.csv", "a.csv"]
    assert names(" b.csv | | a.csv | ") == ["b.csv", "a.csv"]


@pytest.mark.parametrize("nothing", [None, "", [], " | "])
def test_an_empty_value_yields_no_attachment(nothing):
    assert expand(nothing) == ()


def test_a_list_may_contain_all_kinds_of_sources(folder):
    stored = StoredObject(b"")
    known = Attachment(b"", "known")
    items = ["c.txt|a.csv", folder / "b.csv", stored, known]
    assert names(items) == ["c.txt", "a.csv", "b.csv", "report.csv", "known"]
    assert names(folder / "b.csv") == ["b.csv"]
    assert names(stored) == ["report.csv"]
    assert expand(known) == (known,)


def test_a_pattern_yields_files_in_sorted_order(folder):
    assert names("*.csv") == ["a.csv", "b.csv"]
    assert names("?.csv|[c].txt") == ["a.csv", "b.csv", "c.txt"]
    assert names(f"{folder}/*") == ["a.csv", "b.csv", "c.txt"]
    assert names("**/*.csv") == ["a.csv", "b.csv", "d.csv", "e.csv"]


@pytest.mark.usefixtures("folder")
def test_a_file_whose_name_looks_like_a_pattern_is_attached():
    Path("[a].csv").write_text("")
    assert names("[a].csv") == ["[a].csv"]


@pytest.mark.usefixtures("folder")
def test_a_path_object_is_not_a_pattern():
    assert problems_of(expand, Path("*.csv")) == (missing("*.csv"),)


@pytest.mark.usefixtures("folder")
def test_a_broken_link_that_a_pattern_finds_is_an_error():
    Path("z.csv").symlink_to("nowhere")
    assert problems_of(expand, "*.csv") == (missing("z.csv"),)


@pytest.mark.usefixtures("folder")
def test_every_invalid_attachment_is_reported():
    assert problems_of(expand, ["x.csv|*.pdf", "a.csv", "y.csv"]) == (
        missing("x.csv"),
        'No file matches the pattern "*.pdf".',
        missing("y.csv"),
    )


@pytest.mark.parametrize("path", ["a\0b", "a\0/*", "*\0"])
def test_a_path_that_no_file_can_have_is_rejected(path):
    assert "U+0000" in problems_of(expand, path)[0]
