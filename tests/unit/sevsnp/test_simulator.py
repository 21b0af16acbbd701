from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from fakes import simulated
from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.report import parse_report
from nodeproof.sevsnp.roots import AMD_ROOTS
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.verify import verify


def modes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


def test_a_seed_gives_the_same_identities() -> None:
    one, same, other = (simulated.machine(seed=seed) for seed in (7, 7, 8))
    assert (one.chip_id, one.boot_id, one.report_id) == (same.chip_id, same.boot_id, same.report_id)
    assert one.chip_id != other.chip_id


def test_a_turin_chip_has_eight_bytes(turin: SimulatedMachine) -> None:
    assert turin.chip_id[8:] == bytes(56)
    assert any(turin.chip_id[:8])


def test_the_certificate_table_endorses_the_machine(machine: SimulatedMachine) -> None:
    claims = verify(
        machine.attest(bytes(64)),
        parse_certificate_table(machine.certificate_table()),
        anchors=[simulated.authority().anchor()],
        now=simulated.NOW,
        report_data=bytes(64),
    )
    assert claims.chain == machine.processor.certificates


def test_a_reboot_is_another_launch_of_the_same_chip(machine: SimulatedMachine) -> None:
    again = machine.reboot(random=Random(3))  # noqa: S311 - repeatable, not secret
    assert again.boot_id != machine.boot_id
    assert again.report_id != machine.report_id
    assert again.processor is machine.processor
    assert (again.measurement, again.policy) == (machine.measurement, machine.policy)


def test_a_reboot_may_change_what_is_launched(machine: SimulatedMachine) -> None:
    again = machine.reboot(measurement=b"\xab" * 48, policy=0xB0000)
    report = parse_report(again.attest(bytes(64)))
    assert report.measurement == b"\xab" * 48
    assert report.policy.debug


def test_one_launch_has_one_report_id(machine: SimulatedMachine) -> None:
    reports = [parse_report(machine.attest(bytes((number,) * 64))) for number in range(2)]
    assert reports[0].report_id == reports[1].report_id == machine.report_id


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_report_is_over_64_bytes(machine: SimulatedMachine, size: int) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        machine.attest(bytes(size))


def test_refuses_a_measurement_of_another_size(machine: SimulatedMachine) -> None:
    with pytest.raises(ValueError, match="48 bytes"):
        machine.reboot(measurement=bytes(32))


def test_refuses_report_versions_that_it_does_not_write(machine: SimulatedMachine) -> None:
    with pytest.raises(ValueError, match="report versions"):
        SimulatedMachine.launch(machine.processor, report_version=4)


@pytest.mark.parametrize("product", Product)
def test_a_simulated_root_is_never_amds(product: Product) -> None:
    anchor = simulated.authority(product).anchor()
    assert anchor.simulated
    assert anchor.public_key_sha256 not in {root.public_key_sha256 for root in AMD_ROOTS}


def test_no_private_key_shows_in_a_repr(
    machine: SimulatedMachine, authority: SimulatedAuthority
) -> None:
    assert "key" not in repr(machine)
    assert "key" not in repr(authority)


def test_an_authority_survives_in_its_directory(
    tmp_path: Path, authority: SimulatedAuthority
) -> None:
    authority.save(tmp_path)
    loaded = SimulatedAuthority.load(tmp_path)
    assert loaded.anchor() == authority.anchor()
    assert loaded.certificates() == authority.certificates()
    assert loaded.ask_key.private_numbers() == authority.ask_key.private_numbers()


def test_a_machine_survives_in_its_directory(tmp_path: Path, turin: SimulatedMachine) -> None:
    turin.save(tmp_path)
    loaded = SimulatedMachine.load(tmp_path)
    fields = loaded.report_fields(bytes(64))
    assert fields == turin.report_fields(bytes(64))
    assert loaded.boot_id == turin.boot_id
    assert loaded.certificate_table() == turin.certificate_table()


def test_a_reboot_from_outside_is_seen(tmp_path: Path, machine: SimulatedMachine) -> None:
    machine.save(tmp_path)
    SimulatedMachine.load(tmp_path).reboot(measurement=b"\x01" * 48).save(tmp_path)
    assert SimulatedMachine.load(tmp_path).measurement == b"\x01" * 48


def test_keys_are_for_their_owner_alone(
    tmp_path: Path, authority: SimulatedAuthority, machine: SimulatedMachine
) -> None:
    authority.save(tmp_path / "authority")
    machine.save(tmp_path / "machine")
    public, private = 0o644, 0o600
    assert modes(tmp_path / "authority") == {
        "ark.pem": public,
        "ask.pem": public,
        "ark.key": private,
        "ask.key": private,
    }
    assert modes(tmp_path / "machine") == {
        "machine.json": public,
        "certificates.bin": public,
        "vcek.key": private,
    }


def test_refuses_a_directory_with_the_wrong_key(
    tmp_path: Path, authority: SimulatedAuthority, machine: SimulatedMachine
) -> None:
    authority.save(tmp_path)
    machine.save(tmp_path)
    (tmp_path / "ark.key").replace(tmp_path / "vcek.key")
    with pytest.raises(ValueError, match="no EC key"):
        SimulatedMachine.load(tmp_path)


def test_refuses_a_directory_with_another_table(tmp_path: Path, machine: SimulatedMachine) -> None:
    machine.save(tmp_path)
    (tmp_path / "certificates.bin").write_bytes(b"")
    with pytest.raises(CertificateMalformed, match="expected VCEK, ASK and ARK"):
        SimulatedMachine.load(tmp_path)
