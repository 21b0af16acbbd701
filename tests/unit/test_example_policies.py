"""The example of firmware minimums: complete, and met by firmware of today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec.structs import replace

from cases.appraising import NOW
from fakes.claims import claims
from nodeproof.appraisal import appraise
from nodeproof.policy import CPUModelName, FirmwareMinimum, decode_policy
from nodeproof.sevsnp.products import Product, identify
from nodeproof.sevsnp.report import FirmwareVersion
from nodeproof.sevsnp.simulator import hardware

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"


def load() -> dict[str, Any]:
    return dict(yaml.safe_load((EXAMPLES / "firmware-minimums.yaml").read_text()))


BODY = load()
POLICY = decode_policy(BODY | {"metadata": BODY["metadata"] | {"uid": "uid", "generation": 1}})
MINIMUMS = POLICY.spec.firmware.minimums


def named(minimum: FirmwareMinimum) -> str:
    return f"{minimum.cpu_model} {minimum.stepping}"


def failed_on(product: Product, **changes: Any) -> list[str]:
    """Return the firmware checks that a processor of today fails under the example."""
    tcb, cpuid = hardware.TCB_VERSIONS[product], hardware.CPUIDS[product]
    vector = hardware.MITIGATIONS[product]
    proved = claims(
        product=product,
        cpu_model=identify(cpuid).name,
        cpuid=cpuid,
        reported_tcb=tcb,
        committed_tcb=tcb,
        launch_tcb=tcb,
        committed_version=FirmwareVersion(*hardware.FIRMWARE_VERSION),
        launch_mit_vector=vector,
        current_mit_vector=vector,
    )
    failed = appraise(msgspec.structs.replace(proved, **changes), POLICY, [], NOW).failed
    return [each.id for each in failed if each.id != "Measurement"]


def test_no_cpu_model_is_forgotten() -> None:
    assert {each.cpu_model for each in MINIMUMS} == set(CPUModelName)


def test_no_row_is_there_twice() -> None:
    assert len({named(each) for each in MINIMUMS}) == len(MINIMUMS)


@pytest.mark.parametrize("minimum", MINIMUMS, ids=named)
def test_every_row_asks_for_everything(minimum: FirmwareMinimum) -> None:
    tcbs = {minimum.reported_tcb, minimum.committed_tcb, minimum.launch_tcb}
    (tcb,) = tcbs
    assert tcb is not None
    assert set(tcb.components()) == {"snp", "microcode"}
    assert minimum.version_numbers() >= (1, 55, 35)
    assert minimum.launch_mitigations == minimum.current_mitigations != ()


def test_the_example_touches_no_node() -> None:
    assert not POLICY.enforced


def test_the_example_says_that_it_is_not_confirmed() -> None:
    text = (EXAMPLES / "firmware-minimums.yaml").read_text()
    assert "EXAMPLE, to be confirmed before use" in text
    assert "not confirmed with AMD" in BODY["metadata"]["annotations"]["example.org/transcribed"]


@pytest.mark.parametrize("product", Product)
def test_firmware_of_today_passes(product: Product) -> None:
    assert failed_on(product) == []


@pytest.mark.parametrize("product", Product)
def test_firmware_before_the_bulletin_fails(product: Product) -> None:
    old = replace(hardware.TCB_VERSIONS[product], snp=3)
    assert failed_on(product, committed_tcb=old) == ["CommittedTCB"]
