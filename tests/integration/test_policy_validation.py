"""What the API server itself refuses and fills in of AttestationPolicies, by the CRD alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cases.validation import COLLECTION, NOW, dry_run
from nodeproof.policy import GROUP, VERSION, PolicySpec, decode_policy
from nodeproof_dev.api import Api, Object
from nodeproof_dev.controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("installation")

POLICIES = f"{COLLECTION}/attestationpolicies"
GATE = "nodeproof.node-restriction.kubernetes.io/confidential"
CHIP = "0a" * 64


@pytest.fixture
def api(plane: ControlPlane) -> Api:
    """The admin's client."""
    return plane.admin


def policy(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "AttestationPolicy",
        "metadata": {"name": name},
        "spec": {"referenceValueSetNames": ["images"]} | spec,
    }


def platform(platform_info: Object) -> Object:
    return {"firmware": {"platformInfo": platform_info}}


@pytest.mark.parametrize(
    ("spec", "because"),
    [
        ({"freshness": {"intervalSeconds": 900}}, "intervalSeconds must be below"),
        (
            {"freshness": {"intervalSeconds": 60, "maximumAgeSeconds": 30}},
            "intervalSeconds must be below",
        ),
        ({"freshness": {"intervalSeconds": 4}}, "greater than or equal to 5"),
        ({"freshness": {"maximumAgeSeconds": 86401}}, "less than or equal to 86400"),
        ({"signer": {"kinds": []}}, "should have at least 1 items"),
        ({"signer": {"kinds": ["VCEK", "VCEK"]}}, "Duplicate value"),
        ({"signer": {"kinds": ["TPM"]}}, "supported values"),
        ({"guest": {"vmpl": 4}}, "less than or equal to 3"),
        ({"guest": {"debug": "Allowed"}}, "supported values"),
        ({"mode": "Off"}, "supported values"),
        ({"referenceValueSetNames": []}, "should have at least 1 items"),
        ({"referenceValueSetNames": [f"s{n}" for n in range(17)]}, "must have at most 16 items"),
        ({"referenceValueSetNames": ["a", "a"]}, "Duplicate value"),
        ({"referenceValueSetNames": None}, "referenceValueSetNames: Required value"),
        ({"enforcement": {"failureEffect": "PreferNoSchedule"}}, "supported values"),
        ({"enforcement": {"unknownGraceSeconds": -1}}, "greater than or equal to 0"),
        ({"guests": {}}, "unknown field"),
        ({"signer": {"kinds": ["VCEK", "VLEK"]}}, "the kind VLEK needs cspIDs"),
        ({"signer": {"kinds": ["VLEK"], "cspIDs": []}}, "the kind VLEK needs cspIDs"),
        ({"signer": {"cspIDs": ["CN=ours"]}}, "the kind VLEK is not accepted"),
        ({"signer": {"kinds": ["Simulated"], "cspIDs": ["CN=x"]}}, "the kind VLEK is not accepted"),
        ({"signer": {"kinds": ["VLEK"], "cspIDs": ["a\nb"]}}, "should match"),
        ({"signer": {"kinds": ["VLEK"], "cspIDs": ["x" * 128]}}, "may not be more than 127"),
        ({"signer": {"products": []}}, "should have at least 1 items"),
        ({"signer": {"products": ["Venice"]}}, "supported values"),
        ({"signer": {"reportVersions": [1]}}, "greater than or equal to 2"),
        ({"signer": {"reportVersions": [6]}}, "less than or equal to 5"),
        ({"signer": {"reportVersions": [2]}}, "reports of version 2 never tell it"),
        ({"guest": {"minimumABI": "1"}}, "should match"),
        ({"guest": {"minimumABI": "1.055"}}, "should match"),
        ({"guest": {"minimumSVN": 2**32}}, "less than or equal to 4294967295"),
        ({"guest": {"familyIDs": ["0a" * 15]}}, "at least 32 chars"),
        ({"guest": {"hostData": ["0A" * 32]}}, "should match"),
        ({"guest": {"imageIDs": [f"{n:032x}" for n in range(17)]}}, "must have at most 16 items"),
        ({"guest": {"idKeyDigests": ["00" * 48]}}, "zeros mean that there is no ID block"),
        ({"guest": {"authorKeyDigests": ["00" * 48]}}, "zeros mean that there is no author key"),
        (
            {"guest": {"idBlock": "Forbidden", "idKeyDigests": ["0a" * 48]}},
            "are what an ID block states",
        ),
        ({"guest": {"idBlock": "Forbidden", "minimumSVN": 1}}, "are what an ID block states"),
        (
            platform({"smt": "Required"}) | {"guest": {"smt": "Forbidden"}},
            "such a guest runs on no host with SMT",
        ),
        (
            platform({"raplDisabled": "Forbidden"}) | {"guest": {"raplDisabled": "Required"}},
            "such a guest runs on no host with RAPL",
        ),
        (
            platform({"ciphertextHiding": "Forbidden"})
            | {"guest": {"ciphertextHiding": "Required"}},
            "such a guest runs on no host without it",
        ),
        (platform({"aliasCheck": "Yes"}), "supported values"),
        ({"firmware": {"unlistedCPUModels": "Any"}}, "supported values"),
        ({"firmware": {"provisional": "Required"}}, "supported values"),
        ({"chips": {"allow": [CHIP], "deny": ["0b" * 64, CHIP]}}, "a chip is on both lists"),
        ({"chips": {"allow": [CHIP[:16]], "deny": [CHIP[:16]]}}, "a chip is on both lists"),
        ({"chips": {"allow": ["00" * 64]}}, "the chip ID is masked"),
        ({"chips": {"deny": ["00" * 8]}}, "the chip ID is masked"),
        ({"chips": {"deny": [CHIP.upper()]}}, "should match"),
        ({"chips": {"deny": [CHIP[:-2]]}}, "should match"),
        ({"chips": {"deny": [CHIP, CHIP]}}, "Duplicate value"),
        (
            {"chips": {"deny": [CHIP]}, "signer": {"kinds": ["VLEK"], "cspIDs": ["CN=ours"]}},
            "the only kind accepted, name no chip",
        ),
        ({"revocation": {"mode": "Optional"}}, "supported values"),
        ({"revocation": {"mode": "Off", "maximumAgeSeconds": 86400}}, "no meaning in mode Off"),
        ({"revocation": {"maximumAgeSeconds": 3599}}, "greater than or equal to 3600"),
    ],
    ids=lambda value: str(value)[:80],
)
def test_refuses_a_policy_that_contradicts_itself(api: Api, spec: Object, because: str) -> None:
    status, message = dry_run(api, POLICIES, policy("refused", **spec))
    assert status in {400, 422}
    assert because in message


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"cpuModel": None}, "cpuModel: Required value"),
        ({"cpuModel": "Rome"}, "supported values"),
        ({"version": None}, "a minimum must ask for something"),
        ({"version": None, "stepping": 1}, "a minimum must ask for something"),
        ({"version": None, "launchMitigations": []}, "a minimum must ask for something"),
        ({"version": "1.55"}, "should match"),
        ({"version": "1.55.035"}, "should match"),
        ({"stepping": 256}, "less than or equal to 255"),
        ({"effectiveTime": "2027-01-01"}, "date-time"),
        ({"reportedTCB": {}}, "should have at least 1 properties"),
        ({"reportedTCB": {"snp": 256}}, "less than or equal to 255"),
        ({"reportedTCB": {"ucode": 1}}, "unknown field"),
        ({"reportedTCB": {"fmc": 1}}, "only Turin has an fmc"),
        ({"committedTCB": {"fmc": 1}}, "only Turin has an fmc"),
        ({"launchTCB": {"fmc": 1}}, "only Turin has an fmc"),
        ({"launchMitigations": [64]}, "less than or equal to 63"),
        ({"currentMitigations": [1, 1]}, "Duplicate value"),
    ],
    ids=str,
)
def test_refuses_a_minimum_that_no_processor_has(api: Api, fields: Object, because: str) -> None:
    minimum = {"cpuModel": "Milan", "version": "1.55.35"} | fields
    body = policy("refused", firmware={"minimums": [minimum]})
    status, message = dry_run(api, POLICIES, body)
    assert status in {400, 422}
    assert because in message


