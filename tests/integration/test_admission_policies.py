"""Who may touch our labels, our taint and our results, by RBAC, NodeRestriction and CEL together.

Every attempt is a dry run, which passes admission as the real request would, against a Node or a
result whose marks were read just before: no operator that runs beside can change the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from cases.marked_node import (
    CHANGE_LABEL,
    FOREIGN_TAINTS,
    GATE,
    REMOVE_LABEL,
    SET_LABEL,
    attempted,
    kubelet,
    node_document,
    our_taint,
)
from nodeproof_dev.api import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Api, Object
from nodeproof_dev.controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("installation")

NODES = "/api/v1/nodes"
ATTESTATIONS = "/apis/nodeproof.dev/v1alpha1/nodeattestations"
RBAC = "rbac.authorization.k8s.io"
NAMESPACE = "nodeproof-system"
POISON = "9999-12-31T23:59:59-05:00"
"""The API server stores this as a time of the year 10000."""


@pytest.fixture(scope="module")
def admin(plane: ControlPlane) -> Api:
    """The admin's client, which holds the verb `override` as it holds every verb."""
    return plane.admin


@pytest.fixture(scope="module")
def operator(plane: ControlPlane) -> Api:
    """The operator's ServiceAccount, by a token of its own."""
    return Api(plane.service_account(NAMESPACE, "nodeproof-operator"))


@pytest.fixture(scope="module")
def reporter(plane: ControlPlane, admin: Api) -> Iterator[Api]:
    """A ServiceAccount like those that report node problems, and with more rights than those."""
    name = f"reporter-{uuid4().hex[:8]}"
    user = f"system:serviceaccount:default:{name}"
    rules = [
        {"apiGroups": [""], "resources": ["nodes", "nodes/status"], "verbs": ["patch", "create"]},
        {
            "apiGroups": ["nodeproof.dev"],
            "resources": ["nodeattestations", "nodeattestations/status"],
            "verbs": ["get", "create", "patch", "update", "delete"],
        },
    ]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    binding = role | {"kind": "ClusterRoleBinding"}
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": user}]
    admin.apply(role | {"rules": rules})
    admin.apply(binding | {"roleRef": reference, "subjects": subjects})
    yield plane.identity(user, ("system:serviceaccounts", "system:serviceaccounts:default"))
    admin.delete(admin.path_of(binding))
    admin.delete(admin.path_of(role))


@pytest.fixture(scope="module")
def node(plane: ControlPlane, admin: Api) -> Iterator[str]:
    """The path of a Node that its kubelet has registered."""
    name = f"marked-{uuid4().hex[:8]}"
    kubelet(plane, name).create(NODES, node_document(name))
    yield f"{NODES}/{name}"
    admin.delete(f"{NODES}/{name}")


@pytest.fixture(scope="module")
def own_kubelet(plane: ControlPlane, node: str) -> Api:
    """The kubelet of that Node."""
    return kubelet(plane, node.rpartition("/")[2])


Attempt = Callable[..., tuple[int, str]]


@pytest.fixture
def attempt(admin: Api, node: str) -> Attempt:
    """Try a merge patch on the marked Node; return status and message."""

    def tried(api: Api, patch: Object, subresource: str = "") -> tuple[int, str]:
        return attempted(admin, node, api, patch, subresource)

    return tried


def condition(time: str) -> Object:
    stated = {"type": "Test", "status": "True", "reason": "Test", "message": ""}
    return {"status": {"conditions": [stated | {"lastTransitionTime": time}]}}


OWNER = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "name": "own", "uid": str(uuid4())}


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize("patch", [SET_LABEL, CHANGE_LABEL, REMOVE_LABEL], ids=str)
def test_a_kubelet_cannot_touch_our_labels(
    attempt: Attempt, own_kubelet: Api, patch: Object, subresource: str
) -> None:
    status, message = attempt(own_kubelet, patch, subresource)
    assert status == 403
    assert "is not allowed to" in message


def test_a_kubelet_cannot_register_with_our_label(plane: ControlPlane) -> None:
    body = node_document("fresh", labels={f"{GATE}confidential": "true"})
    status, answer = kubelet(plane, "fresh").call("POST", f"{NODES}?dryRun=All", body)
    assert status == 403
    assert "is not allowed to set the following labels" in answer["message"]


@pytest.mark.parametrize("effect", [None, "PreferNoSchedule"])
def test_a_kubelet_cannot_remove_or_weaken_our_taint(
    attempt: Attempt, own_kubelet: Api, effect: str | None
) -> None:
    status, message = attempt(own_kubelet, our_taint(effect))
    assert status == 403
    assert "is not allowed to modify taints" in message


