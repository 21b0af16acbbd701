"""Whatever the bytes, nothing but a VerificationError comes out."""

from __future__ import annotations

import base64
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import simulated
from nodeproof.errors import CertificateMalformed, VerificationError
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.layout import REPORT_SIZE
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.sevsnp.verify import verify

QUIET = settings(deadline=None, max_examples=150)

# Mutated certificates meet other warnings of the library's; where it merely warns we go on.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

patches = st.lists(st.tuples(st.integers(0, 4095), st.binary(min_size=1, max_size=4)), max_size=4)


@cache
def machine() -> SimulatedMachine:
    return simulated.machine()


def patched(data: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    changed = bytearray(data)
    for offset, value in changes:
        start = offset % len(data)
        changed[start : start + len(value)] = value
    return bytes(changed)


def attempt(report: bytes, certificates: list[bytes]) -> bool:
    """Tell whether evidence was accepted; any error but ours fails the test."""
    anchors = [simulated.authority().anchor()]
    try:
        verify(report, certificates, anchors=anchors, now=simulated.NOW, report_data=None)
    except VerificationError:
        return False
    return True


@QUIET
@given(st.binary(max_size=REPORT_SIZE + 8))
def test_any_bytes_as_a_report(data: bytes) -> None:
    assert not attempt(data, list(machine().processor.certificates))


@QUIET
@given(patches)
def test_any_change_of_a_report(changes: list[tuple[int, bytes]]) -> None:
    report = machine().attest(bytes(64))
    changed = patched(report, changes)
    assert attempt(changed, list(machine().processor.certificates)) == (changed == report)


@QUIET
@given(st.binary(max_size=512), st.booleans())
def test_any_bytes_as_a_certificate(data: bytes, as_pem: bool) -> None:  # noqa: FBT001
    body = base64.encodebytes(data)
    pem = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
    assert not attempt(
        machine().attest(bytes(64)), [pem if as_pem else data, *machine().processor.certificates]
    )


@QUIET
@given(st.integers(0, 2), patches)
def test_any_change_of_a_certificate(which: int, changes: list[tuple[int, bytes]]) -> None:
    certificates = list(machine().processor.certificates)
    changed = patched(certificates[which], changes)
    accepted = attempt(
        machine().attest(bytes(64)),
        [changed if number == which else each for number, each in enumerate(certificates)],
    )
    assert accepted == (changed == certificates[which])


@QUIET
@given(st.binary(max_size=200))
def test_any_bytes_as_a_certificate_table(data: bytes) -> None:
    try:
        certificates = parse_certificate_table(data)
    except CertificateMalformed:
        return
    assert all(certificate in data for certificate in certificates)