@pytest.mark.parametrize("vector", ["launchMitigations", "currentMitigations"])
def test_refuses_to_ask_old_reports_for_mitigations(api: Api, vector: str) -> None:
    minimum = {"cpuModel": "Milan", vector: [1]}
    body = policy("refused", firmware={"minimums": [minimum]}, signer={"reportVersions": [3, 4]})
    status, message = dry_run(api, POLICIES, body)
    assert status == 422
    assert "which only reports of version 5 tell" in message


def test_accepts_the_longest_lists_of_chips(api: Api) -> None:
    chips = [f"{number:0128x}" for number in range(1, 1024 + 256 + 1)]
    body = policy("largest", chips={"allow": chips[:1024], "deny": chips[1024:]})
    assert dry_run(api, POLICIES, body) == (201, "")


def test_accepts_the_longest_list_of_minimums(api: Api) -> None:
    tcb = dict.fromkeys(("fmc", "bootloader", "tee", "snp", "microcode"), 255)
    row = {
        "cpuModel": "Turin Dense",
        "stepping": 255,
        "effectiveTime": NOW,
        "reportedTCB": tcb,
        "committedTCB": tcb,
        "launchTCB": tcb,
        "version": "255.255.255",
        "launchMitigations": list(range(64)),
        "currentMitigations": list(range(64)),
    }
    assert dry_run(api, POLICIES, policy("largest", firmware={"minimums": [row] * 64})) == (201, "")


