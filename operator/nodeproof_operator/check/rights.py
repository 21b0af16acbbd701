"""What the operator must be allowed to do, as the API server is asked about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nodeproof.policy import GROUP
from nodeproof.sevsnp.products import Product
from nodeproof_operator.check.findings import Finding, failed, names, ok, unreadable
from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.kinds import CUSTOM_KINDS, Kind
from nodeproof_operator.cluster.objects import (
    AGENT,
    CA_BUNDLE,
    CHALLENGE_KEYS,
    OPERATOR,
    SERVING_CERTIFICATE,
    endorsements,
)

ABOUT = "rights"


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource; ``namespace`` and ``name`` are empty for all."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{' ' if self.name else ''}{self.name}{place}"

    def review(self, namespace: str) -> Json:
        """Return the question whether the operator of a namespace has this right."""
        resource, _, subresource = self.resource.partition("/")
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{OPERATOR}",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{namespace}",
                    "system:authenticated",
                ],
                "resourceAttributes": {
                    "verb": self.verb,
                    "group": self.group,
                    "resource": resource,
                    "subresource": subresource,
                    "namespace": self.namespace,
                    "name": self.name,
                },
            },
        }


def operators_rights(namespace: str, agent_namespace: str) -> tuple[Right, ...]:
    """Return all rights that the operator needs."""
    return (
        *_cluster_wide(),
        *_own(namespace),
        Right("get", "", "pods", agent_namespace),
        Right("get", "apps", "daemonsets", agent_namespace, AGENT),
        *(Right(verb, "", "configmaps", agent_namespace, CA_BUNDLE) for verb in ("get", "patch")),
        Right("create", "events.k8s.io", "events", "default"),
    )


def judge_rights(rights: Mapping[Right, bool | ApiError]) -> Iterator[Finding]:
    """Say what the operator may not do."""
    errors = [each for each in rights.values() if isinstance(each, ApiError)]
    if errors:
        yield unreadable(ABOUT, errors[0])
        return
    missing = [right for right, allowed in rights.items() if not allowed]
    if missing:
        yield failed(
            ABOUT,
            f"the operator may not {names(map(str, missing))}",
            "bind its roles again: apply chart or deploy/rbac.yaml",
        )
    else:
        yield ok(ABOUT, f"the operator has all {len(rights)} that it needs")


def _cluster_wide() -> Iterator[Right]:
    for verb in ("get", "list", "watch", "patch"):
        yield Right(verb, "", "nodes")
    yield Right("get", "", "namespaces", name="kube-system")
    for kind in CUSTOM_KINDS:
        yield Right(
            "get", "apiextensions.k8s.io", "customresourcedefinitions", name=f"{kind}.{GROUP}"
        )
        for verb in ("get", "list", "watch"):
            yield Right(verb, GROUP, kind.value)
    for verb in ("create", "delete"):
        yield Right(verb, GROUP, Kind.NODE_ATTESTATION.value)
    for kind in (Kind.NODE_ATTESTATION, Kind.POLICY):
        yield Right("patch", GROUP, f"{kind.value}/status")
    yield Right("create", "authentication.k8s.io", "tokenreviews")


def _own(namespace: str) -> Iterator[Right]:
    yield Right("create", "coordination.k8s.io", "leases", namespace)
    for verb in ("get", "update"):
        yield Right(verb, "coordination.k8s.io", "leases", namespace, OPERATOR)
    for verb in ("get", "patch"):
        for name in (CHALLENGE_KEYS, SERVING_CERTIFICATE):
            yield Right(verb, "", "secrets", namespace, name)
        for name in (CHALLENGE_KEYS, *(endorsements(product) for product in Product)):
            yield Right(verb, "", "configmaps", namespace, name)
    yield Right("list", "", "configmaps", namespace)
