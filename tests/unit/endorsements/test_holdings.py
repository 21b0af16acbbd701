from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import endorsing
from cases.held import (
    DAY,
    HOUR,
    MILAN_CA,
    MILAN_CRL,
    Clock,
    another_ask,
    ca,
    name_of,
    node,
    report_of,
    revoking,
    vcek_of,
)
from fakes.simulated import NOW, authority, impostor
from nodeproof.errors import EndorsementsMissing, VerificationError
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.kds import CAName, CRLName
from nodeproof.sevsnp.products import Product
from nodeproof_operator.endorsements import veks
from nodeproof_operator.endorsements.authorities import MAX_OF_A_KIND
from nodeproof_operator.endorsements.holdings import JUDGED_FOR, Holdings
from nodeproof_operator.endorsements.sieve import Found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def holdings(clock: Clock) -> Holdings:
    return Holdings(endorsing.anchors(), clock)


def with_chain(holdings: Holdings) -> Holdings:
    holdings.accept(MILAN_CA, endorsing.chain(authority()))
    return holdings


def test_keeps_what_was_fetched(holdings: Holdings) -> None:
    offered = endorsing.offers(node())
    for name, data in offered.items():
        holdings.accept(name, data)
    assert all(holdings.has(name) for name in offered)


def test_holds_nothing_at_first(holdings: Holdings) -> None:
    assert not any(holdings.has(name) for name in endorsing.offers(node()))


def test_finds_the_certificates_of_a_report(holdings: Holdings) -> None:
    with_chain(holdings).accept(name_of(), vcek_of())
    assert set(holdings.certificates(report_of())) == {vcek_of(), *ca()}


def test_finds_the_vek_before_its_chain(holdings: Holdings) -> None:
    with_chain(holdings).accept(name_of(), vcek_of())
    assert holdings.certificates(report_of())[0] == vcek_of()


def test_does_not_hand_out_the_vcek_of_another_firmware(holdings: Holdings) -> None:
    with_chain(holdings).accept(name_of(), vcek_of())
    other = report_of(reported_tcb=bytes(8))
    assert set(holdings.certificates(other)) == set(ca())


def test_does_not_hand_out_the_vcek_of_another_chip(holdings: Holdings) -> None:
    with_chain(holdings).accept(name_of(), vcek_of())
    assert set(holdings.certificates(report_of(seed=1))) == set(ca())


def test_does_not_hand_out_a_vcek_that_has_ended(holdings: Holdings, clock: Clock) -> None:
    with_chain(holdings).accept(name_of(), vcek_of())
    clock.now += timedelta(days=8 * 365)
    assert not holdings.has(name_of())


def test_refuses_a_vcek_before_its_chain_is_there(holdings: Holdings) -> None:
    with pytest.raises(EndorsementsMissing):
        holdings.accept(name_of(), vcek_of())
    assert not holdings.has(name_of())


def test_refuses_the_vcek_of_another_chip(holdings: Holdings) -> None:
    with pytest.raises(VerificationError):
        with_chain(holdings).accept(name_of(0), vcek_of(1))
    assert not holdings.has(name_of(0))
    assert not holdings.has(name_of(1))


def test_refuses_a_self_made_chain(holdings: Holdings) -> None:
    with pytest.raises(VerificationError):
        holdings.accept(MILAN_CA, endorsing.chain(impostor()))
    assert not holdings.has(MILAN_CA)


def test_refuses_the_chain_of_another_product(holdings: Holdings) -> None:
    with pytest.raises(VerificationError):
        holdings.accept(CAName(Product.GENOA, Role.ASK), endorsing.chain(authority()))
    assert not holdings.has(MILAN_CA)


def test_refuses_a_list_that_another_root_signed(holdings: Holdings) -> None:
    with pytest.raises(VerificationError):
        with_chain(holdings).accept(MILAN_CRL, impostor().issue_crl(NOW))
    assert holdings.crls() == ()


def test_refuses_a_fetched_list_that_has_ended(holdings: Holdings) -> None:
    with pytest.raises(VerificationError):
        with_chain(holdings).accept(MILAN_CRL, authority().issue_crl(NOW - 60 * DAY))
    assert holdings.crls() == ()