@pytest.mark.parametrize("name", ["confidential", "firmware-minimums"])
def test_the_examples_are_accepted_as_kubectl_reads_them(plane: ControlPlane, name: str) -> None:
    path = Path(__file__).parents[2] / "deploy" / "examples" / f"{name}.yaml"
    shown = plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))
    assert "attestationpolicy.nodeproof.dev/confidential" in shown


@pytest.mark.parametrize(
    ("expression", "because"),
    [
        ({"operator": "In"}, "the operators In and NotIn need values"),
        ({"operator": "NotIn", "values": []}, "the operators In and NotIn need values"),
        ({"operator": "Exists", "values": ["x"]}, "Exists and DoesNotExist take no values"),
        ({"operator": "DoesNotExist", "values": ["x"]}, "Exists and DoesNotExist take no values"),
        ({"operator": "Gt", "values": ["1"]}, "supported values"),
        ({"operator": "Exists", "key": GATE}, "by the labels that policies give"),
        ({"operator": "Exists", "key": "not a key"}, "should match"),
        ({"operator": "In", "values": ["not a value"]}, "should match"),
    ],
    ids=str,
)
def test_refuses_a_selector_that_makes_no_sense(api: Api, expression: Object, because: str) -> None:
    selector = {"matchExpressions": [{"key": "zone"} | expression]}
    status, message = dry_run(api, POLICIES, policy("refused", nodeSelector=selector))
    assert status == 422
    assert because in message


def test_refuses_a_selector_by_a_label_that_policies_give(api: Api) -> None:
    selector = {"matchLabels": {GATE: "true"}}
    status, message = dry_run(api, POLICIES, policy("refused", nodeSelector=selector))
    assert status == 422
    assert "by the labels that policies give" in message


def test_refuses_a_policy_whose_name_is_too_long_for_a_label(api: Api) -> None:
    assert dry_run(api, POLICIES, policy("p" * 63))[0] == 201
    status, message = dry_run(api, POLICIES, policy("p" * 64))
    assert status == 422
    assert "at most 63 characters" in message


def test_refuses_a_policy_without_spec(api: Api) -> None:
    body = policy("refused")
    del body["spec"]
    assert dry_run(api, POLICIES, body)[0] == 422


def test_accepts_a_policy_that_uses_everything(api: Api) -> None:
    body = policy(
        "complete",
        mode="Audit",
        nodeSelector={
            "matchLabels": {"a": "b"},
            "matchExpressions": [
                {"key": "example.org/zone", "operator": "In", "values": ["x", ""]},
                {"key": "c", "operator": "DoesNotExist"},
            ],
        },
        signer={
            "kinds": ["VCEK", "VLEK", "Simulated"],
            "cspIDs": ["CN=cc-eu-west-1.amazonaws.com"],
            "products": ["Turin"],
            "reportVersions": [2, 5],
        },
        guest={
            "debug": "Required",
            "migrationAgent": "Any",
            "smt": "Forbidden",
            "cxl": "Forbidden",
            "aes256XTS": "Required",
            "raplDisabled": "Required",
            "ciphertextHiding": "Required",
            "pageSwapDisabled": "Required",
            "minimumABI": "1.55",
            "vmpl": 3,
            "minimumSVN": 4294967295,
            "familyIDs": ["00" * 16],
            "imageIDs": ["0a" * 16],
            "hostData": ["00" * 32],
            "idBlock": "Required",
            "idKeyDigests": ["0a" * 48],
            "authorKeyDigests": ["0b" * 48],
        },
        firmware={
            "minimums": [{"cpuModel": "Turin", "reportedTCB": {"fmc": 1}, "effectiveTime": NOW}],
            "unlistedCPUModels": "Allowed",
            "provisional": "Forbidden",
            "platformInfo": {"smt": "Forbidden", "iommuWriteSafe": "Required"},
        },
        chips={"allow": [CHIP[:16]], "deny": [CHIP]},
        revocation={"mode": "Required", "maximumAgeSeconds": 86400},
        freshness={"intervalSeconds": 5, "maximumAgeSeconds": 10},
        enforcement={"failureEffect": "NoSchedule", "unknownGraceSeconds": 0},
    )
    assert dry_run(api, POLICIES, body) == (201, "")


def test_fills_in_the_defaults_of_the_model(api: Api) -> None:
    stored = api.create(f"{POLICIES}?dryRun=All", policy("defaults"))
    groups = {"signer", "guest", "firmware", "chips", "revocation", "freshness", "enforcement"}
    assert groups | {"mode"} < set(stored["spec"])
    assert decode_policy(stored).spec == PolicySpec(reference_value_set_names=("images",))
