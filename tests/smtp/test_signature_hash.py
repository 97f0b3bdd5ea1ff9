"""The hash of a certificate's signature is found, or none is; ``test_tls`` has real certificates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.smtp.signature_hash import usual_signature_hash

HASHES = ("sha256", "sha384", "sha512")


def element(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2)
    return bytes([tag]) + length + content


def certificate(identifier, signed=b"to be signed"):
    algorithm = element(0x30, element(0x06, bytes.fromhex(identifier)) + b"\x05\x00")
    return element(0x30, element(0x30, signed) + algorithm + element(0x03, b"\x00signature"))


@pytest.mark.parametrize("signed", [b"", b"s" * 127, b"s" * 128, b"s" * 2000])
def test_it_is_found_after_content_of_any_length(signed):
    assert usual_signature_hash(certificate("2a864886f70d01010c", signed)) == "sha384"


@pytest.mark.parametrize(
    "identifier",
    ["", "2a864886f70d010105", "2a864886f70d01010a", "2b6570"],
    ids=["empty", "RSA with SHA-1", "RSASSA-PSS", "Ed25519"],
)
def test_other_signatures_are_unusual(identifier):
    assert usual_signature_hash(certificate(identifier)) is None


@given(st.binary(max_size=40))
def test_bytes_that_are_no_certificate_have_none(content):
    assert usual_signature_hash(content) in {None, *HASHES}


@given(st.data())
def test_a_broken_certificate_raises_no_error(data):
    broken = bytearray(certificate("2a8648ce3d040302"))
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), min_size=1, max_size=4)):
        broken[place] = data.draw(st.integers(0, 255))
    del broken[data.draw(st.integers(0, len(broken))) :]
    assert usual_signature_hash(bytes(broken)) in {None, *HASHES}
