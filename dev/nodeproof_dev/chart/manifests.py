"""deploy/, generated from the chart: what it makes of its default values, for kubectl.

The CRDs are not among it: they lie in crds/, where they are written, and the chart has copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.helm import CHART, NAMESPACE, Helm

CRDS = REPOSITORY / "crds"
CRD_COPIES = CHART / "files" / "crds"
DEPLOY = REPOSITORY / "deploy"

FILES: Mapping[str, tuple[str, ...]] = {
    # Applied in the order of their names; the operator's Deployment in a folder of its own, since
    # in the development cluster the operator runs as a process of the host.
    "00-namespace.yaml": ("agent/namespace.yaml",),
    "admission.yaml": (
        "admission/nodes.yaml",
        "admission/operator-limits.yaml",
        "admission/nodeattestations.yaml",
    ),
    "agent.yaml": ("agent/daemonset.yaml",),
    "hooks.yaml": ("cleanup/rbac.yaml", "tests/rbac.yaml"),
    "network-policies.yaml": ("operator/network-policy.yaml", "agent/network-policy.yaml"),
    "objects.yaml": ("operator/objects.yaml", "operator/service.yaml"),
    "rbac.yaml": ("operator/rbac.yaml", "agent/rbac.yaml"),
    "runtimeclass.yaml": ("runtimeclass.yaml",),
    "workloads/operator.yaml": ("operator/deployment.yaml", "operator/disruption-budget.yaml"),
}
"""Each file of deploy/, and the templates whose objects it holds, in this order."""

LEFT_OUT = frozenset({"cleanup/job.yaml", "tests/check.yaml"})
"""Templates of what only Helm can run at the right moment."""

_HEADER = (
    "# Generated from charts/nodeproof by `make manifests`: change the chart, not this file.\n\n"
)

_OPERATORS_NAMESPACE = f"""\
# The operator's namespace, with the keys of evidence service and challenges. Nobody but cluster
# administrators should have rights in here. Pod Security: the operator satisfies "restricted" in
# full, and so does all else that runs here. The chart leaves it to `helm install`.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/part-of: nodeproof
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
"""

_SOURCE = re.compile(r"# Source: nodeproof/templates/(\S+)\n")
_HOOK = re.compile(r"^  annotations:\n(?:    helm\.sh/hook\S*: \S+\n)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Stale:
    """A generated file that is not what it should be; ``wanted`` is None where there is none."""

    path: Path
    wanted: str | None


def crd_copies() -> dict[Path, str]:
    """Return the chart's copies of the CRDs, by path."""
    return {CRD_COPIES / path.name: path.read_text() for path in sorted(CRDS.glob("*.yaml"))}


def deployed(helm: Helm) -> dict[Path, str]:
    """Return the files of deploy/, by path.

    Raises:
        HelmFailed: The chart cannot be rendered.
        ValueError: A template is in no file.
    """
    documents = dict(_by_template(helm.template({"crds": {"enabled": False}})))
    files = {DEPLOY / name: _file(documents, templates) for name, templates in FILES.items()}
    if left := set(documents) - LEFT_OUT - {each for names in FILES.values() for each in names}:
        raise ValueError(f"say in {__name__}.FILES where these templates go: {sorted(left)}")
    namespaces = DEPLOY / "00-namespace.yaml"
    agents = files[namespaces].removeprefix(_HEADER)
    return files | {namespaces: f"{_HEADER}{_OPERATORS_NAMESPACE}---\n{agents}"}


def stale(wanted: Mapping[Path, str], found: Iterator[Path]) -> list[Stale]:
    """Return what has to be written to have what is wanted, and what of the found has to go."""
    changed = [
        Stale(path, text)
        for path, text in wanted.items()
        if not path.exists() or path.read_text() != text
    ]
    return changed + [Stale(path, None) for path in found if path not in wanted]


def stale_crd_copies() -> list[Stale]:
    """Return the chart's copies of CRDs that are not what crds/ says."""
    return stale(crd_copies(), CRD_COPIES.glob("*"))


def stale_deployed(helm: Helm) -> list[Stale]:
    """Return the files of deploy/ that are not what the chart says."""
    ours = (path for folder in (DEPLOY, DEPLOY / "workloads") for path in folder.glob("*.yaml"))
    return stale(deployed(helm), ours)


def renew() -> list[Path]:
    """Write all of it; return what changed.

    Raises:
        BuildFailed: Helm cannot be built.
        HelmFailed: The chart cannot be rendered.
    """
    changed = list(_write(stale_crd_copies()))
    return changed + list(_write(stale_deployed(Helm.built())))


def _write(files: list[Stale]) -> Iterator[Path]:
    for each in files:
        if each.wanted is None:
            each.path.unlink()
        else:
            each.path.parent.mkdir(parents=True, exist_ok=True)
            each.path.write_text(each.wanted)
        yield each.path


def _by_template(rendered: str) -> Iterator[tuple[str, str]]:
    """Yield each template's documents, joined, in Helm's order of kinds."""
    joined: dict[str, list[str]] = {}
    for document in re.split(r"^---\n", rendered, flags=re.MULTILINE):
        found = _SOURCE.search(document)
        if found is not None:
            text = _HOOK.sub("", _SOURCE.sub("", document)).strip() + "\n"
            joined.setdefault(found[1], []).append(text)
    for name, texts in joined.items():
        yield name, "---\n".join(texts)


def _file(documents: Mapping[str, str], templates: tuple[str, ...]) -> str:
    return _HEADER + "---\n".join(documents[each] for each in templates)
