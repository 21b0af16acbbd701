"""What is deployed: names agreed upon, least rights, hardened pods."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeproof import protocol
from nodeproof.policy import decode_policy, decode_reference_values
from nodeproof.sevsnp.bundle import LABEL
from nodeproof.sevsnp.products import Product
from nodeproof_agent import settings as agent_settings
from nodeproof_operator import settings as operator_settings
from nodeproof_operator.cluster.objects import endorsements

DEPLOY = Path(__file__).parents[2] / "deploy"
NAMESPACE = "nodeproof-system"
AGENTS = "nodeproof-agents"
GATE = "nodeproof.node-restriction.kubernetes.io/"
CLUSTER_SCOPED = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "RuntimeClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "AttestationPolicy",
    "ReferenceValueSet",
}

Manifest = dict[str, Any]


def load() -> list[Manifest]:
    files = sorted(DEPLOY.rglob("*.yaml"))
    return [each for path in files for each in yaml.safe_load_all(path.read_text())]


MANIFESTS = load()


def find(kind: str, name: str, namespace: str | None = None) -> Manifest:
    (only,) = [
        each
        for each in MANIFESTS
        if each["kind"] == kind
        and each["metadata"]["name"] == name
        and namespace in {None, each["metadata"].get("namespace")}
    ]
    return only


def pod_spec(kind: str, name: str) -> Manifest:
    return dict(find(kind, name)["spec"]["template"]["spec"])


AGENT = pod_spec("DaemonSet", "nodeproof-agent")
OPERATOR = pod_spec("Deployment", "nodeproof-operator")
WORKLOADS = [pytest.param(AGENT, id="agent"), pytest.param(OPERATOR, id="operator")]
RULES = [
    rule for each in MANIFESTS if each["kind"] in {"Role", "ClusterRole"} for rule in each["rules"]
]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: each["metadata"]["name"])
def test_everything_lives_in_our_namespaces_but_the_right_to_post_events(
    manifest: Manifest,
) -> None:
    expected = {None} if manifest["kind"] in CLUSTER_SCOPED else {NAMESPACE, AGENTS}
    if manifest["metadata"]["name"] == "nodeproof-events":
        expected = {"default"}  # where Events about Nodes must be
    assert manifest["metadata"].get("namespace") in expected


def test_only_what_agents_need_lives_in_their_namespace() -> None:
    """Its Pod Security level is the lowest: nothing worth stealing may be in there."""
    found = {
        (each["kind"], each["metadata"]["name"])
        for each in MANIFESTS
        if each["metadata"].get("namespace") == AGENTS
    }
    assert found == {
        ("ServiceAccount", "nodeproof-agent"),
        ("DaemonSet", "nodeproof-agent"),
        ("NetworkPolicy", "nodeproof-agent"),
        ("ConfigMap", "nodeproof-ca"),
        ("Role", "nodeproof-operator"),
        ("RoleBinding", "nodeproof-operator"),
        ("Role", "nodeproof-check"),
        ("RoleBinding", "nodeproof-check"),
    }


@pytest.mark.parametrize(("name", "level"), [(NAMESPACE, "restricted"), (AGENTS, "privileged")])
def test_namespaces_have_the_pod_security_level_that_they_need(name: str, level: str) -> None:
    labels = find("Namespace", name)["metadata"]["labels"]
    assert {
        labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")
    } == {level}


def test_nothing_is_deployed_twice() -> None:
    keys = [
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace"))
        for each in MANIFESTS
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_no_right_is_a_wildcard(rule: Manifest) -> None:
    assert not [each for values in rule.values() for each in values if "*" in each]


def test_no_right_reaches_a_nodes_status_or_removes_nodes() -> None:
    for rule in RULES:
        assert "nodes/status" not in rule["resources"]
        if "nodes" in rule["resources"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch", "patch"}


def test_secrets_and_config_maps_are_reached_by_name_but_for_listing_endorsements() -> None:
    reached = {
        (verb, resource, name)
        for rule in RULES
        for resource in rule["resources"]
        if resource in {"secrets", "configmaps"}
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", ["any"])
    }
    filled = {
        ("secrets", "nodeproof-challenge-keys"),
        ("secrets", "nodeproof-serving-certificate"),
        ("configmaps", "nodeproof-challenge-keys"),
        ("configmaps", "nodeproof-ca"),
        *(("configmaps", endorsements(product)) for product in Product),
    }
    assert reached == {
        ("list", "configmaps", "any"),
        *((verb, *each) for verb in ("get", "patch") for each in filled),
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Secret", "nodeproof-challenge-keys"),
        ("Secret", "nodeproof-serving-certificate"),
        ("ConfigMap", "nodeproof-challenge-keys"),
        ("ConfigMap", "nodeproof-ca"),
        *(("ConfigMap", endorsements(product)) for product in Product),
    ],
)
def test_what_the_operator_fills_is_there_and_empty(kind: str, name: str) -> None:
    assert not {"data", "stringData", "immutable"} & set(find(kind, name))


def test_only_the_config_maps_of_endorsements_are_labelled_as_such() -> None:
    labelled = {
        each["metadata"]["name"]
        for each in MANIFESTS
        if each["metadata"].get("labels", {}).get(LABEL) == "true"
    }
    assert labelled == {endorsements(product) for product in Product}


def test_each_account_but_the_agents_is_bound_to_its_own_roles() -> None:
    bound = {
        (subject["kind"], subject["name"], subject["namespace"], each["roleRef"]["name"])
        for each in MANIFESTS
        if each["kind"].endswith("RoleBinding")
        for subject in each["subjects"]
    }
    accounts = ("nodeproof-operator", "nodeproof-cleanup", "nodeproof-check")
    assert bound == {
        *(("ServiceAccount", name, NAMESPACE, name) for name in accounts),
        ("ServiceAccount", "nodeproof-operator", NAMESPACE, "nodeproof-events"),
    }


def test_the_check_changes_nothing() -> None:
    rules = [
        rule
        for each in MANIFESTS
        if each["kind"] in {"Role", "ClusterRole"} and each["metadata"]["name"] == "nodeproof-check"
        for rule in each["rules"]
    ]
    changing = [each["resources"] for each in rules if not {"get", "list"} >= set(each["verbs"])]
    assert changing == [["subjectaccessreviews"]]  # asks, and is stored nowhere


@pytest.mark.parametrize(
    "name", ["nodeproof-operator", "nodeproof-agent", "nodeproof-cleanup", "nodeproof-check"]
)
def test_no_account_hands_out_its_token_unasked(name: str) -> None:
    assert find("ServiceAccount", name)["automountServiceAccountToken"] is False


def test_every_admission_policy_is_bound_and_fails_closed() -> None:
    policies = [each for each in MANIFESTS if each["kind"] == "ValidatingAdmissionPolicy"]
    assert len(policies) == 3
    for policy in policies:
        binding = find("ValidatingAdmissionPolicyBinding", policy["metadata"]["name"])
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]
        assert "Deny" in binding["spec"]["validationActions"]
        assert policy["spec"]["failurePolicy"] == "Fail"


def test_every_refusal_of_a_policy_is_a_403_with_words() -> None:
    for policy in MANIFESTS:
        if policy["kind"] == "ValidatingAdmissionPolicy":
            for rule in policy["spec"]["validations"]:
                assert rule["message"]
                assert rule["reason"] == "Forbidden"


def test_no_expression_names_the_subresource_plainly() -> None:
    """On the main resource that key does not exist, and every Node write would be refused."""
    text = (DEPLOY / "admission.yaml").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert not re.search(r"request\.subResource", code)


def test_the_agents_token_is_for_us_only_and_short_lived() -> None:
    (token,) = [
        source["serviceAccountToken"]
        for volume in AGENT["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    ]
    assert token["audience"] == protocol.TOKEN_AUDIENCE
    assert 600 <= token["expirationSeconds"] <= 3600


def test_the_agent_gets_no_token_for_the_api_server() -> None:
    assert AGENT["serviceAccountName"] == "nodeproof-agent"
    assert AGENT["automountServiceAccountToken"] is False


def test_the_agent_runs_whatever_the_taints() -> None:
    assert AGENT["tolerations"] == [{"operator": "Exists"}]


def test_the_agents_ca_may_come_later_than_the_pod() -> None:
    (ca,) = [each["configMap"] for each in AGENT["volumes"] if "configMap" in each]
    assert ca == {"name": "nodeproof-ca"}


def test_the_operator_tolerates_our_taint_with_every_effect() -> None:
    assert {"key": "nodeproof.dev/unattested", "operator": "Exists"} in OPERATOR["tolerations"]


def test_the_operator_does_not_run_as_root() -> None:
    assert OPERATOR["securityContext"]["runAsNonRoot"] is True


def test_the_operator_is_probed_on_its_metrics_port() -> None:
    (container,) = OPERATOR["containers"]
    probes = [container[each]["httpGet"] for each in ("readinessProbe", "livenessProbe")]
    assert probes == [
        {"path": "/readyz", "port": "metrics"},
        {"path": "/healthz", "port": "metrics"},
    ]


def test_the_agent_understands_its_arguments() -> None:
    (container,) = AGENT["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    settings = agent_settings.parse(container["args"], variables)
    assert isinstance(settings.provider, agent_settings.Hardware)
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    files = (settings.token_file.parent, settings.ca_file.parent, settings.provider.tsm_root)
    assert {str(each).removesuffix("/tsm/report") for each in files} == mounts
    assert settings.metrics_address.port == container["ports"][0]["containerPort"]


def test_the_agent_takes_reports_from_the_machines_own_platform() -> None:
    (container,) = AGENT["containers"]
    assert isinstance(agent_settings.parse(container["args"], {}).provider, agent_settings.Hardware)
    (root,) = container["env"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "configfs"]
    assert root["name"] == "NODEPROOF_TSM_ROOT"
    assert root["value"] == mount["mountPath"] + "/tsm/report"
    assert not mount.get("readOnly")


def test_the_agent_sees_of_the_host_configfs_and_no_more() -> None:
    paths = [each["hostPath"]["path"] for each in AGENT["volumes"] if "hostPath" in each]
    assert paths == ["/sys/kernel/config"]


def test_no_mount_lies_where_default_apparmor_profiles_forbid_to_write() -> None:
    (container,) = AGENT["containers"]
    assert not [
        each["mountPath"]
        for each in container["volumeMounts"]
        if each["mountPath"].startswith(("/sys", "/proc"))
    ]


def test_the_operator_understands_its_arguments() -> None:
    (container,) = OPERATOR["containers"]
    settings = operator_settings.parse(container["args"], {})
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert (settings.namespace, settings.agent_namespace) == (NAMESPACE, AGENTS)
    assert ports == {"https": settings.listen.port, "metrics": settings.metrics_listen.port}


@pytest.mark.parametrize("spec", WORKLOADS)
def test_containers_are_hardened(spec: Manifest) -> None:
    (container,) = spec["containers"]
    settings = spec.get("securityContext", {}) | container["securityContext"]
    assert settings["allowPrivilegeEscalation"] is False
    assert settings["readOnlyRootFilesystem"] is True
    assert settings["capabilities"] == {"drop": ["ALL"]}
    assert settings["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


@pytest.mark.parametrize("spec", WORKLOADS)
def test_every_mount_has_its_volume(spec: Manifest) -> None:
    (container,) = spec["containers"]
    assert {each["name"] for each in container["volumeMounts"]} == {
        each["name"] for each in spec["volumes"]
    }


@pytest.mark.parametrize(
    "manifest",
    [find("DaemonSet", "nodeproof-agent"), find("Deployment", "nodeproof-operator")],
    ids=lambda each: each["kind"],
)
def test_selectors_match_their_pods(manifest: Manifest) -> None:
    wanted = manifest["spec"]["selector"]["matchLabels"].items()
    assert wanted <= manifest["spec"]["template"]["metadata"]["labels"].items()


def test_the_service_leads_to_the_operators_ports() -> None:
    service = find("Service", "nodeproof-operator")["spec"]
    (container,) = OPERATOR["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert {each["targetPort"]: each["port"] for each in service["ports"]} == ports
    labels = find("Deployment", "nodeproof-operator")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


def test_the_runtime_class_selects_by_the_example_policys_label() -> None:
    policy = find("AttestationPolicy", "confidential")
    selector = find("RuntimeClass", "attested")["scheduling"]["nodeSelector"]
    assert selector == {GATE + policy["metadata"]["name"]: "true"}


def test_the_runtime_class_tolerates_nothing() -> None:
    assert "tolerations" not in find("RuntimeClass", "attested")["scheduling"]


def test_the_examples_can_be_read() -> None:
    stored = {"uid": "uid", "generation": 1}
    policy, values = (
        find("AttestationPolicy", "confidential"),
        find("ReferenceValueSet", "node-images"),
    )
    decoded = decode_policy(policy | {"metadata": policy["metadata"] | stored})
    known = decode_reference_values(values | {"metadata": values["metadata"] | stored})
    assert decoded.spec.reference_value_set_names == (known.name,)
