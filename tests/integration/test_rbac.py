"""The rights of our ServiceAccounts on a real cluster: all that is needed, and nothing besides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml

from nodeproof_dev.api import JSON_PATCH, Api, Object
from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("installation")

NAMESPACE = "nodeproof-system"
AGENTS = "nodeproof-agents"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
CORE = ""
OURS = "nodeproof.dev"
EXTENSIONS = "apiextensions.k8s.io"
LEASES = "coordination.k8s.io"
EVENTS = "events.k8s.io"
ENDORSEMENTS = [f"nodeproof-endorsements-{product}" for product in ("milan", "genoa", "turin")]


@dataclass(frozen=True)
class Right:
    """One verb on one resource, within our namespace unless said otherwise."""

    verb: str
    group: str
    resource: str
    name: str = ""
    namespace: str = NAMESPACE

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.name}".strip()


NEEDED = [
    *(Right(verb, CORE, "nodes", namespace="") for verb in ("get", "list", "watch", "patch")),
    Right("get", CORE, "namespaces", "kube-system", namespace=""),
    *(
        Right(verb, OURS, resource, namespace="")
        for verb in ("get", "list", "watch")
        for resource in ("attestationpolicies", "referencevaluesets", "nodeattestations")
    ),
    *(
        Right("get", EXTENSIONS, "customresourcedefinitions", f"{plural}.{OURS}", namespace="")
        for plural in ("attestationpolicies", "referencevaluesets", "nodeattestations")
    ),
    Right("create", OURS, "nodeattestations", namespace=""),
    Right("delete", OURS, "nodeattestations", "a-node", namespace=""),
    Right("patch", OURS, "nodeattestations/status", "a-node", namespace=""),
    Right("patch", OURS, "attestationpolicies/status", "a-policy", namespace=""),
    Right("create", "authentication.k8s.io", "tokenreviews", namespace=""),
    Right("get", CORE, "pods", "an-agent", namespace=AGENTS),
    Right("get", "apps", "daemonsets", "nodeproof-agent", namespace=AGENTS),
    *(
        Right(verb, CORE, "configmaps", "nodeproof-ca", namespace=AGENTS)
        for verb in ("get", "patch")
    ),
    Right("create", EVENTS, "events", namespace="default"),
    Right("create", LEASES, "leases"),
    Right("get", LEASES, "leases", "nodeproof-operator"),
    Right("update", LEASES, "leases", "nodeproof-operator"),
    *(
        Right(verb, CORE, resource, name)
        for verb in ("get", "patch")
        for resource, name in (
            ("secrets", "nodeproof-challenge-keys"),
            ("secrets", "nodeproof-serving-certificate"),
            ("configmaps", "nodeproof-challenge-keys"),
            *(("configmaps", name) for name in ENDORSEMENTS),
        )
    ),
    Right("list", CORE, "configmaps"),
]

DANGEROUS = [
    *(Right(verb, CORE, "nodes", namespace="") for verb in ("create", "update", "delete")),
    *(Right(verb, CORE, "nodes/status", namespace="") for verb in ("patch", "update")),
    Right("get", CORE, "nodes/proxy", namespace=""),
    Right("get", CORE, "secrets", "another"),
    Right("list", CORE, "secrets"),
    Right("create", CORE, "secrets"),
    Right("delete", CORE, "secrets", "nodeproof-challenge-keys"),
    Right("get", CORE, "secrets", "nodeproof-challenge-keys", namespace="default"),
    Right("create", CORE, "configmaps"),
    Right("get", CORE, "configmaps", "another"),
    Right("patch", CORE, "configmaps", "another"),
    Right("watch", CORE, "configmaps"),
    Right("list", CORE, "configmaps", namespace="kube-system"),
    Right("list", CORE, "configmaps", namespace=""),
    *(Right(verb, CORE, "configmaps", ENDORSEMENTS[0]) for verb in ("update", "delete")),
    Right("list", CORE, "pods"),
    Right("get", CORE, "pods"),
    Right("list", CORE, "pods", namespace=AGENTS),
    Right("get", CORE, "pods", namespace="default"),
    Right("list", CORE, "configmaps", namespace=AGENTS),
    Right("get", CORE, "secrets", "nodeproof-challenge-keys", namespace=AGENTS),
    Right("create", EVENTS, "events", namespace="kube-system"),
    Right("patch", EVENTS, "events", namespace="default"),
    Right("get", CORE, "events", namespace="default"),
    *(
        Right(verb, CORE, "pods", namespace=namespace)
        for verb in ("create", "patch", "delete")
        for namespace in (NAMESPACE, AGENTS)
    ),
    Right("create", CORE, "pods/exec", namespace=AGENTS),
    Right("create", CORE, "pods/eviction", namespace=AGENTS),
    Right("get", "apps", "daemonsets", "another", namespace=AGENTS),
    Right("patch", "apps", "daemonsets", "nodeproof-agent", namespace=AGENTS),
    Right("create", CORE, "serviceaccounts/token", "nodeproof-agent", namespace=AGENTS),
    Right("create", CORE, "serviceaccounts/token", "nodeproof-operator"),
    Right("impersonate", CORE, "users", namespace=""),
    Right("update", LEASES, "leases", "another"),
    Right("delete", LEASES, "leases", "nodeproof-operator"),
    Right("update", LEASES, "leases", "a-node", namespace="kube-node-lease"),
    *(
        Right(verb, OURS, resource, namespace="")
        for verb in ("create", "update", "patch", "delete")
        for resource in ("attestationpolicies", "referencevaluesets")
    ),
    Right("patch", OURS, "nodeattestations", namespace=""),
    Right("update", OURS, "nodeattestations/status", namespace=""),
    Right("deletecollection", OURS, "nodeattestations", namespace=""),
    Right("override", OURS, "nodes", namespace=""),
    Right("override", OURS, "nodeattestations", namespace=""),
    *(
        Right("patch", "admissionregistration.k8s.io", resource, namespace="")
        for resource in ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    ),
    Right("patch", EXTENSIONS, "customresourcedefinitions", namespace=""),
    Right("list", EXTENSIONS, "customresourcedefinitions", namespace=""),
    Right("patch", "rbac.authorization.k8s.io", "clusterroles", namespace=""),
]


def allowed(api: Api, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "name": right.name,
        "namespace": right.namespace,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(api.create(REVIEWS, review)["status"]["allowed"])


@pytest.fixture(scope="module")
def operator(plane: ControlPlane) -> Api:
    """The operator's ServiceAccount, by a token of its own."""
    return Api(plane.service_account(NAMESPACE, "nodeproof-operator"))


