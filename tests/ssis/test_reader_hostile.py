"""Damaged and hostile files: an error with the reason, and the other files are read."""

import os
import re
import shutil
import struct
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.ssis.model import Project, Unreadable
from airflow_smtp_cm.ssis.reading import ispac, safe_xml
from airflow_smtp_cm.ssis.reading.safe_xml import NotReadableError, parse
from tests.ssis.packages import CHECK_FEEDS, JOINERS, NIGHTLY_SALES, ODD, PACKAGES
from tests.ssis.reading import build_ispac, read_all, read_package, unreadable

TEXT = JOINERS.read_text(encoding="utf-8")
DECLARATION = '<?xml version="1.0"?>'


@pytest.fixture
def why(tmp_path):
    """A function that returns why a package with this content cannot be read."""

    def why(content):
        path = tmp_path / "Damaged.dtsx"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        (result,) = unreadable(path)
        assert result.source == path
        assert result.what_to_do
        return result.why

    return why


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.replace(DECLARATION, '<?xml version="1.0" encoding="utf-16"?>').encode("utf-16"),
        TEXT.replace(DECLARATION, '<?xml version="1.0" encoding="Windows-1252"?>').encode("cp1252"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
    ],
    ids=["UTF-8 with BOM", "UTF-16", "UTF-16 declared", "Windows-1252", "CRLF", "CRLF twice", "CR"],
)
def test_encodings_and_line_ends_do_not_change_the_result(tmp_path, content):
    path = tmp_path / "Joiners.dtsx"
    path.write_bytes(content)
    package = read_package(path)
    expected = read_package(JOINERS)
    if b"\r\r\n" in content:  # every line end is now doubled, also those inside values
        assert [e.mail for e in package.root.executables] == [e.mail for e in expected.root.executables]
    else:
        assert package.root == expected.root


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\0" * 4096, "empty"),
        (b" \r\n", "empty"),
        (TEXT[:2000], "not well-formed XML"),
        (TEXT.encode("cp1252"), "not well-formed XML"),
        (b"PK\3\4 something", "not well-formed XML"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "unknown encoding: klingon"),
        ("<html/>", "its root element is html"),
        ('<DTS:Executable xmlns:DTS="www.microsoft.com/SqlServer/Dts"/>', "PackageFormatVersion is missing"),
        (TEXT.replace(">6<", ">9<"), "PackageFormatVersion is 9"),
        (TEXT.replace('To="Package\\Tell facilities"', 'To="Package\\Gone"'), r"has Package\Gone as its To end"),
        (TEXT.replace("Package\\Tell facilities", "Package\\Each joiner"), "have the refId Package\\Each joiner"),
        (TEXT.replace('DTS:Value="2"', 'DTS:Value="7"'), "The property Value of Package.PrecedenceConstraints"),
        (TEXT.replace('DTS:Value="2"', f'DTS:Value="{"9" * 5000}"'), "not a number"),
        (TEXT.replace('FailPackageOnFailure="True"', 'FailPackageOnFailure="maybe"'), "neither true nor false"),
        (TEXT.replace('Priority="High"', 'Priority="Urgent"'), "The property Priority"),
    ],
)
def test_damage_is_reported(why, content, reason):
    assert reason in why(content)


def test_line_of_the_damage_is_reported(why):
    assert "line 3" in why('<?xml version="1.0"?>\n<a>\n<b></a>')


@pytest.mark.parametrize(
    "declaration",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>',
    ],
)
def test_document_types_are_rejected(why, declaration):
    assert "document type" in why(TEXT.replace(DECLARATION, DECLARATION + declaration))


def test_undeclared_entities_are_rejected(why):
    assert "not well-formed XML" in why(TEXT.replace("Willkommen!", "&willkommen;"))


def test_depth_is_also_limited_in_skipped_elements(why):
    deep = "<a>" * 5000 + "</a>" * 5000
    assert "nested" in why(deep)
    skipped = f"<DesignTimeProperties>{deep}</DesignTimeProperties></DTS:Executable>"
    assert "nested" in why(TEXT[: TEXT.rindex("</DTS:Executable>")] + skipped)


