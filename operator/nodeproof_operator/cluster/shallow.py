"""JSON that Python can read, whatever a kubelet has put into its Node.

``metadata.managedFields`` is kept as it was sent: a kubelet can nest it 9,000 levels deep, and then
every Python reader of that Node, or of a list that holds it, ends in a RecursionError. Nothing that
the operator looks at lies deep, so what does is emptied before decoding.
"""

from __future__ import annotations

import re

MAX_DEPTH = 100
"""Levels that are kept. Real objects have below 50; Python reads somewhat below 1,000."""

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_STRINGS = re.compile(_STRING, re.DOTALL)
_TOKENS = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def shallow(data: bytes) -> bytes:
    """Return the same JSON with empty brackets for what lies deeper than ``MAX_DEPTH``."""
    return _pruned(data) if _is_deep(data) else data


def _is_deep(data: bytes) -> bool:
    # Each turn takes at least the innermost level away; all of it at the speed of C.
    brackets = _STRINGS.sub(b"", data).translate(None, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return bool(brackets)


def _pruned(data: bytes) -> bytes:
    kept = bytearray()
    depth = start = 0
    for token in _TOKENS.finditer(data):
        if token[0] in {b"{", b"["}:
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += data[start : token.end()]
        elif token[0] in {b"}", b"]"}:
            if depth == MAX_DEPTH + 1:
                start = token.start()
            depth -= 1
    # What is cut off within the depths stays cut off: no JSON, but none to fall into either.
    return bytes(kept + data[start:] if depth <= MAX_DEPTH else kept)