def test_learns_certificates_and_lists_in_any_order(holdings: Holdings) -> None:
    ask, ark = ca()
    assert holdings.learn([authority().issue_crl(NOW), vcek_of(), ask, ark]) == 0
    assert set(holdings.certificates(report_of())) == {vcek_of(), ask, ark}
    assert len(holdings.crls()) == 1


def test_learns_a_pem_file_with_a_whole_chain(holdings: Holdings) -> None:
    assert holdings.learn([endorsing.pem(vcek_of(), *ca())]) == 0
    assert holdings.has(name_of())


def test_learns_a_vlek_that_nobody_can_fetch(holdings: Holdings) -> None:
    product = Product.MILAN
    vlek, asvk = endorsing.vlek(product), endorsing.asvk(product)
    assert holdings.learn([vlek, asvk, *ca()]) == 0
    found = holdings.certificates(report_of(chip_id=bytes(64), key_info=0b100))
    assert set(found) == {vlek, asvk, ca()[1]}


def test_a_vcek_that_was_issued_again_takes_the_place_of_the_older(holdings: Holdings) -> None:
    processor = node().processor
    older = authority().issue_vcek(
        processor.vcek_key.public_key(), processor.chip_id, processor.tcb, NOW - HOUR
    )
    holdings.learn([*ca(), vcek_of()])
    holdings.learn([older])
    assert set(holdings.certificates(report_of())) == {vcek_of(), *ca()}


def test_holds_vleks_of_several_providers(holdings: Holdings) -> None:
    product = Product.MILAN
    vleks = [endorsing.vlek(product), endorsing.vlek.__wrapped__(product)]
    assert holdings.learn([*vleks, endorsing.asvk(product), *ca()]) == 0
    found = holdings.certificates(report_of(chip_id=bytes(64), key_info=0b100))
    assert set(vleks) <= set(found)


def test_does_not_hand_out_a_vlek_for_a_vceks_report(holdings: Holdings) -> None:
    vlek, asvk = endorsing.vlek(Product.MILAN), endorsing.asvk(Product.MILAN)
    holdings.learn([vlek, asvk, *ca()])
    assert set(holdings.certificates(report_of())) == set(ca())


HOSTILE: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "self-made chain": lambda: (*ca(impostor()), impostor().issue_crl(NOW)),
    "chain of a product that is not pinned": lambda: ca(authority(Product.TURIN)),
    "garbage": lambda: (b"garbage", b"", b"\x30\x82\xff\xff"),
    "a megabyte": lambda: (Random(1).randbytes(1024 * 1024),),  # noqa: S311 - any bytes
    "a megabyte of PEM": lambda: (b"-----BEGIN CERTIFICATE-----\n" * 37000,),
    "list of another root": lambda: (impostor().issue_crl(NOW),),
    "list that has ended": lambda: (authority().issue_crl(NOW - 60 * DAY),),
    "list of the future": lambda: (authority().issue_crl(NOW + 9 * DAY, [1]),),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_ignores_what_is_not_genuine(
    clock: Clock, hostile: Callable[[], tuple[bytes, ...]]
) -> None:
    holdings = Holdings([authority().anchor()], clock)
    holdings.learn(ca())
    before = (holdings.certificates(report_of()), holdings.crls(), holdings.revision)
    assert holdings.learn(hostile()) == len(hostile())
    assert (holdings.certificates(report_of()), holdings.crls(), holdings.revision) == before


def test_takes_a_pinned_key_only_with_its_own_signature(holdings: Holdings) -> None:
    """Anybody can write the public key of the root into a certificate."""
    _, ark = ca()
    assert holdings.learn([ark[:-1] + bytes((ark[-1] ^ 1,))]) == 1


def test_a_list_for_an_unknown_root_is_judged_again_when_the_root_comes(
    holdings: Holdings,
) -> None:
    crl = authority().issue_crl(NOW)
    assert holdings.learn([crl]) == 1
    with_chain(holdings)
    assert holdings.learn([crl]) == 0


def test_judges_the_same_value_only_once(holdings: Holdings) -> None:
    assert [holdings.learn([b"garbage"]), holdings.learn([b"garbage"])] == [1, 1]
    fresh = holdings.sieve([Found(b"garbage"), Found(b"other")]).values
    assert fresh == [Found(b"other")]


def test_judges_again_after_a_while(holdings: Holdings, clock: Clock) -> None:
    holdings.learn([b"garbage"])
    clock.now += JUDGED_FOR
    assert holdings.sieve([Found(b"garbage")]).values


