from __future__ import annotations

import pytest

from cases.appraising import judge, passes
from fakes.claims import CHIP, claims
from nodeproof.policy import ChipRules, SignerKind, SignerRules
from nodeproof.sevsnp.products import Product

OURS = "CN=cc-eu-west-1.amazonaws.com"
THEIRS = "CN=cc-us-east-2.amazonaws.com"
VLEK = claims(signer=SignerKind.VLEK, csp_id=OURS, chip_id=bytes(64))
BOTH = (SignerKind.VCEK, SignerKind.VLEK)
TURIN_CHIP = bytes.fromhex("59790fb1c39f35c1") + bytes(56)


def test_simulated_evidence_needs_a_policy_that_allows_it() -> None:
    simulated = claims(signer=SignerKind.SIMULATED)
    both = SignerRules(kinds=(SignerKind.VCEK, SignerKind.SIMULATED))
    assert not passes("SignerKind", simulated)
    assert passes("SignerKind", simulated, signer=both)


def test_the_signer_check_names_both_sides() -> None:
    simulated = claims(signer=SignerKind.SIMULATED)
    result = judge("SignerKind", simulated, signer=SignerRules(kinds=BOTH))
    assert (result.expected, result.observed) == ("VCEK or VLEK", "Simulated")


def test_a_vlek_passes_only_for_a_listed_provider() -> None:
    assert passes("CSPID", VLEK, signer=SignerRules(kinds=BOTH, csp_ids=(THEIRS, OURS)))
    assert not passes("CSPID", VLEK, signer=SignerRules(kinds=BOTH, csp_ids=(THEIRS,)))


@pytest.mark.parametrize("listed", [OURS.lower(), OURS.removeprefix("CN="), OURS + "."])
def test_a_provider_is_compared_as_a_whole(listed: str) -> None:
    assert not passes("CSPID", VLEK, signer=SignerRules(kinds=BOTH, csp_ids=(listed,)))


def test_without_listed_providers_no_vlek_passes() -> None:
    result = judge("CSPID", VLEK, signer=SignerRules(kinds=BOTH))
    assert (result.outcome, result.observed) == ("Failed", OURS)
    assert result.expected == "a provider of signer.cspIDs, which lists none"


def test_a_vcek_has_no_provider_to_compare() -> None:
    assert passes("CSPID", signer=SignerRules(kinds=BOTH, csp_ids=(OURS,)))


@pytest.mark.parametrize(("listed", "expected"), [((), True), ((OURS,), True), ((THEIRS,), False)])
def test_a_simulated_vlek_is_held_against_a_list_if_there_is_one(
    listed: tuple[str, ...], *, expected: bool
) -> None:
    simulated = claims(signer=SignerKind.SIMULATED, csp_id=OURS)
    assert passes("CSPID", simulated, signer=SignerRules(csp_ids=listed)) is expected


def test_a_product_that_is_taken_out_fails() -> None:
    result = judge("Product", signer=SignerRules(products=(Product.GENOA, Product.TURIN)))
    assert (result.outcome, result.expected) == ("Failed", "Genoa or Turin")
    assert result.observed == "Milan"


@pytest.mark.parametrize(("version", "expected"), [(2, False), (3, True), (4, True), (5, True)])
def test_report_version_2_is_not_read_unless_asked_for(version: int, *, expected: bool) -> None:
    assert passes("ReportVersion", claims(version=version)) is expected
    old = SignerRules(report_versions=(2, 3, 4, 5))
    assert passes("ReportVersion", claims(version=version), signer=old)


def test_any_chip_will_do_without_lists() -> None:
    assert passes("AllowedChip")
    assert passes("DeniedChip")
    assert passes("AllowedChip", VLEK)


def test_only_listed_chips_are_allowed_if_there_is_a_list() -> None:
    assert passes("AllowedChip", chips=ChipRules(allow=("ff" * 64, CHIP.hex())))
    assert not passes("AllowedChip", chips=ChipRules(allow=("ff" * 64,)))


@pytest.mark.parametrize("allow", [CHIP.hex(), "00" * 64, "00" * 8])
def test_a_masked_chip_fails_every_allow_list(allow: str) -> None:
    result = judge("AllowedChip", claims(chip_id=bytes(64)), chips=ChipRules(allow=(allow,)))
    assert (result.outcome, result.observed) == ("Failed", "no chip ID")


def test_a_denied_chip_fails_even_if_it_is_allowed() -> None:
    both = ChipRules(allow=(CHIP.hex(),), deny=(CHIP.hex(),))
    assert not passes("DeniedChip", chips=both)


def test_another_chip_is_not_denied() -> None:
    assert passes("DeniedChip", chips=ChipRules(deny=("ff" * 64,)))


def test_a_report_without_chip_is_on_no_deny_list() -> None:
    assert passes("DeniedChip", VLEK, chips=ChipRules(deny=("00" * 64, CHIP.hex())))


def test_capital_digits_deny_as_well() -> None:
    assert not passes("DeniedChip", chips=ChipRules(deny=(CHIP.hex().upper(),)))


def test_a_turin_chip_is_listed_by_its_eight_bytes() -> None:
    short = TURIN_CHIP[:8].hex()
    turin = claims(product=Product.TURIN, chip_id=TURIN_CHIP)
    assert passes("AllowedChip", turin, chips=ChipRules(allow=(short,)))
    assert passes("AllowedChip", turin, chips=ChipRules(allow=(TURIN_CHIP.hex(),)))
    assert not passes("DeniedChip", turin, chips=ChipRules(deny=(short,)))


def test_eight_bytes_are_no_prefix_of_a_longer_chip_id() -> None:
    assert not passes("AllowedChip", chips=ChipRules(allow=(CHIP[:8].hex(),)))


def test_a_chip_that_is_not_allowed_is_shown_whole() -> None:
    result = judge("AllowedChip", chips=ChipRules(allow=("ff" * 64,)))
    assert (result.expected, result.observed) == ("only ffffffffffffffff…", CHIP.hex())
