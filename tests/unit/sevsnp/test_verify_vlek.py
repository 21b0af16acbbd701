from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cases.verifying import check
from fakes import simulated
from nodeproof.errors import (
    EndorsementMismatch,
    EndorsementsMissing,
    SignerRevoked,
)
from nodeproof.policy import SignerKind
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.crl import Revocation
from nodeproof.sevsnp.extensions import AMD_ARC
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.issuing import Signer, issue_ca, issue_vek, vcek_extensions

NOW = simulated.NOW
QUESTION = bytes(range(64))
CSP = b"CN=cc-test.example"


class TestVLEK:
    """Reports signed with a key that a cloud provider loaded: no chip, but a provider."""

    @pytest.fixture
    def certificates(
        self, authority: SimulatedAuthority, machine: SimulatedMachine
    ) -> tuple[bytes, ...]:
        return self.issue(authority, machine, {f"{AMD_ARC}.5": bytes((0x16, len(CSP))) + CSP})

    def issue(
        self, authority: SimulatedAuthority, machine: SimulatedMachine, more: dict[str, bytes]
    ) -> tuple[bytes, ...]:
        """Return VLEK, ASVK and ARK; the ASVK has the key of the ASK, which no rule forbids."""
        extensions = vcek_extensions(machine.product, machine.chip_id, machine.processor.tcb)
        del extensions[f"{AMD_ARC}.4"]
        root = Signer(machine.product, authority.ark_key, NOW)
        asvk = issue_ca(Role.ASVK, authority.ask_key.public_key(), root)
        signer = replace(root, key=authority.ask_key)
        key = machine.processor.vcek_key.public_key()
        vlek = issue_vek(Role.VLEK, key, extensions | more, signer)
        return vlek, asvk.public_bytes(Encoding.DER), authority.ark

    def report(self, machine: SimulatedMachine, **changes: Any) -> bytes:
        vlek: dict[str, Any] = {"key_info": 1 << 2, "chip_id": bytes(64)}
        return simulated.report(machine, **vlek | changes)

    def test_names_the_provider(
        self,
        machine: SimulatedMachine,
        authority: SimulatedAuthority,
        certificates: tuple[bytes, ...],
    ) -> None:
        anchor = replace(authority.anchor(), simulated=False)
        claims = check(self.report(machine), certificates, anchors=[anchor])
        assert claims.signer is SignerKind.VLEK
        assert claims.csp_id == CSP.decode()

    def test_a_vcek_does_not_stand_for_it(self, machine: SimulatedMachine) -> None:
        with pytest.raises(EndorsementsMissing, match="expected a VLEK certificate"):
            check(self.report(machine), machine.processor.certificates)

    def test_it_does_not_stand_for_a_vcek(
        self, machine: SimulatedMachine, certificates: tuple[bytes, ...]
    ) -> None:
        with pytest.raises(EndorsementsMissing, match="expected a VCEK certificate"):
            check(machine.attest(QUESTION), certificates)

    def test_the_report_names_no_chip(
        self, machine: SimulatedMachine, certificates: tuple[bytes, ...]
    ) -> None:
        report = self.report(machine, chip_id=machine.chip_id)
        with pytest.raises(EndorsementMismatch, match="CHIP_ID under a VLEK"):
            check(report, certificates)

    def test_refuses_a_vlek_without_provider(
        self, machine: SimulatedMachine, authority: SimulatedAuthority
    ) -> None:
        with pytest.raises(EndorsementMismatch, match="names a cloud provider"):
            check(self.report(machine), self.issue(authority, machine, {}))

    def test_refuses_a_vlek_under_a_revoked_asvk(
        self,
        machine: SimulatedMachine,
        authority: SimulatedAuthority,
        certificates: tuple[bytes, ...],
    ) -> None:
        asvk = load_certificates(certificates)[1]
        crl = authority.issue_crl(NOW, [asvk.serial])
        with pytest.raises(SignerRevoked, match="ASVK"):
            check(self.report(machine), certificates, revocation=Revocation((crl,)))
