from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from nodeproof.binding import DOMAIN, REPORT_DATA_SIZE, report_data

fields = st.tuples(st.binary(max_size=64), st.text(max_size=64), st.binary(max_size=64))


def test_fills_report_data_exactly() -> None:
    assert len(report_data(b"challenge", "boot")) == REPORT_DATA_SIZE


def test_is_the_documented_encoding() -> None:
    encoded = (
        b"\x00\x00\x00\x1c"
        b"nodeproof.dev/report-data/v1"
        b"\x00\x00\x00\x09challenge"
        b"\x00\x00\x00\x04boot"
        b"\x00\x00\x00\x00"
    )
    assert report_data(b"challenge", "boot") == hashlib.sha512(encoded).digest()


def test_is_not_a_bare_digest_of_the_fields() -> None:
    bare = hashlib.sha512(b"challenge" + b"boot").digest()
    assert report_data(b"challenge", "boot") != bare


def test_the_length_counts_bytes_of_the_boot_id() -> None:
    encoded = (
        (b"\x00\x00\x00\x1c" + DOMAIN) + bytes(4) + (b"\x00\x00\x00\x02" + "é".encode()) + bytes(4)
    )
    assert report_data(b"", "é") == hashlib.sha512(encoded).digest()


def test_a_shifted_boundary_is_another_answer() -> None:
    assert report_data(b"ab", "c") != report_data(b"a", "bc")


def test_a_node_key_is_another_answer() -> None:
    assert report_data(b"a", "b", b"key") != report_data(b"a", "b")


def test_the_domain_cannot_be_moved_into_a_field() -> None:
    assert report_data(DOMAIN, "") != report_data(b"", DOMAIN.decode())


@given(fields, fields)
def test_different_fields_give_different_answers(
    one: tuple[bytes, str, bytes], other: tuple[bytes, str, bytes]
) -> None:
    assert (report_data(*one) == report_data(*other)) == (one == other)
