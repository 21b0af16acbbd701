"""Judges the nodes: which are attested, and whether they can run what asks for that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nodeproof.policy import SignerKind
from nodeproof_operator.check.findings import Finding, failed, names, ok, unreadable, warning
from nodeproof_operator.check.seen import Answers, Seen
from nodeproof_operator.cluster.errors import ApiError, NotFound
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.objects import GATE_PREFIX

NODES, RUNTIME_CLASSES = "nodes", "RuntimeClass"

_FIRST_POLICY = "write an AttestationPolicy (docs/policy.md); no node has a label without one"


def judge_nodes(seen: Seen) -> Iterator[Finding]:
    """Say of each policy how many of its nodes pass it."""
    policies, results = seen.policies, seen.results
    if isinstance(policies, NotFound) or isinstance(results, NotFound):
        return  # the CRDs are missing, which is said elsewhere
    if isinstance(policies, ApiError):
        yield unreadable(NODES, policies)
    elif isinstance(results, ApiError):
        yield unreadable(NODES, results)
    elif not policies:
        yield warning(NODES, "there is no AttestationPolicy", _FIRST_POLICY)
    else:
        current = _of_living_nodes(results, seen.nodes)
        for policy in policies:
            yield _policy(policy, current)
        yield from _simulated(current)


def _of_living_nodes(results: Sequence[Json], nodes: Answers) -> Sequence[Json]:
    """Return the results without those of Nodes that are gone, which will be collected."""
    if isinstance(nodes, ApiError):
        return results
    living = {each["metadata"]["name"] for each in nodes}
    return [each for each in results if each["metadata"]["name"] in living]


def _policy(policy: Json, results: Sequence[Json]) -> Finding:
    name, status = policy["metadata"]["name"], policy.get("status") or {}
    counts = [status.get(each) for each in ("attestedNodes", "matchingNodes")]
    ready = _condition(status, "Ready")
    step = f"kubectl get natt; kubectl describe attpol {name}"
    if ready.get("status") != "True":
        why = ready.get("message") or "the operator has not looked at it"
        return warning(NODES, f"policy {name} is not applied: {why}", step)
    attested, matching = (int(each or 0) for each in counts)
    text = f"policy {name}: {attested} of {matching} nodes are attested"
    if matching and attested >= matching:
        return ok(NODES, text)
    if not matching:
        return warning(NODES, f"policy {name} selects no node", step)
    return warning(NODES, "; ".join([text, *_reasons(name, results)]), step)


def _reasons(policy: str, results: Sequence[Json]) -> Iterator[str]:
    """Yield the reasons why nodes do not pass a policy, with the nodes."""
    groups: dict[str, set[str]] = {}
    for each in results:
        status = each.get("status") or {}
        outcomes = {one.get("name"): one.get("outcome") for one in status.get("policies") or ()}
        if outcomes.get(policy, "Passed") != "Passed":
            reason = str(_condition(status, "Attested").get("reason") or "not looked at")
            groups.setdefault(reason, set()).add(each["metadata"]["name"])
    for reason, those in sorted(groups.items()):
        yield f"{reason}: {names(those)}"


def _simulated(results: Sequence[Json]) -> Iterator[Finding]:
    those = [
        each["metadata"]["name"]
        for each in results
        if (each.get("status") or {}).get("signer") == SignerKind.SIMULATED
    ]
    if those:
        yield warning(
            NODES,
            f"the evidence of {names(those)} is simulated: it proves nothing",
            "never so in production: take the flag --allow-simulated away",
        )


def judge_runtime_classes(seen: Seen) -> Iterator[Finding]:
    """Say which nodes lack the handler of a RuntimeClass that leads to attested nodes."""
    classes, nodes = seen.runtime_classes, seen.nodes
    if isinstance(classes, ApiError):
        yield unreadable(RUNTIME_CLASSES, classes)
        return
    if isinstance(nodes, ApiError):
        yield unreadable(NODES, nodes)
        return
    for each in classes:
        selector = _selector(each)
        if any(key.startswith(GATE_PREFIX) for key in selector):
            yield _runtime_class(each, selector, nodes)


def _runtime_class(body: Json, selector: Mapping[str, str], nodes: Sequence[Json]) -> Finding:
    name, handler = body["metadata"]["name"], str(body.get("handler") or "")
    lacking = [each for each in nodes if not _has_handler(each, handler)]
    chosen = [each for each in lacking if selector.items() <= _labels(each).items()]
    step = (
        f"give these nodes' container runtime a handler {handler!r}, or set the handler that they "
        "have (chart value runtimeClass.handler; CRI-O's may be crun)"
    )
    if chosen:
        where = names(each["metadata"]["name"] for each in chosen)
        text = f"{name} leads to {where}, whose runtime has no handler {handler!r}: pods fail there"
        return failed(RUNTIME_CLASSES, text, step)
    if lacking:
        where = names(each["metadata"]["name"] for each in lacking)
        return warning(RUNTIME_CLASSES, f"{name}: no handler {handler!r} on {where}", step)
    return ok(RUNTIME_CLASSES, f"{name}: no node says that it lacks the handler {handler!r}")


def _has_handler(node: Json, handler: str) -> bool:
    """Return whether a node has a handler; one whose runtime lists none may have any."""
    listed = (node.get("status") or {}).get("runtimeHandlers")
    if not isinstance(listed, list) or not listed:
        return True
    return handler in {each.get("name", "") for each in listed if isinstance(each, Mapping)}


def _selector(body: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = (body.get("scheduling") or {}).get("nodeSelector") or {}
    return found


def _labels(node: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = node["metadata"].get("labels") or {}
    return found


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for each in status.get("conditions") or ():
        if each.get("type") == kind:
            found: Mapping[str, Any] = each
            return found
    return {}
