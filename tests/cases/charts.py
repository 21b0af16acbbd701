"""The chart with values of several kinds of cluster, rendered once a run each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from nodeproof_dev.errors import GoMissing
from nodeproof_dev.helm import Helm

Manifest = dict[str, Any]
Values = dict[str, Any]

ARK = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
DIGEST = "sha256:" + "0123456789abcdef" * 4

DEVICE_PLUGIN: Values = {
    "agent": {
        "provider": "sev-guest",
        "devicePlugin": {"resource": "amd.com/sev-snp"},
        "priorityClassName": "",
    },
    "operator": {"priorityClassName": ""},
}
PRIVILEGED: Values = {"agent": {"provider": "sev-guest", "privileged": True}}
SIMULATED: Values = {
    "agent": {"provider": "simulated", "simulated": {"hostPath": "/var/lib/simulated"}},
    "operator": {"allowSimulated": {"ark": ARK}},
}
AIR_GAP: Values = {
    "image": {
        "registry": "registry.internal:5000/mirror/",
        "pullPolicy": "Never",
        "pullSecrets": ["registry"],
    },
    "operator": {"image": {"digest": DIGEST}, "kds": {"url": "off"}},
    "agent": {"image": {"tag": "0.1.1"}},
    "networkPolicies": {"apiServerPorts": [6443], "dnsPorts": [53]},
}
MIRROR: Values = {
    "operator": {
        "kds": {
            "url": "https://kds.internal:8444/mirror",
            "caConfigMap": "internal-ca",
            "proxySecret": "proxy",
        }
    },
    "networkPolicies": {"kdsPorts": [8444, 3128]},
}
CERT_MANAGER: Values = {
    "certManager": {"enabled": True, "issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}
}
BARE: Values = {
    "crds": {"enabled": False},
    "admissionPolicies": {"enabled": False},
    "runtimeClass": {"create": False},
    "networkPolicies": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
    "cleanup": {"enabled": False},
}
PLACED: Values = {
    "operator": {
        "replicas": 3,
        "logLevel": "debug",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "pool", "operator": "Equal", "value": "system"}],
        "affinity": {"podAntiAffinity": {}},
        "podAnnotations": {"example.org/team": "a"},
        "resources": {"requests": {"cpu": 1}, "limits": {"memory": "2Gi"}},
    },
    "agent": {
        "namespace": {"name": "attesting"},
        "logLevel": "warning",
        "nodeSelector": {"pool": "confidential"},
        "tolerations": [{"key": "nodeproof.dev/unattested", "operator": "Exists"}],
        "podAnnotations": {"example.org/team": "b"},
    },
    "runtimeClass": {"name": "confidential", "handler": "crun", "policy": "strict"},
    "networkPolicies": {"metricsNamespaces": ["monitoring"]},
    "cleanup": {"results": "delete"},
    "check": {"waitSeconds": 20},
    "crds": {"keep": False},
}

CASES: dict[str, Values] = {
    "default": {},
    "device-plugin": DEVICE_PLUGIN,
    "privileged": PRIVILEGED,
    "simulated": SIMULATED,
    "air-gap": AIR_GAP,
    "mirror": MIRROR,
    "cert-manager": CERT_MANAGER,
    "bare": BARE,
    "placed": PLACED,
}


def built_helm() -> Helm:
    """Return Helm, built if there is Go; skip the test if there is not."""
    try:
        return Helm.built(fetch_go=False)
    except GoMissing as error:
        pytest.skip(f"Helm is not built: {error}; `make test` fetches Go")


@dataclass
class Rendered:
    """What the chart makes of values."""

    manifests: list[Manifest]

    def find(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """Return the only object of that kind and name (and namespace, if given)."""
        (only,) = (
            each
            for each in self.manifests
            if (each["kind"], each["metadata"]["name"]) == (kind, name)
            and namespace in {None, each["metadata"].get("namespace")}
        )
        return only

    def kinds(self) -> set[str]:
        """Return the kinds of all objects."""
        return {each["kind"] for each in self.manifests}

    def pods(self) -> dict[str, Manifest]:
        """Return the pods and templates of pods, by the owner's name."""
        found = {}
        for each in self.manifests:
            if each["kind"] == "Pod":
                found[each["metadata"]["name"]] = each
            elif "template" in each.get("spec", {}):
                found[each["metadata"]["name"]] = each["spec"]["template"]
        return found

    def container(self, name: str) -> Manifest:
        """Return the only container of a pod."""
        (only,) = self.pods()[name]["spec"]["containers"]
        return dict(only)


@dataclass
class Charts:
    """Renders the chart, each combination of values once."""

    helm: Helm
    _known: dict[str, Rendered] = field(default_factory=dict)

    def render(self, values: Values) -> Rendered:
        """Return the objects, hooks and CRDs among them."""
        key = json.dumps(values, sort_keys=True)
        if key not in self._known:
            documents = yaml.load_all(self.helm.template(values), _LOADER)
            self._known[key] = Rendered([each for each in documents if each])
        return self._known[key]


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The CRDs are long: PyYAML's own loader takes a second for them."""
