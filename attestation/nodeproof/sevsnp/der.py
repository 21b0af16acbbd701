"""The elements of DER (X.690, section 8.1), cut out of bytes that a parser has already accepted.

What is cut out is what was received, to the byte. Nothing is checked here.
"""

from __future__ import annotations

_LONG_LENGTH = 0x80


def elements(data: bytes) -> list[bytes]:
    """Return the elements inside the constructed element at the start, each with tag and length."""
    position, end = _content(data, 0)
    found = []
    while position < end:
        _, after = _content(data, position)
        found.append(data[position:after])
        position = after
    return found


def _content(data: bytes, position: int) -> tuple[int, int]:
    """Return where the content of the element at a position begins and ends."""
    start = position + 2
    length = data[position + 1]
    if length >= _LONG_LENGTH:
        first, start = start, start + length - _LONG_LENGTH
        length = int.from_bytes(data[first:start], "big")
    return start, start + length
