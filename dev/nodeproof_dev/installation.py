"""nodeproof on a cluster: its objects applied as an admin would, its operator run as a process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from nodeproof_dev.api import Api, Object
from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import ApiRefused, NotPossible
from nodeproof_dev.operator_process import SERVICE_ACCOUNT, OperatorProcess
from nodeproof_dev.process import stop_all, wait_until
from nodeproof_operator.cluster.objects import NAMESPACE
from nodeproof_operator.settings import NO_NETWORK

CRDS = REPOSITORY / "crds"
DEPLOY = REPOSITORY / "deploy"

_READY_SECONDS = 30.0
_PROBE = "admission-probe.nodeproof.dev"
_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Installation:
    """The objects of nodeproof on one cluster, and the operators started for it.

    Attributes:
        operators: Every replica that was started, in order, running or not.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        simulated_roots: Sequence[Path] = (),
        kds_url: str = NO_NETWORK,
        kds_ca_file: Path | None = None,
    ) -> None:
        """Prepare an installation.

        Args:
            plane: The cluster.
            simulated_roots: Certificates of simulated roots that operators are told to accept.
            kds_url: Where operators fetch what is missing; nowhere unless told.
            kds_ca_file: The CA that this server's certificate chains to; None: the system's.
        """
        self.operators: list[OperatorProcess] = []
        self._plane = plane
        self._options: dict[str, Any] = {
            "simulated_roots": tuple(simulated_roots),
            "kds_url": kds_url,
            "kds_ca_file": kds_ca_file,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def apply(self) -> None:
        """Apply namespaces, CRDs, RBAC, admission policies and the rest, and wait until they act.

        May be repeated. The operator's own Deployment is left out: here it is a process.

        Raises:
            ApiRefused: The API server does not accept an object.
            NotReadyInTime: It accepted them but does not act accordingly.
        """
        api = self._plane.admin
        crds = _documents(CRDS)
        for document in crds:
            api.apply(document)
        for document in crds:
            _wait_served(api, document)
        for document in _documents(DEPLOY):
            api.apply(document)
        _wait_policies_act(api)

    def start_operator(self, name: str = "", *, wait: bool = True) -> OperatorProcess:
        """Start one more replica of the operator.

        Args:
            name: Its name in the Lease and of its log; ``operator-N`` if empty.
            wait: Whether to return only when it is ready.

        Raises:
            ComponentFailed: It ended or did not become ready; its log's end is in the message.
        """
        name = name or f"operator-{len(self.operators) + 1}"
        kubeconfig = self._plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT)
        log_path = self._plane.directory / "logs" / f"{name}.log"
        replica = OperatorProcess(name, kubeconfig, log_path, **self._options)
        self.operators.append(replica)
        if wait:
            replica.start()
        else:
            replica.launch()
        return replica

    def operator_url(self) -> str:
        """Return the evidence service of a running operator, as the Service would.

        Raises:
            NotPossible: No operator runs.
        """
        for replica in self.operators:
            if replica.running:
                return replica.url
        raise NotPossible("no operator runs")

    def stop(self) -> None:
        """Stop all operators at the same time; the objects stay."""
        stop_all(child for replica in self.operators for child in replica.children)


def _documents(directory: Path) -> list[Object]:
    """Return the documents of a directory's files (not of its folders), in the files' order."""
    texts = (path.read_text() for path in sorted(directory.glob("*.yaml")))
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def _wait_served(api: Api, crd: Object) -> None:
    name, spec = crd["metadata"]["name"], crd["spec"]
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    api.wait_for(path, _is_established, seconds=_READY_SECONDS, what=f"CRD {name} established")
    served = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    api.wait_for(served, seconds=_READY_SECONDS, what=f"{served} served")


def _is_established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions", [])
    return ("Established", "True") in {(each["type"], each["status"]) for each in conditions}


def _wait_policies_act(api: Api) -> None:
    """Wait until ValidatingAdmissionPolicies applied before now decide on requests.

    No status tells that. The API server takes policies in the order in which they were written, so
    when one more that refuses a certain ConfigMap is obeyed, the earlier ones are too.
    """
    probe = _probe_documents()
    try:
        for document in probe:
            api.apply(document)
        wait_until(lambda: _is_refused(api), seconds=_READY_SECONDS, what="admission policies")
    finally:
        for document in probe:
            api.delete(api.path_of(document))


def _is_refused(api: Api) -> bool:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _PROBE}}
    try:
        api.create(f"{_CONFIG_MAPS}?dryRun=All", body)
    except ApiRefused as error:
        return _PROBE in str(error)
    return False


def _probe_documents() -> list[Object]:
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": _PROBE}}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
        "resourceNames": [_PROBE],
    }
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": _PROBE}],
    }
    binding = {"policyName": _PROBE, "validationActions": ["Deny"]}
    return [
        kind | {"kind": "ValidatingAdmissionPolicy", "spec": policy},
        kind | {"kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]