@pytest.mark.parametrize("subresource", ["", "/status"])
def test_a_kubelet_cannot_hold_its_node_with_a_finalizer(
    attempt: Attempt, own_kubelet: Api, subresource: str
) -> None:
    patch = {"metadata": {"finalizers": ["example.org/hold"]}}
    status, message = attempt(own_kubelet, patch, subresource)
    assert status == 403
    assert "finalizers of a Node are set neither by its kubelet" in message


def test_a_kubelet_cannot_register_with_an_owner(plane: ControlPlane) -> None:
    body = node_document("fresh", ownerReferences=[OWNER])
    status, answer = kubelet(plane, "fresh").call("POST", f"{NODES}?dryRun=All", body)
    assert status == 403
    assert "ownerReferences" in answer["message"]


def test_a_kubelet_cannot_poison_its_node(attempt: Attempt, own_kubelet: Api) -> None:
    status, message = attempt(own_kubelet, condition(POISON), "/status")
    assert status == 403
    assert "makes a Node impossible to patch" in message


def test_a_kubelet_cannot_register_poisoned(plane: ControlPlane) -> None:
    taint = {"key": "a", "effect": "NoExecute", "timeAdded": POISON}
    for poison in ({"spec": {"taints": [taint]}}, condition(POISON)):
        body = node_document("fresh") | poison
        status, answer = kubelet(plane, "fresh").call("POST", f"{NODES}?dryRun=All", body)
        assert status == 403
        assert "makes a Node impossible to patch" in answer["message"]


def test_a_kubelets_ordinary_work_goes_on(attempt: Attempt, own_kubelet: Api) -> None:
    assert attempt(own_kubelet, condition("2026-11-23T12:00:00Z"), "/status") == (200, "")
    assert attempt(own_kubelet, {"metadata": {"labels": {"example.org/a": "b"}}}) == (200, "")


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize("patch", [SET_LABEL, CHANGE_LABEL], ids=str)
def test_a_service_account_that_may_patch_nodes_cannot_set_our_labels(
    attempt: Attempt, reporter: Api, patch: Object, subresource: str
) -> None:
    status, message = attempt(reporter, patch, subresource)
    assert status == 403
    assert f"only the nodeproof operator sets {GATE.rstrip('/')} labels" in message


@pytest.mark.parametrize("subresource", ["", "/status"])
def test_a_service_account_that_may_patch_nodes_cannot_remove_our_labels(
    attempt: Attempt, reporter: Api, subresource: str
) -> None:
    status, message = attempt(reporter, REMOVE_LABEL, subresource)
    assert status == 403
    assert "only the nodeproof operator removes" in message


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (
            JSON_PATCH,
            [{"op": "add", "path": f"/metadata/labels/{GATE[:-1]}~1confidential", "value": "true"}],
        ),
        (APPLY_PATCH, {"apiVersion": "v1", "kind": "Node"} | SET_LABEL),
    ],
    ids=["JSON patch", "server-side apply"],
)
def test_no_kind_of_patch_sets_our_labels(
    reporter: Api, node: str, content_type: str, body: object, subresource: str
) -> None:
    path = f"{node}{subresource}?dryRun=All"
    if content_type == APPLY_PATCH:
        path += "&fieldManager=reporter"
    status, answer = reporter.call("PATCH", path, body, content_type=content_type)
    assert status == 403
    assert "only the nodeproof operator sets" in answer["message"]


def test_nobody_creates_a_node_with_our_label(reporter: Api) -> None:
    body = node_document("fresh", labels={f"{GATE}confidential": "true"})
    status, answer = reporter.call("POST", f"{NODES}?dryRun=All", body)
    assert status == 403
    assert "only the nodeproof operator sets" in answer["message"]


@pytest.mark.parametrize("effect", [None, "PreferNoSchedule"])
def test_a_service_account_cannot_remove_or_weaken_our_taint(
    attempt: Attempt, reporter: Api, effect: str | None
) -> None:
    status, message = attempt(reporter, our_taint(effect))
    assert status == 403
    assert "only the nodeproof operator removes or weakens the taint" in message


def test_everybody_may_strengthen_our_taint(attempt: Attempt, reporter: Api) -> None:
    assert attempt(reporter, our_taint("NoExecute")) == (200, "")


@pytest.mark.parametrize(
    "metadata", [{"finalizers": ["example.org/hold"]}, {"ownerReferences": [OWNER]}], ids=str
)
def test_nobody_holds_or_discards_a_node_by_its_status(
    attempt: Attempt, reporter: Api, metadata: Object
) -> None:
    status, message = attempt(reporter, {"metadata": metadata}, "/status")
    assert status == 403
    assert "by way of nodes/status" in message


def test_reporting_a_nodes_problems_goes_on(attempt: Attempt, reporter: Api) -> None:
    assert attempt(reporter, condition("2026-11-23T12:00:00Z"), "/status") == (200, "")