def test_number_of_elements_is_limited(monkeypatch):
    monkeypatch.setattr(safe_xml, "MOST_ELEMENTS", 100)
    parse(b"<a>" + b"<b/>" * 99 + b"</a>")
    with pytest.raises(NotReadableError, match="more than 100 elements"):
        parse(b"<a>" + b"<b/>" * 100 + b"</a>")
    parse(b"<a><DesignTimeProperties>" + b"<b/>" * 1000 + b"</DesignTimeProperties></a>")


def test_size_is_limited(tmp_path):
    with (tmp_path / "large.dtsx").open("wb") as file:
        file.truncate(safe_xml.MOST_BYTES + 1)
    assert [result.why for result in unreadable(tmp_path)] == ["It is larger than 128 MB."]


def test_containers_as_deep_as_the_limit_are_read(tmp_path):
    """The recursion limit allows every depth up to the limit."""
    name = "<DTS:Property DTS:Name='ObjectName'>a</DTS:Property>"
    path = tmp_path / "deep.dtsx"
    path.write_text(
        '<DTS:Executable xmlns:DTS="www.microsoft.com/SqlServer/Dts">'
        "<DTS:Property DTS:Name='PackageFormatVersion'>3</DTS:Property>"
        + f"<DTS:Executable>{name}" * (safe_xml.MOST_DEPTH - 2)
        + "</DTS:Executable>" * (safe_xml.MOST_DEPTH - 1)
    )
    assert read_package(path).format_version == 3


@pytest.mark.parametrize(
    ("file", "level", "help_"),
    [
        ("EncryptAllWithPassword.dtsx", "EncryptAllWithPassword", "/DECRYPT password"),
        ("EncryptAllWithUserKey.dtsx", "EncryptAllWithUserKey", "As that user"),
    ],
)
def test_encrypted_packages_are_reported_with_their_level_and_what_to_do(file, level, help_):
    (result,) = unreadable(ODD / file)
    assert level in result.why
    assert help_ in result.what_to_do
    assert "DontSaveSensitive" in result.what_to_do


@pytest.fixture
def archive(tmp_path):
    return build_ispac(tmp_path / "built.ispac", NIGHTLY_SALES)


def add(archive, name, content=b"<a/>"):
    with ZipFile(archive, "a", ZIP_DEFLATED) as file:
        file.writestr(name, content)


@pytest.mark.parametrize(
    "name",
    ["../../outside.dtsx", "/etc/outside.dtsx", "..%2f..%2foutside.dtsx", "a/../../outside.dtsx", "C:%5Coutside.dtsx",
     "%5C%5Cserver%5Coutside.dtsx"],
)  # fmt: skip
def test_parts_outside_the_archive_are_rejected(archive, name):
    add(archive, name, CHECK_FEEDS.read_bytes())
    failure, project = read_all(archive)
    assert "points outside the archive" in failure.why
    assert failure.source.is_relative_to(archive)
    assert len(project.packages) == 4


def test_archive_in_an_archive_is_rejected(archive):
    add(archive, "inner.ispac", archive.read_bytes())
    failure, _ = read_all(archive)
    assert (failure.source, failure.why) == (archive / "inner.ispac", "It is an archive within the archive.")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["LoadSales.dtsx", "loadsales.dtsx", "Load%53ales.dtsx"])
def test_duplicate_name_is_reported(archive, name):
    add(archive, name)
    failure, project = read_all(archive)
    assert "contains it twice" in failure.why
    assert len(project.packages) == 4


def test_zip_bomb_is_not_unpacked(archive):
    add(archive, "bomb.dtsx", b" " * 30_000_000)
    failure, _ = read_all(archive)
    assert failure.source == archive / "bomb.dtsx"
    assert "Its unpacked size is 28 MB" in failure.why


def test_pipe_with_the_name_of_an_archive_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.ispac")
    assert [result.why for result in unreadable(tmp_path)] == ["It is not a regular file."]