def test_a_list_that_revokes_stays_known_when_a_newer_one_does_not(holdings: Holdings) -> None:
    old, new = revoking(), authority().issue_crl(NOW + HOUR)
    holdings.learn([*ca(), old])
    holdings.learn([new])
    assert set(holdings.crls()) == {old, new}


def test_a_list_that_revokes_is_learned_even_after_it_has_ended(
    holdings: Holdings, clock: Clock
) -> None:
    """Somebody may have taken the newer one away that says the same."""
    crl = revoking()
    clock.now += 60 * DAY
    assert holdings.learn([*ca(), crl]) == 0
    assert holdings.crls() == (crl,)


def test_an_older_list_goes_when_a_newer_one_says_the_same(holdings: Holdings) -> None:
    old, new = revoking(), revoking(NOW + HOUR)
    holdings.learn([*ca(), old, new])
    assert holdings.crls() == (new,)


def test_an_older_list_does_not_displace_the_newer(holdings: Holdings) -> None:
    old, new = authority().issue_crl(NOW), authority().issue_crl(NOW + HOUR)
    holdings.learn([*ca(), new])
    with_chain(holdings).accept(MILAN_CRL, old)
    assert holdings.crls()[0] == new


def test_an_older_list_of_another_chain_stays(holdings: Holdings) -> None:
    """AMD has one list beside the ASK and one beside the ASVK."""
    older, newer = authority().issue_crl(NOW), authority().issue_crl(NOW + HOUR)
    beside_asvk = CRLName(Product.MILAN, Role.ASVK)
    with_chain(holdings).accept(MILAN_CRL, newer)
    holdings.accept(beside_asvk, older)
    assert holdings.crls() == (newer, older)
    held = [holdings.crl(name) for name in (MILAN_CRL, beside_asvk)]
    assert [crl.der for crl in held if crl] == [newer, older]


def test_the_list_of_one_root_does_not_displace_anothers(clock: Clock) -> None:
    """A simulated root bears the name of AMD's."""
    both = [authority().anchor(), impostor().anchor()]
    holdings = Holdings(both, clock)
    old, new = authority().issue_crl(NOW), impostor().issue_crl(NOW + HOUR)
    holdings.learn([*ca(), *ca(impostor()), old, new])
    assert set(holdings.crls()) == {old, new}


def test_the_revision_grows_exactly_when_lists_change(holdings: Holdings) -> None:
    seen = [holdings.revision]
    first, second = authority().issue_crl(NOW), revoking(NOW + HOUR)
    for values in ([*ca()], [first], [first], [vcek_of()], [second], [first]):
        holdings.learn(values)
        seen.append(holdings.revision)
    assert seen == [0, 0, 1, 1, 1, 2, 2]


def test_a_list_counts_as_confirmed_whenever_it_is_fetched(
    holdings: Holdings, clock: Clock
) -> None:
    crl = authority().issue_crl(NOW)
    with_chain(holdings).accept(MILAN_CRL, crl)
    clock.now += timedelta(hours=2)
    holdings.accept(MILAN_CRL, crl)
    assert holdings.confirmed(MILAN_CRL) == clock.now


def test_no_more_than_a_few_roots_and_intermediates_are_held(holdings: Holdings) -> None:
    older = [another_ask(days) for days in range(1, 6)]
    assert holdings.learn([*older, *ca()]) == 0
    kept = [each.der for each in holdings.authorities(Product.MILAN) if each.role is Role.ASK]
    assert kept == [ca()[0], *older][:MAX_OF_A_KIND]


def test_the_least_used_vceks_make_room(
    holdings: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(veks, "CAPACITY", 2)
    with_chain(holdings)
    for seed in (0, 1):
        holdings.accept(name_of(seed), vcek_of(seed))
    holdings.certificates(report_of(0))
    holdings.accept(name_of(2), vcek_of(2))
    assert [holdings.has(name_of(seed)) for seed in (0, 1, 2)] == [True, False, True]


@given(st.binary(max_size=1300))
def test_looking_something_up_never_raises(report: bytes) -> None:
    assert Holdings(endorsing.anchors(), lambda: NOW).certificates(report) == ()


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_learning_never_raises(values: list[bytes]) -> None:
    assert Holdings(endorsing.anchors(), lambda: NOW).learn(values) == len(values)
