"""What the API server itself refuses and shows of values and results, by the CRDs alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cases.validation import COLLECTION, NOW, dry_run
from nodeproof.policy import GROUP, VERSION
from nodeproof_dev.api import Api, Object
from nodeproof_dev.controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("installation")

VALUES = f"{COLLECTION}/referencevaluesets"
ATTESTATIONS = f"{COLLECTION}/nodeattestations"
GOOD = "0a" * 48


@pytest.fixture
def api(plane: ControlPlane) -> Api:
    """The admin's client."""
    return plane.admin


def values(name: str, *measurements: Object) -> Object:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ReferenceValueSet",
        "metadata": {"name": name},
        "spec": {"measurements": list(measurements)},
    }


def value(**fields: Any) -> Object:
    return {"name": "image", "measurement": GOOD, "covers": "Kernel"} | fields


def attestation(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "NodeAttestation",
        "metadata": {"name": name},
        "spec": {"nodeName": name, "nodeUID": "a-node-uid"} | spec,
    }


def condition(**fields: Any) -> Object:
    return {
        "type": "Attested",
        "status": "False",
        "reason": "CheckFailed",
        "message": "GuestDebug: expected debugging forbidden, observed debugging allowed",
        "lastTransitionTime": NOW,
    } | fields


def evidence(**fields: Any) -> Object:
    return {
        "sequence": 1,
        "challenge": encoded(300),
        "bootID": "boot",
        "report": encoded(1184),
        "certificates": [encoded(1300)] * 3,
    } | fields


def encoded(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"measurement": GOOD.upper()}, "should match"),
        ({"measurement": GOOD[:-1]}, "at least 96 chars"),
        ({"measurement": GOOD + "0"}, "may not be more than 96"),
        ({"measurement": "0x" + GOOD[2:]}, "should match"),
        ({"covers": "Everything"}, "supported values"),
        ({"covers": None}, "covers: Required value"),
        ({"product": "Bergamo"}, "supported values"),
        ({"name": ""}, "at least 1 chars"),
        ({"expirationTime": "tomorrow"}, "date-time"),
        ({"expirationTime": "10000-01-01T00:00:00Z"}, "expirationTime"),
        ({"expirationTime": "2027-01-01T00:00:00+99:99"}, "should match"),
    ],
    ids=str,
)
def test_refuses_a_reference_value_that_cannot_be(api: Api, fields: Object, because: str) -> None:
    status, message = dry_run(api, VALUES, values("refused", value(**fields)))
    assert status == 422
    assert because in message


def test_refuses_the_same_measurement_under_two_names(api: Api) -> None:
    body = values("refused", value(), value(name="again", expirationTime=NOW))
    status, message = dry_run(api, VALUES, body)
    assert status == 422
    assert "the same measurement is listed twice" in message


def test_refuses_two_measurements_of_one_name(api: Api) -> None:
    body = values("refused", value(), value(measurement="0b" * 48))
    status, message = dry_run(api, VALUES, body)
    assert status == 422
    assert "Duplicate value" in message


def test_refuses_an_empty_set(api: Api) -> None:
    assert dry_run(api, VALUES, values("refused"))[0] == 422


def test_accepts_the_largest_set(api: Api) -> None:
    many = [value(name=f"image-{n}", measurement=f"{n:096x}") for n in range(256)]
    assert dry_run(api, VALUES, values("largest", *many)) == (201, "")


def test_refuses_a_node_attestation_named_unlike_its_node(api: Api) -> None:
    body = attestation("refused", nodeName="another")
    status, message = dry_run(api, ATTESTATIONS, body)
    assert status == 422
    assert "is named like its node" in message


@pytest.fixture
def stored(api: Api, unique_name: str) -> Iterator[str]:
    """The path of a NodeAttestation without status."""
    path = f"{ATTESTATIONS}/{unique_name}"
    api.create(ATTESTATIONS, attestation(unique_name))
    yield path
    api.delete(path)