def test_size_of_an_archive_is_limited(archive, monkeypatch):
    monkeypatch.setattr(ispac, "MOST_PARTS", 3)
    assert [result.source for result in unreadable(archive)] == [archive]


def test_part_with_a_wrong_checksum_is_reported(archive):
    with ZipFile(archive) as file:
        start = file.getinfo("LoadSales.dtsx").header_offset
    data = bytearray(archive.read_bytes())
    data[start + 200] ^= 0xFF
    archive.write_bytes(data)
    failure, project = read_all(archive)
    assert failure.source == archive / "LoadSales.dtsx"
    assert "line ends" in failure.what_to_do
    assert len(project.packages) == 3


def test_archive_with_converted_line_ends_is_reported(archive):
    archive.write_bytes(archive.read_bytes().replace(b"\n", b"\r\n"))
    results = read_all(archive)
    assert all(isinstance(result, Unreadable) for result in results)
    assert "*.ispac binary" in results[0].what_to_do


def test_encrypted_part_is_reported(archive):
    data = bytearray(archive.read_bytes())
    entry = data.rindex(b"PK\1\2", 0, data.index(b"LoadSales.dtsx", data.index(b"PK\1\2")))
    (flags,) = struct.unpack_from("<H", data, entry + 8)
    struct.pack_into("<H", data, entry + 8, flags | 1)
    archive.write_bytes(data)
    failure, project = read_all(archive)
    assert failure.why == "It is encrypted in the archive."
    assert len(project.packages) == 3


def test_text_with_the_name_of_an_archive_is_reported(tmp_path):
    (tmp_path / "a.ispac").write_text("text")
    assert "damaged" in unreadable(tmp_path)[0].why


def damaged(data, draw):
    """Return the data with some bytes changed, removed or repeated."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(0, 40))
        data[start : start + length] = draw(st.binary(max_size=8) | st.sampled_from([b"<", b"&#0;", b"\r\n", b'"']))
    return bytes(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_any_damage_yields_a_project_or_a_reason(tmp_path, data):
    file = data.draw(st.sampled_from([*PACKAGES, *NIGHTLY_SALES.iterdir()]))
    path = tmp_path / file.name
    path.write_bytes(damaged(file.read_bytes(), data.draw))
    assert {type(result) for result in read_all(path)} <= {Project, Unreadable}
    path.unlink()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_any_damage_of_an_archive_yields_a_project_or_a_reason(tmp_path, data):
    whole = tmp_path / "whole.ispac"
    if not whole.exists():
        build_ispac(whole, NIGHTLY_SALES)
    path = tmp_path / "damaged.ispac"
    path.write_bytes(damaged(whole.read_bytes(), data.draw))
    assert {type(result) for result in read_all(path)} <= {Project, Unreadable}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_any_values_yield_a_package_or_a_reason(tmp_path, data):
    """Well-formed, but with other values."""
    text = data.draw(st.sampled_from(PACKAGES)).read_text(encoding="utf-8")
    places = list(re.finditer(r'(?<==")[^"<>]*(?=")|(?<=>)[^<>]+(?=</)', text))
    for place in sorted(data.draw(st.lists(st.sampled_from(places), max_size=5)), key=lambda m: -m.start()):
        value = data.draw(st.sampled_from(["", "0", "-1", "True", "{}", "\\", "[]", "²", "1e9", "9" * 30, "a;b"]))
        text = text[: place.start()] + value + text[place.end() :]
    path = tmp_path / "any.dtsx"
    path.write_text(text, encoding="utf-8")
    assert {type(result) for result in read_all(path)} <= {Project, Unreadable}


def test_damage_of_one_file_does_not_affect_the_others(tmp_path):
    shutil.copy(CHECK_FEEDS, tmp_path)
    shutil.copy(ODD / "EncryptAllWithPassword.dtsx", tmp_path)
    (tmp_path / "Aborted.dtsx").write_text(TEXT[:3000])
    assert [type(result) for result in read_all(tmp_path)] == [Unreadable, Project, Unreadable]