@pytest.fixture(scope="module")
def agent(plane: ControlPlane) -> Api:
    """The agent's ServiceAccount with a token for the API server, which no agent ever has."""
    return Api(plane.service_account(AGENTS, "nodeproof-agent"))


@pytest.fixture(scope="module")
def cleanup(plane: ControlPlane) -> Api:
    """The account of ``nodeproof-operator cleanup``."""
    return Api(plane.service_account(NAMESPACE, "nodeproof-cleanup"))


@pytest.fixture(scope="module")
def check(plane: ControlPlane) -> Api:
    """The account of ``nodeproof-operator check``."""
    return Api(plane.service_account(NAMESPACE, "nodeproof-check"))


CLEANUP_NEEDS = [
    *(Right(verb, CORE, "nodes", namespace="") for verb in ("get", "list", "patch")),
    *(Right(verb, OURS, "nodeattestations", namespace="") for verb in ("list", "delete")),
    Right("create", LEASES, "leases"),
    *(Right(verb, LEASES, "leases", "nodeproof-operator") for verb in ("get", "update")),
]


@pytest.mark.parametrize("right", CLEANUP_NEEDS, ids=str)
def test_the_cleanup_may(cleanup: Api, right: Right) -> None:
    assert allowed(cleanup, right)


@pytest.mark.parametrize("right", [*NEEDED, *DANGEROUS], ids=str)
def test_the_cleanup_may_do_nothing_else(cleanup: Api, right: Right) -> None:
    unnamed = replace(right, name="")
    assert allowed(cleanup, right) == (right in CLEANUP_NEEDS or unnamed in CLEANUP_NEEDS)


