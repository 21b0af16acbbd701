from __future__ import annotations

import pytest

from nodeproof.sevsnp.der import elements

NULL = b"\x05\x00"


def test_a_structure_without_content_has_no_elements() -> None:
    assert elements(b"\x30\x00") == []


def test_elements_keep_tag_and_length() -> None:
    assert elements(b"\x30\x05\x02\x01\x07" + NULL) == [b"\x02\x01\x07", NULL]


def test_what_follows_the_structure_is_not_part_of_it() -> None:
    assert elements(b"\x30\x02" + NULL + b"behind") == [NULL]


@pytest.mark.parametrize("size", [0x7F, 0x80, 0xFF, 0x100, 0x10000])
def test_lengths_may_take_several_bytes(size: int) -> None:
    text = element(0x0C, bytes(size))
    assert elements(element(0x30, text + NULL)) == [text, NULL]


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = size.to_bytes(size.bit_length() // 8 + 1, "big").lstrip(b"\0")
    prefix = b"" if size < 0x80 else bytes((0x80 | len(length),))
    return bytes((tag,)) + prefix + length + content
