"""The chart on a real API server without kubelets: what it accepts, and what Helm makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cases.charts import CASES, Charts, Manifest, Rendered, built_helm
from nodeproof_dev.api import APPLY_PATCH, Api, Object
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import HelmFailed
from nodeproof_dev.helm import NAMESPACE, Helm

pytestmark = pytest.mark.cluster

AGENTS = "nodeproof-agents"
SYSTEM = "dry-run-system"
DRY_AGENTS = "dry-run-agents"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
OURS = "/apis/nodeproof.dev/v1alpha1"
KEPT = [f"{CRD}/{name}.nodeproof.dev" for name in ("attestationpolicies", "nodeattestations")]
NOT_SERVED = {"Certificate"}
POLICY: Object = {
    "apiVersion": "nodeproof.dev/v1alpha1",
    "kind": "AttestationPolicy",
    "metadata": {"name": "strict"},
    "spec": {"referenceValueSetNames": ["images"], "nodeSelector": {}},
}


@pytest.fixture(scope="module")
def helm() -> Helm:
    """Helm without a cluster."""
    return built_helm()


@pytest.fixture(scope="module")
def cluster(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of this module's own: Helm wants no objects there that are not its own."""
    assert helm.binary.exists()
    with ControlPlane.start(tmp_path_factory.mktemp("chart")) as started:
        yield started


@pytest.fixture(scope="module")
def admin(cluster: ControlPlane) -> Api:
    return cluster.admin


@pytest.fixture
def on_cluster(helm: Helm, cluster: ControlPlane) -> Iterator[Helm]:
    """Helm with the cluster; a release that a test leaves is uninstalled."""
    ours = replace(helm, kubeconfig=cluster.admin_kubeconfig)
    yield ours
    ours.uninstall("--no-hooks", "--ignore-not-found", "--wait")


@pytest.fixture
def released(on_cluster: Helm) -> Helm:
    """The chart, installed with its default values."""
    on_cluster.install({}, "--no-hooks")
    return on_cluster


def restricted(name: str) -> Object:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": label}}


@pytest.fixture(scope="module")
def charts(helm: Helm) -> Charts:
    return Charts(replace(helm, namespace=SYSTEM))


@pytest.fixture(params=CASES)
def rendered(request: pytest.FixtureRequest, charts: Charts, admin: Api) -> Rendered:
    """The chart for each kind of cluster, with its namespaces and accounts there already."""
    values = CASES[request.param]
    named = values | {"agent": values.get("agent", {}) | {"namespace": {"name": DRY_AGENTS}}}
    rendered = charts.render(named)
    admin.apply(restricted(SYSTEM))
    admin.apply(rendered.find("Namespace", DRY_AGENTS))
    for each in rendered.manifests:
        if each["kind"] == "ServiceAccount":
            admin.apply(each)
    return rendered


def dry_run(admin: Api, document: Manifest) -> tuple[int, Object]:
    path = f"{admin.path_of(document)}?dryRun=All&force=true&fieldManager=t&fieldValidation=Strict"
    return admin.call("PATCH", path, document, content_type=APPLY_PATCH)


def test_the_api_server_accepts_every_object(admin: Api, rendered: Rendered) -> None:
    for each in rendered.manifests:
        if each["kind"] not in NOT_SERVED:
            status, answer = dry_run(admin, each)
            assert status in {200, 201}, (each["kind"], each["metadata"]["name"], answer)


def pod(name: str, template: Manifest, namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": template["spec"],
    }


def test_pod_security_lets_every_pod_in(admin: Api, rendered: Rendered) -> None:
    for name, template in rendered.pods().items():
        namespace = DRY_AGENTS if name == "nodeproof-agent" else SYSTEM
        status, answer = dry_run(admin, pod(f"a-{name}", template, namespace))
        assert status == 201, (name, answer)


def test_pod_security_would_keep_an_agent_out_of_the_operators_namespace(
    admin: Api, rendered: Rendered
) -> None:
    account = {"name": "nodeproof-agent", "namespace": SYSTEM}
    admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    agent = pod("an-agent", rendered.pods()["nodeproof-agent"], SYSTEM)
    status, answer = dry_run(admin, agent)
    assert status == 403
    assert 'violates PodSecurity "restricted' in answer["message"]


