"""Why pods are not ready, in the kubelet's and the scheduler's words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeproof_operator.check.findings import Finding, failed, names
from nodeproof_operator.cluster.gateway import Json

_IMAGE = (
    "make the image available to these nodes, or correct registry, repository, tag and pull "
    "secrets in the chart's values"
)

_STEPS: Mapping[str, str] = {
    "ImagePullBackOff": _IMAGE,
    "ErrImagePull": _IMAGE,
    "ErrImageNeverPull": _IMAGE,
    "InvalidImageName": _IMAGE,
    "CrashLoopBackOff": "kubectl -n {namespace} logs {pod} --previous",
    "Unschedulable": "make room, or change nodeSelector and tolerations in the chart's values",
}
_DESCRIBE = "kubectl -n {namespace} describe pod {pod}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a pod waits for."""

    reason: str
    message: str


def is_ready(pod: Json) -> bool:
    """Return whether a pod takes part."""
    return _condition(pod, "Ready").get("status") == "True"


def judge_pods(about: str, namespace: str, pods: Sequence[Json]) -> Iterator[Finding]:
    """Say why pods are not ready, once for each reason."""
    groups: dict[Waiting, list[Json]] = {}
    for pod in pods:
        if not is_ready(pod):
            groups.setdefault(waiting(pod), []).append(pod)
    for why, those in groups.items():
        step = _STEPS.get(why.reason, _DESCRIBE)
        name = min(str(each["metadata"]["name"]) for each in those)
        places = names({_place(each) for each in those})
        text = f"{why.reason} on {places}" + (f": {why.message}" if why.message else "")
        yield failed(about, text, step.format(namespace=namespace, pod=name))


def waiting(pod: Json) -> Waiting:
    """Return why a pod is not ready."""
    if "deletionTimestamp" in pod["metadata"]:
        return Waiting("Terminating", "")
    status = pod.get("status") or {}
    for each in _containers(status):
        stated = (each.get("state") or {}).get("waiting") or {}
        if stated.get("reason"):
            return Waiting(str(stated["reason"]), str(stated.get("message") or ""))
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return Waiting(str(scheduled.get("reason") or ""), str(scheduled.get("message") or ""))
    if status.get("reason"):
        return Waiting(str(status["reason"]), str(status.get("message") or ""))
    if any("running" in (each.get("state") or {}) for each in _containers(status)):
        return Waiting("NotReady", "it runs, and its readiness probe fails")
    return Waiting(str(status.get("phase") or "Pending"), "the kubelet says nothing of it yet")


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]


def _condition(pod: Json, kind: str) -> Mapping[str, Any]:
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            found: Mapping[str, Any] = each
            return found
    return {}


def _place(pod: Json) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or f"no node ({pod['metadata']['name']})")