def try_status(api: Api, path: str, status: Object) -> tuple[int, str]:
    patch = json.dumps({"status": status}).encode()
    code, answer = api.call(
        "PATCH", f"{path}/status?dryRun=All", patch, content_type="application/merge-patch+json"
    )
    return code, answer.get("message", "")


@pytest.mark.parametrize("field", ["nodeName", "nodeUID"])
def test_a_node_attestation_stays_with_its_node(api: Api, stored: str, field: str) -> None:
    patch = {"spec": {field: "another"}}
    status, answer = api.call("PATCH", stored, patch, content_type="application/merge-patch+json")
    assert status == 422
    assert "stays with its node" in answer["message"]


def test_a_status_cannot_be_smuggled_in_at_creation(api: Api, unique_name: str) -> None:
    body = attestation(unique_name) | {"status": {"signer": "VCEK"}}
    assert "status" not in api.create(f"{ATTESTATIONS}?dryRun=All", body)


def test_the_largest_evidence_fits(api: Api, stored: str) -> None:
    largest = evidence(challenge=encoded(4096), certificates=[encoded(16 * 1024)] * 8)
    assert try_status(api, stored, {"evidence": largest}) == (200, "")


@pytest.mark.parametrize(
    "fields",
    [
        {"sequence": 0},
        {"challenge": encoded(4099)},
        {"challenge": "%%%%"},
        {"report": encoded(1183 - 3)},
        {"report": encoded(1184 + 3)},
        {"certificates": [encoded(16 * 1024 + 3)]},
        {"certificates": [encoded(1)] * 9},
        {"bootID": "b" * 65},
        {"report": None},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_refuses_evidence_out_of_bounds(api: Api, stored: str, fields: Object) -> None:
    assert try_status(api, stored, {"evidence": evidence(**fields)})[0] == 422


@pytest.mark.parametrize(
    "status",
    [
        {"signer": "Nobody"},
        {"conditions": [condition(status="Maybe")]},
        {"conditions": [condition(reason="with spaces")]},
        {"conditions": [condition(), condition(status="True")]},
        {"policies": [{"name": "p", "observedGeneration": 1, "outcome": "Fine", "reason": "X"}]},
    ],
    ids=str,
)
def test_refuses_a_result_outside_its_closed_lists(api: Api, stored: str, status: Object) -> None:
    assert try_status(api, stored, status)[0] == 422


def test_node_attestations_are_found_by_node(api: Api, stored: str) -> None:
    name = stored.rpartition("/")[2]
    found = api.items(f"{ATTESTATIONS}?fieldSelector=spec.nodeName%3D{name}")
    assert [each["metadata"]["name"] for each in found] == [name]


def write_status(plane: ControlPlane, path: str) -> str:
    plane.admin.merge_patch(
        f"{path}/status",
        {
            "status": {
                "conditions": [condition()],
                "signer": "Simulated",
                "expirationTime": "2026-11-23T12:15:00Z",
            }
        },
    )
    return path.rpartition("/")[2]


def test_get_answers_which_node_is_not_attested_and_why(plane: ControlPlane, stored: str) -> None:
    shown = plane.kubectl("get", "natt", write_status(plane, stored))
    header, row = shown.splitlines()
    assert header.split() == ["NAME", "ATTESTED", "REASON", "SIGNER", "EXPIRES", "AGE", "MESSAGE"]
    assert row.split()[1:5] == ["False", "CheckFailed", "Simulated", "2026-11-23T12:15:00Z"]
    assert "expected debugging forbidden, observed debugging allowed" in row


def test_wait_understands_the_condition(plane: ControlPlane, stored: str) -> None:
    name = write_status(plane, stored)
    arguments = ("wait", "--for=condition=Attested=False", f"natt/{name}", "--timeout=10s")
    assert "condition met" in plane.kubectl(*arguments)


def test_a_category_shows_all_kinds(plane: ControlPlane, stored: str) -> None:
    assert stored.rpartition("/")[2] in plane.kubectl("get", "attestation", "-o", "name")
