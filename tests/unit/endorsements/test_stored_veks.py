from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cases.held import node, record_of, report_of
from nodeproof.result import NodeAttestationStatus
from nodeproof_operator.cluster.views import Record
from nodeproof_operator.endorsements.stored import MAX_VEKS, stored_veks

CHAIN = (b"vek", b"ask", b"ark")
VLEK = {"chip_id": bytes(64), "key_info": 0b100}


def test_takes_the_vek_of_another_node_on_the_same_chip() -> None:
    certificates = node().processor.certificates
    records = [record_of(report_of(report_data=b"\x01" * 64), certificates)]
    assert stored_veks(report_of(), records) == certificates


def test_takes_no_vek_of_another_chip() -> None:
    assert stored_veks(report_of(0), [record_of(report_of(1), CHAIN)]) == ()


def test_takes_no_vek_of_the_same_chip_for_another_firmware() -> None:
    records = [record_of(report_of(reported_tcb=bytes(8)), CHAIN)]
    assert stored_veks(report_of(), records) == ()


def test_firmware_that_is_not_reported_does_not_matter() -> None:
    records = [record_of(report_of(current_tcb=bytes(8)), CHAIN)]
    assert stored_veks(report_of(), records) == CHAIN


def test_takes_no_vlek_because_it_may_be_another_providers() -> None:
    assert stored_veks(report_of(0, **VLEK), [record_of(report_of(1, **VLEK), CHAIN)]) == ()


def test_takes_no_vlek_for_a_masked_chips_vcek() -> None:
    masked = report_of(chip_id=bytes(64))
    assert stored_veks(masked, [record_of(report_of(1, **VLEK), CHAIN)]) == ()


def test_passes_over_records_without_evidence() -> None:
    empty = Record("node-1", "uid", "1", "node-uid", NodeAttestationStatus())
    records = [empty, record_of(report_of(), ()), record_of(report_of(), CHAIN)]
    assert stored_veks(report_of(), records) == CHAIN


def test_takes_each_certificate_once() -> None:
    records = [record_of(report_of(), CHAIN), record_of(report_of(), (b"another", *CHAIN[1:]))]
    assert stored_veks(report_of(), records) == (*CHAIN, b"another")


def test_takes_only_so_many() -> None:
    records = [record_of(report_of(), (b"vek %d" % each,)) for each in range(99)]
    assert len(stored_veks(report_of(), records)) == MAX_VEKS


def test_takes_no_more_than_a_chain_from_one_record() -> None:
    assert stored_veks(report_of(), [record_of(report_of(), (*CHAIN, b"more"))]) == CHAIN


@given(st.binary(max_size=2400), st.binary(max_size=2400))
def test_never_raises(report: bytes, stored: bytes) -> None:
    assert stored_veks(report, [record_of(stored, CHAIN)]) in {(), CHAIN}