FILLED = [
    f"/api/v1/namespaces/{NAMESPACE}/secrets/nodeproof-challenge-keys",
    f"/api/v1/namespaces/{NAMESPACE}/secrets/nodeproof-serving-certificate",
    f"/api/v1/namespaces/{NAMESPACE}/configmaps/nodeproof-challenge-keys",
    f"/api/v1/namespaces/{NAMESPACE}/configmaps/nodeproof-endorsements-milan",
    f"/api/v1/namespaces/{AGENTS}/configmaps/nodeproof-ca",
]


def test_an_upgrade_takes_nothing_from_what_the_operator_wrote(
    cluster: ControlPlane, admin: Api, released: Helm
) -> None:
    operator = Api(cluster.service_account(NAMESPACE, "nodeproof-operator"))
    for path in FILLED:
        operator.merge_patch(path, {"data": {"written": "AAAA"}})
    released.upgrade({"operator": {"replicas": 3}}, "--no-hooks")
    deployment = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/nodeproof-operator"
    assert admin.get(deployment)["spec"]["replicas"] == 3
    assert [admin.get(path)["data"] for path in FILLED] == [{"written": "AAAA"}] * len(FILLED)


def test_a_second_release_is_refused_and_told_of_the_first(admin: Api, released: Helm) -> None:
    second = replace(released, release="other", namespace="other-system")
    said = f'already, as release "nodeproof" in namespace "{NAMESPACE}"'
    with pytest.raises(HelmFailed, match=said):
        second.install({"agent": {"namespace": {"name": "other-agents"}}})
    assert admin.find("/api/v1/namespaces/other-agents") is None


def test_the_same_name_in_another_namespace_is_a_second_release(released: Helm) -> None:
    with pytest.raises(HelmFailed, match="two would undo each other's work"):
        replace(released, namespace="other-system").install()


def test_what_was_applied_without_helm_is_not_taken_over_silently(
    admin: Api, on_cluster: Helm, charts: Charts
) -> None:
    role = charts.render({}).find("ClusterRole", "nodeproof-operator")
    admin.apply(role)
    with pytest.raises(HelmFailed, match="invalid ownership metadata"):
        on_cluster.install({}, "--no-hooks")
    admin.delete(admin.path_of(role))


def test_uninstalling_keeps_crds_and_policies_and_an_installation_takes_them_over(
    admin: Api, released: Helm
) -> None:
    admin.wait_for(f"{OURS}/attestationpolicies")
    admin.apply(POLICY)
    released.uninstall("--no-hooks", "--wait")
    gone = [f"{RBAC}/clusterroles/nodeproof-operator", f"/api/v1/namespaces/{AGENTS}", *FILLED]
    assert [path for path in gone if admin.find(path)] == []
    assert [path for path in KEPT if admin.find(path) is None] == []
    released.install({}, "--no-hooks")
    assert admin.find(f"{OURS}/attestationpolicies/strict")
    admin.delete(f"{OURS}/attestationpolicies/strict")


def test_crds_go_if_that_is_asked_for(admin: Api, released: Helm) -> None:
    released.upgrade({"crds": {"keep": False}}, "--no-hooks")
    released.uninstall("--no-hooks", "--wait")
    for path in KEPT:
        admin.wait_gone(path)


def test_nothing_is_uninstalled_while_the_cleanup_cannot_run(admin: Api, released: Helm) -> None:
    """No kubelet runs the hook's Job here, as where its image cannot be pulled."""
    with pytest.raises(HelmFailed, match="nodeproof-cleanup"):
        released.uninstall("--timeout", "5s")
    jobs = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
    assert admin.find(f"{jobs}/nodeproof-cleanup")
    assert admin.find(f"{RBAC}/clusterroles/nodeproof-operator")
    # The account that may unlabel nodes does not outlive the attempt.
    assert admin.find(f"{RBAC}/clusterroles/nodeproof-cleanup") is None
    admin.delete(f"{jobs}/nodeproof-cleanup")
