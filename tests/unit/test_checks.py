from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeproof.checks import CATALOGUE, Check

CHECKS = list(CATALOGUE.values())


def test_every_check_is_listed_under_its_id() -> None:
    assert list(CATALOGUE) == [check.id for check in CHECKS]


IDS = """
SignerKind CSPID Product ReportVersion AllowedChip DeniedChip
GuestDebug MigrationAgent SMT SingleSocket GuestCXL GuestAES256XTS GuestRAPLDisabled
GuestCiphertextHiding GuestPageSwapDisabled GuestABI
VMPL GuestSVN FamilyID ImageID HostData IDBlock IDKey AuthorKey
CPUModel ReportedTCB CommittedTCB LaunchTCB FirmwareVersion ProvisionalFirmware
LaunchMitigations CurrentMitigations
PlatformSMT PlatformTSME PlatformECC PlatformRAPLDisabled PlatformCiphertextHiding
PlatformAliasCheck PlatformIOMMUWriteSafe PlatformTIO
Measurement
"""

APPRAISED = ("signer", "guest", "firmware", "chips")
"""The groups of a policy that are about the evidence."""

TIMES = {"firmware.minimums[].effectiveTime"}
"""Fields that say when a check applies and are no check of their own."""

Schema = dict[str, Any]


def test_the_checks_of_this_release() -> None:
    """IDs are for ever: alerts and dashboards hold them."""
    assert list(CATALOGUE) == IDS.split()


def test_every_check_fits_into_a_result() -> None:
    """A node that fails them all must still have a result: the CRD bounds the list."""
    (version,) = crd("nodeattestations")["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    failed = status["policies"]["items"]["properties"]["failedChecks"]
    assert len(CATALOGUE) <= failed["maxItems"]


def test_every_field_about_the_evidence_is_checked() -> None:
    groups = {name: spec_fields()[name] for name in APPRAISED}
    checked = {field for check in CHECKS for field in check.fields}
    unchecked = {path for path in leaves(groups) if not any(within(path, each) for each in checked)}
    assert unchecked == TIMES


def test_every_check_names_fields_that_exist() -> None:
    known = set(leaves(spec_fields()))
    for check in CHECKS:
        for field in check.fields:
            assert any(within(path, field) for path in known), field


def crd(name: str) -> Schema:
    path = Path(__file__).parents[2] / "crds" / f"{name}.yaml"
    return dict(yaml.safe_load(path.read_text()))


def spec_fields() -> Schema:
    (version,) = crd("attestationpolicies")["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    return dict(schema["properties"]["spec"]["properties"])


def leaves(fields: Schema, above: str = "") -> Iterator[str]:
    """Yield the paths of the fields that hold values, as ``docs/api.md`` writes them."""
    for name, part in fields.items():
        path = f"{above}{name}"
        inner = part.get("items", part)
        if "properties" in inner:
            yield from leaves(inner["properties"], f"{path}[]." if "items" in part else f"{path}.")
        else:
            yield path


def within(path: str, field: str) -> bool:
    return path == field or path.startswith(f"{field}.")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_an_id_fits_conditions_and_metric_labels(check: Check) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]{0,62}", check.id)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_explains_itself(check: Check) -> None:
    assert check.title
    assert check.fields
    assert check.description.endswith(".")
    assert check.remedy.endswith(".")


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CATALOGUE["Other"] = CHECKS[0]  # type: ignore[index]  # that it is refused is the point