def test_an_admin_may_break_the_glass(attempt: Attempt, admin: Api) -> None:
    assert attempt(admin, SET_LABEL | our_taint(None)) == (200, "")


@pytest.mark.parametrize(
    "patch",
    [
        SET_LABEL,
        REMOVE_LABEL,
        our_taint(None),
        our_taint("NoExecute"),
        SET_LABEL | our_taint(None),
        REMOVE_LABEL | {"status": None},
    ],
    ids=str,
)
def test_the_operator_does_its_work(attempt: Attempt, operator: Api, patch: Object) -> None:
    assert attempt(operator, patch) == (200, "")


@pytest.mark.parametrize(
    ("patch", "because"),
    [
        ({"metadata": {"labels": {"example.org/zone": "b"}}}, "no labels of a Node but its own"),
        ({"metadata": {"labels": {"example.org/zone": None}}}, "no labels of a Node but its own"),
        ({"metadata": {"labels": {"nodeproof.dev/x": ""}}}, "no labels of a Node but its own"),
        ({"spec": {"taints": FOREIGN_TAINTS[:1]}}, "no taint of a Node but its own"),
        ({"spec": {"taints": FOREIGN_TAINTS[::-1]}}, "no taint of a Node but its own"),
        ({"spec": {"taints": []}}, "no taint of a Node but its own"),
        ({"metadata": {"annotations": {"example.org/note": None}}}, "but its own labels"),
        ({"metadata": {"annotations": {"kopf.dev/last": "x"}}}, "but its own labels"),
        ({"metadata": {"finalizers": ["kopf.dev/marker"]}}, "but its own labels"),
        ({"metadata": {"ownerReferences": [OWNER]}}, "but its own labels"),
        ({"spec": {"unschedulable": True}}, "but its own labels"),
        ({"spec": {"providerID": "simulated://1"}}, "but its own labels"),
    ],
    ids=str,
)
def test_the_operator_can_touch_nothing_else_on_a_node(
    attempt: Attempt, operator: Api, patch: Object, because: str
) -> None:
    status, message = attempt(operator, patch)
    assert status == 403
    assert because in message


@pytest.fixture
def attestation(admin: Api, unique_name: str) -> Iterator[str]:
    """The path of a NodeAttestation."""
    body = {
        "apiVersion": "nodeproof.dev/v1alpha1",
        "kind": "NodeAttestation",
        "metadata": {"name": unique_name},
        "spec": {"nodeName": unique_name, "nodeUID": "a-node-uid"},
    }
    admin.create(ATTESTATIONS, body)
    yield f"{ATTESTATIONS}/{unique_name}"
    admin.delete(f"{ATTESTATIONS}/{unique_name}")


def forge(api: Api, path: str) -> tuple[int, str]:
    forged = condition("2026-11-23T12:00:00Z")
    forged["status"]["conditions"][0]["type"] = "Attested"
    status, answer = api.call(
        "PATCH", f"{path}/status?dryRun=All", forged, content_type=MERGE_PATCH
    )
    return status, answer.get("message", "")


def test_a_result_cannot_be_forged_by_who_may_write_it(reporter: Api, attestation: str) -> None:
    status, message = forge(reporter, attestation)
    assert status == 403
    assert "only the nodeproof operator writes the status of a NodeAttestation" in message


def test_a_result_cannot_be_replaced_by_who_may_write_it(reporter: Api, attestation: str) -> None:
    body = reporter.get(attestation) | {"status": {"signer": "VCEK"}}
    status, answer = reporter.call("PUT", f"{attestation}/status?dryRun=All", body)
    assert status == 403
    assert "only the nodeproof operator writes" in answer["message"]


def test_the_operator_writes_results(operator: Api, attestation: str) -> None:
    assert forge(operator, attestation) == (200, "")


def test_an_admin_may_write_a_result(admin: Api, attestation: str) -> None:
    """It helps nobody: the operator believes evidence, never a result."""
    assert forge(admin, attestation) == (200, "")


def test_results_may_be_deleted_by_who_has_the_right(reporter: Api, attestation: str) -> None:
    assert reporter.call("DELETE", f"{attestation}?dryRun=All")[0] == 200


@pytest.mark.parametrize("name", ["nodes", "operator-limits", "nodeattestations"])
def test_the_api_server_finds_no_mistake_in_our_expressions(admin: Api, name: str) -> None:
    path = f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{name}.nodeproof.dev"
    generation = admin.get(path)["metadata"]["generation"]
    checked = admin.wait_for(
        path, lambda seen: seen.get("status", {}).get("observedGeneration") == generation
    )
    assert "expressionWarnings" not in checked["status"]["typeChecking"]
