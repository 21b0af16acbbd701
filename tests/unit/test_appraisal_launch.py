from __future__ import annotations

from typing import Any

import pytest

from cases.appraising import judge, passes
from fakes.claims import claims
from nodeproof.policy import GuestRules, Requirement
from nodeproof.sevsnp.bits import KeyInfo

DIGEST = bytes(range(48))
OTHER = "ff" * 48
LISTS = [
    ("FamilyID", "family_ids", "family_id", bytes(range(16))),
    ("ImageID", "image_ids", "image_id", bytes(range(16))),
    ("HostData", "host_data", "host_data", bytes(range(32))),
    ("IDKey", "id_key_digests", "id_key_digest", DIGEST),
]


def rules(**fields: Any) -> GuestRules:
    return GuestRules(**fields)


@pytest.mark.parametrize(("asked", "stated"), [(0, 1), (0, 3), (2, 0)])
def test_the_privilege_level_must_be_the_policys(asked: int, stated: int) -> None:
    result = judge("VMPL", claims(vmpl=stated), guest=GuestRules(vmpl=asked))
    assert result.outcome == "Failed"
    assert (result.expected, result.observed) == (f"VMPL {asked}", f"VMPL {stated}")


def test_the_policys_privilege_level_passes() -> None:
    assert passes("VMPL", claims(vmpl=2), guest=GuestRules(vmpl=2))


@pytest.mark.parametrize(("stated", "expected"), [(6, False), (7, True), (65547, True)])
def test_the_guests_security_version_must_reach_the_minimum(stated: int, *, expected: bool) -> None:
    guest = claims(guest_svn=stated)
    assert passes("GuestSVN", guest, guest=GuestRules(minimum_svn=7)) is expected


def test_a_security_version_that_is_too_low_is_told() -> None:
    result = judge("GuestSVN", claims(guest_svn=6), guest=GuestRules(minimum_svn=7))
    assert (result.expected, result.observed) == ("at least 7", "6")


@pytest.mark.parametrize(("name", "rule", "field", "value"), LISTS, ids=lambda each: str(each)[:12])
def test_a_value_of_the_launch_must_be_listed_if_there_is_a_list(
    name: str, rule: str, field: str, value: bytes
) -> None:
    guest = claims(**{field: value})
    other = "ff" * len(value)
    assert passes(name, guest)
    assert passes(name, guest, guest=rules(**{rule: (other, value.hex())}))
    assert passes(name, guest, guest=rules(**{rule: (value.hex().upper(),)}))
    assert not passes(name, guest, guest=rules(**{rule: (other,)}))
    assert not passes(name, claims(), guest=rules(**{rule: (value.hex(),)}))


def test_a_value_that_is_not_listed_is_shown_whole() -> None:
    result = judge("HostData", guest=GuestRules(host_data=("ab" * 32, "cd" * 32)))
    assert result.expected == "one of 2: abababababababab…, cdcdcdcdcdcdcdcd…"
    assert result.observed == "00" * 32


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (Requirement.REQUIRED, [False, True]),
        (Requirement.FORBIDDEN, [True, False]),
        (Requirement.ANY, [True, True]),
    ],
)
def test_an_id_block_is_there_as_the_policy_asks(
    requirement: Requirement, expected: list[bool]
) -> None:
    launches = claims(), claims(id_key_digest=DIGEST)
    asked = GuestRules(id_block=requirement)
    assert [passes("IDBlock", each, guest=asked) for each in launches] == expected


def author(*, digest: bytes = DIGEST, enabled: bool = True, listed: str = DIGEST.hex()) -> bool:
    guest = claims(author_key_digest=digest, key_info=KeyInfo(int(enabled)))
    return passes("AuthorKey", guest, guest=GuestRules(author_key_digests=(listed,)))


def test_a_listed_author_passes() -> None:
    assert author()


def test_another_author_fails() -> None:
    assert not author(listed=OTHER)


def test_an_author_counts_only_if_the_report_says_that_there_is_one() -> None:
    assert not author(enabled=False)
    assert not author(enabled=False, digest=bytes(48), listed="00" * 48)


def test_without_a_list_no_author_is_needed() -> None:
    result = judge("AuthorKey")
    assert (result.outcome, result.observed) == ("Passed", "no author key")


def test_a_known_author_does_not_make_an_unlisted_id_key_good() -> None:
    guest = claims(id_key_digest=DIGEST, author_key_digest=DIGEST, key_info=KeyInfo(1))
    both = GuestRules(id_key_digests=(OTHER,), author_key_digests=(DIGEST.hex(),))
    assert passes("AuthorKey", guest, guest=both)
    assert not passes("IDKey", guest, guest=both)
