from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof_operator.cluster.shallow import MAX_DEPTH, shallow

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nested(depth: int, key: str = "f:x") -> bytes:
    return b"".join([b'{"%s":' % key.encode() * depth, b"{}", b"}" * depth])


def depth_of(value: Any) -> int:
    depth = 0
    while value:
        value = next(iter(value.values()))
        depth += 1
    return depth


@given(json_values)
def test_leaves_ordinary_json_alone(value: Any) -> None:
    data = json.dumps(value).encode()
    assert shallow(data) == data


def test_keeps_all_levels_that_real_objects_have() -> None:
    data = nested(MAX_DEPTH - 1)
    assert shallow(data) == data


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 9_000, 200_000])
def test_empties_what_lies_too_deep(depth: int) -> None:
    assert depth_of(json.loads(shallow(nested(depth)))) == MAX_DEPTH


@pytest.mark.parametrize("key", ["}", "]}", "{", r"\"}", r"\\", '\\"', "}\\u007d"])
def test_is_not_fooled_by_brackets_in_names(key: str) -> None:
    assert depth_of(json.loads(shallow(nested(9_000, key)))) == MAX_DEPTH


def test_keeps_everything_beside_what_it_empties() -> None:
    data = b'{"a":[1,"]"],"deep":%s,"z":{"y":"{"}}' % nested(9_000)
    read = json.loads(shallow(data))
    assert (read["a"], read["z"]) == ([1, "]"], {"y": "{"})


def test_empties_deep_lists() -> None:
    read = json.loads(shallow(b"[" * 9_000 + b"]" * 9_000))
    assert json.dumps(read).count("[") == MAX_DEPTH + 1


@pytest.mark.parametrize("data", [b"[" * 9_000, b'{"a":' * 9_000, b"]" * 9_000, b'[{"' * 9_000])
def test_makes_no_broken_json_unreadable_in_a_worse_way(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(Expecting|Extra|Unterminated|Invalid)"):
        json.loads(shallow(data))


@given(st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b"1"])))
def test_keeps_short_nonsense_as_it_is(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert shallow(data) == data
