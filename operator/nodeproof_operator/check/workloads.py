"""Judges what runs: the operator, its leader and its service, the agents. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodeproof_operator.check.findings import Finding, failed, ok, unreadable, warning
from nodeproof_operator.check.pods import judge_pods
from nodeproof_operator.check.seen import Seen
from nodeproof_operator.cluster.errors import ApiError, NotFound
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.lease_spec import holder
from nodeproof_operator.cluster.objects import AGENT, CA_BUNDLE, OPERATOR

OPERATORS, LEADER, SERVICE, AGENTS = "operator", "leader", "service", "agents"


def judge_operator(seen: Seen) -> Iterator[Finding]:
    """Say whether the operator's replicas run."""
    deployment, pods, place = seen.deployment, seen.operator_pods, seen.place
    if isinstance(deployment, ApiError):
        yield unreadable(OPERATORS, deployment)
        return
    wanted = int(deployment["spec"].get("replicas", 1))
    available = int((deployment.get("status") or {}).get("availableReplicas") or 0)
    text = f"{available} of {wanted} replicas are available"
    if available >= wanted > 0:
        yield ok(OPERATORS, text)
        return
    logs = f"kubectl -n {place.namespace} describe deployment {OPERATOR}"
    yield failed(OPERATORS, text, logs)
    if isinstance(pods, ApiError):
        yield unreadable(OPERATORS, pods)
    else:
        yield from judge_pods(OPERATORS, place.namespace, pods)


def judge_lease(seen: Seen) -> Iterator[Finding]:
    """Say whether a replica leads: without one no label is set, and none is taken."""
    logs = f"kubectl -n {seen.place.namespace} logs deployment/{OPERATOR}"
    if isinstance(seen.lease, ApiError) and not isinstance(seen.lease, NotFound):
        yield unreadable(LEADER, seen.lease)
        return
    spec = {} if isinstance(seen.lease, ApiError) else seen.lease.get("spec") or {}
    who = holder(spec)
    if not who:
        yield failed(LEADER, "no replica holds the Lease: labels are neither set nor taken", logs)
    elif not seen.lease_renewed:
        yield failed(LEADER, f"{who} holds the Lease and does not renew it", logs)
    elif who.startswith("cleanup-"):
        yield failed(
            LEADER, f"a cleanup holds the Lease: {who}", "wait for it to end, or uninstall"
        )
    else:
        yield ok(LEADER, f"{who} holds the Lease and renews it")


def judge_service(seen: Seen) -> Iterator[Finding]:
    """Say whether agents can reach the evidence service and recognise it."""
    place = seen.place
    logs = f"kubectl -n {place.namespace} logs deployment/{OPERATOR}"
    if isinstance(seen.ca, ApiError):
        yield unreadable(SERVICE, seen.ca)
    elif not (seen.ca.get("data") or {}).get("ca.crt"):
        where = f"ConfigMap {place.agent_namespace}/{CA_BUNDLE}"
        yield failed(SERVICE, f"{where} is empty: the operator has published no CA", logs)
    elif seen.service_trouble:
        yield failed(
            SERVICE,
            f"{place.url}: {seen.service_trouble}",
            f"{logs}; is there a NetworkPolicy in the way?",
        )
    else:
        yield ok(SERVICE, f"{place.url} answers, recognised by the published CA")


def judge_agents(seen: Seen) -> Iterator[Finding]:
    """Say whether an agent runs on every node that is to have one."""
    daemon_set, pods = seen.daemon_set, seen.agent_pods
    if isinstance(daemon_set, ApiError):
        yield unreadable(AGENTS, daemon_set)
    elif isinstance(pods, ApiError):
        yield unreadable(AGENTS, pods)
    else:
        yield from _daemon_set(seen, daemon_set.get("status") or {}, _owned(pods, daemon_set))


def _daemon_set(seen: Seen, status: Json, pods: list[Json]) -> Iterator[Finding]:
    describe = f"kubectl -n {seen.place.agent_namespace} describe daemonset {AGENT}"
    desired = int(status.get("desiredNumberScheduled") or 0)
    ready = int(status.get("numberReady") or 0)
    text = f"{ready} of {desired} are ready"
    if desired == 0:
        yield warning(AGENTS, "no node is to have one", describe)
        return
    if ready >= desired:
        yield ok(AGENTS, text)
        return
    yield failed(AGENTS, text, describe)
    yield from judge_pods(AGENTS, seen.place.agent_namespace, pods)
    if len(pods) < desired:
        yield failed(AGENTS, f"{desired - len(pods)} pods could not be created", describe)


def _owned(pods: Sequence[Json], daemon_set: Json) -> list[Json]:
    uid = daemon_set["metadata"]["uid"]
    return [
        pod
        for pod in pods
        if any(each.get("uid") == uid for each in pod["metadata"].get("ownerReferences") or ())
    ]