@pytest.mark.parametrize("right", [*NEEDED, *DANGEROUS], ids=str)
def test_the_check_may_change_nothing(check: Api, right: Right) -> None:
    assert right.verb in {"get", "list"} or not allowed(check, right)


@pytest.mark.parametrize("right", NEEDED, ids=str)
def test_the_operator_may(operator: Api, right: Right) -> None:
    assert allowed(operator, right)


@pytest.mark.parametrize("right", DANGEROUS, ids=str)
def test_the_operator_may_not(operator: Api, right: Right) -> None:
    assert not allowed(operator, right)


@pytest.mark.parametrize("right", [*NEEDED, *DANGEROUS], ids=str)
def test_the_agent_may_nothing(agent: Api, right: Right) -> None:
    assert not allowed(agent, right)


def status_of(api: Api, method: str, path: str, body: Any = None) -> int:
    kind = JSON_PATCH if isinstance(body, list) else "application/merge-patch+json"
    content_type = kind if method == "PATCH" else "application/json"
    return api.call(method, f"{path}?dryRun=All", body, content_type=content_type)[0]


@pytest.mark.parametrize("resource", ["secrets", "configmaps"])
def test_the_operator_fills_its_objects_only_as_it_read_them(operator: Api, resource: str) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/{resource}/nodeproof-challenge-keys"
    version = operator.get(path)["metadata"]["resourceVersion"]
    data: Object = {"data": {"probe": "AAAA"}}
    current = data | {"metadata": {"resourceVersion": version}}
    stale = data | {"metadata": {"resourceVersion": "1"}}
    assert status_of(operator, "PATCH", path, current) == 200
    assert status_of(operator, "PATCH", path, stale) == 409


def test_the_operator_finds_labelled_config_maps(operator: Api) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    found = operator.items(f"{path}?labelSelector=nodeproof.dev/endorsements%3Dtrue")
    assert {each["metadata"]["name"] for each in found} >= set(ENDORSEMENTS)


@pytest.mark.parametrize("name", ENDORSEMENTS)
def test_the_operator_writes_endorsements_only_as_it_read_them(operator: Api, name: str) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"
    version = operator.get(path)["metadata"]["resourceVersion"]

    def patch(condition: str) -> list[Object]:
        return [
            {"op": "add", "path": "/metadata/resourceVersion", "value": condition},
            {"op": "add", "path": "/data", "value": {"probe": "AAAA"}},
        ]

    assert status_of(operator, "PATCH", path, patch(version)) == 200
    assert status_of(operator, "PATCH", path, patch("1")) == 409


def test_the_operator_learns_which_cluster_it_is_in(operator: Api) -> None:
    assert operator.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]


def test_the_operator_has_tokens_reviewed(operator: Api) -> None:
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "not.a.token", "audiences": ["nodeproof"]},
    }
    answer = operator.create("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert not answer["status"].get("authenticated", False)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/nodes/any"),
        ("PATCH", "/api/v1/nodes/any/status"),
        ("GET", "/api/v1/secrets"),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods"),
    ],
)
def test_what_is_dangerous_is_refused_indeed(operator: Api, method: str, path: str) -> None:
    body: Object | None = {} if method == "PATCH" else None
    assert status_of(operator, method, path, body) == 403


def given() -> list[Right]:
    """Every right in the operator's roles as they are deployed; an empty name means any."""
    documents = yaml.safe_load_all((REPOSITORY / "deploy" / "rbac.yaml").read_text())
    return [
        Right(verb, group, resource, name, role["metadata"].get("namespace", ""))
        for role in documents
        for rule in role.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    ]


@pytest.mark.parametrize("right", given(), ids=str)
def test_no_right_is_given_that_is_not_needed(right: Right) -> None:
    known = NEEDED if right.name else [replace(each, name="") for each in NEEDED]
    assert right in known
