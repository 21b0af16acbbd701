"""What values make of agents, operator and hooks."""

from __future__ import annotations

from typing import Any

import pytest

from cases.charts import (
    AIR_GAP,
    CASES,
    CERT_MANAGER,
    DEVICE_PLUGIN,
    DIGEST,
    MIRROR,
    PLACED,
    PRIVILEGED,
    SIMULATED,
    Charts,
    Rendered,
)
from nodeproof_agent import settings as agent_settings
from nodeproof_operator import settings as operator_settings
from nodeproof_operator.check import settings as check_settings
from nodeproof_operator.cleanup import settings as cleanup_settings

OPERATOR, AGENT = "nodeproof-operator", "nodeproof-agent"
FILES = ("--allow-simulated=",)
"""Flags whose file is read at once."""


def host_paths(rendered: Rendered) -> list[str]:
    volumes = rendered.pods()[AGENT]["spec"]["volumes"]
    return [each["hostPath"]["path"] for each in volumes if "hostPath" in each]


def environment(rendered: Rendered, name: str) -> dict[str, str]:
    variables = rendered.container(name).get("env", [])
    return {each["name"]: each.get("value", "http://from-a-secret") for each in variables}


def agent_provider(rendered: Rendered) -> Any:
    args = rendered.container(AGENT)["args"]
    return agent_settings.parse(args, environment(rendered, AGENT)).provider


def level_of_agents(rendered: Rendered) -> set[str]:
    name = rendered.find("DaemonSet", AGENT)["metadata"]["namespace"]
    labels = rendered.find("Namespace", name)["metadata"]["labels"]
    return {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")}


def test_programs_understand_their_arguments(rendered: Rendered) -> None:
    operator = rendered.container(OPERATOR)
    args = [each for each in operator["args"] if not each.startswith(FILES)]
    settings = operator_settings.parse(args, environment(rendered, OPERATOR))
    agents = rendered.find("DaemonSet", AGENT)["metadata"]["namespace"]
    assert (settings.namespace, settings.agent_namespace) == ("nodeproof-system", agents)
    assert agent_provider(rendered)
    if "nodeproof-cleanup" in rendered.pods():
        command, *args = rendered.container("nodeproof-cleanup")["args"]
        assert command == "cleanup"
        assert cleanup_settings.parse(args, {}).namespace == "nodeproof-system"
    command, *args = rendered.container("nodeproof-check")["args"]
    assert command == "check"
    place = check_settings.parse(args, {}).place
    assert (place.namespace, place.agent_namespace) == ("nodeproof-system", agents)


def test_agents_find_the_operators_service(default: Rendered) -> None:
    args = default.container(AGENT)["args"]
    url = agent_settings.parse(args, {}).operator_url
    service = default.find("Service", OPERATOR)
    assert (
        url == f"https://{service['metadata']['name']}.{service['metadata']['namespace']}.svc:8443"
    )


def test_by_default_agents_see_configfs_and_no_more(default: Rendered) -> None:
    provider = agent_provider(default)
    assert isinstance(provider, agent_settings.Hardware)
    assert str(provider.tsm_root) == "/host/configfs/tsm/report"
    assert host_paths(default) == ["/sys/kernel/config"]
    assert level_of_agents(default) == {"privileged"}


def test_a_device_plugin_leaves_nothing_of_the_host_to_see(charts: Charts) -> None:
    rendered = charts.render(DEVICE_PLUGIN)
    limits = rendered.container(AGENT)["resources"]["limits"]
    assert limits == {"amd.com/sev-snp": 1, "memory": "128Mi"}
    assert host_paths(rendered) == []
    assert rendered.container(AGENT)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert level_of_agents(rendered) == {"baseline"}


def test_a_privileged_agent_has_the_hosts_devices(charts: Charts) -> None:
    rendered = charts.render(PRIVILEGED)
    assert rendered.container(AGENT)["securityContext"]["privileged"] is True
    assert host_paths(rendered) == ["/dev"]
    assert str(agent_provider(rendered).sev_guest_device) == "/host/dev/sev-guest"


@pytest.mark.parametrize("case", set(CASES) - {"privileged"})
def test_no_agent_is_privileged_unasked(charts: Charts, case: str) -> None:
    context = charts.render(CASES[case]).container(AGENT)["securityContext"]
    assert context == {
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_a_simulated_agent_takes_its_nodes_machine(charts: Charts) -> None:
    rendered = charts.render(SIMULATED)
    provider = agent_provider(rendered)
    assert isinstance(provider, agent_settings.Simulated)
    assert str(provider.machine) == "/host/simulated/$(NODE_NAME)"
    assert host_paths(rendered) == ["/var/lib/simulated"]
    (variable,) = rendered.container(AGENT)["env"]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def test_the_simulated_root_reaches_the_operator_and_restarts_it(charts: Charts) -> None:
    rendered = charts.render(SIMULATED)
    root = rendered.find("ConfigMap", "nodeproof-simulated-root")
    assert root["data"]["ark.pem"] == SIMULATED["operator"]["allowSimulated"]["ark"]
    assert (
        "--allow-simulated=/etc/nodeproof/simulated/ark.pem" in rendered.container(OPERATOR)["args"]
    )
    assert "nodeproof.dev/simulated-root" in rendered.pods()[OPERATOR]["metadata"]["annotations"]


def test_nothing_simulated_counts_unasked(default: Rendered) -> None:
    assert "simulated" not in str(default.pods())


def test_images_come_from_where_they_were_put(charts: Charts) -> None:
    rendered = charts.render(AIR_GAP)
    registry = "registry.internal:5000/mirror"
    assert rendered.container(AGENT)["image"] == f"{registry}/nodeproof-agent:0.1.1"
    for name in (OPERATOR, "nodeproof-cleanup", "nodeproof-check"):
        assert rendered.container(name)["image"] == f"{registry}/nodeproof-operator@{DIGEST}"
    for name, pod in rendered.pods().items():
        assert rendered.container(name)["imagePullPolicy"] == "Never"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_a_mirror_of_the_key_service_is_told_with_its_ca_and_proxy(charts: Charts) -> None:
    container = charts.render(MIRROR).container(OPERATOR)
    assert "--kds-url=https://kds.internal:8444/mirror" in container["args"]
    assert "--kds-ca-file=/etc/nodeproof/kds/ca.crt" in container["args"]
    (variable,) = container["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "proxy", "key": "url"}


def test_cert_managers_secret_is_what_the_operator_serves(charts: Charts) -> None:
    rendered = charts.render(CERT_MANAGER)
    certificate = rendered.find("Certificate", OPERATOR)["spec"]
    volumes = rendered.pods()[OPERATOR]["spec"]["volumes"]
    assert {"name": "tls", "secret": {"secretName": certificate["secretName"]}} in volumes
    assert "nodeproof-operator.nodeproof-system.svc" in certificate["dnsNames"]
    assert certificate["issuerRef"]["name"] == "ca"


def test_placement_is_added_to_what_has_to_be(charts: Charts) -> None:
    rendered = charts.render(PLACED)
    for name in (OPERATOR, "nodeproof-cleanup", "nodeproof-check"):
        spec = rendered.pods()[name]["spec"]
        assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "system"}
        assert len(spec["tolerations"]) == 3
        assert spec["affinity"] == {"podAntiAffinity": {}}
    assert rendered.pods()[AGENT]["spec"]["nodeSelector"]["pool"] == "confidential"


def test_agents_run_whatever_the_taints_by_default(default: Rendered) -> None:
    assert default.pods()[AGENT]["spec"]["tolerations"] == [{"operator": "Exists"}]


def test_the_operator_is_spread_and_keeps_one_pod_at_least(default: Rendered) -> None:
    spec = default.find("Deployment", OPERATOR)["spec"]
    assert spec["replicas"] == 2
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert default.find("PodDisruptionBudget", OPERATOR)["spec"]["maxUnavailable"] == 1


def test_the_cleanup_does_with_results_what_it_is_told(charts: Charts) -> None:
    for values, expected in (({}, "keep"), (PLACED, "delete")):
        args = charts.render(values).container("nodeproof-cleanup")["args"]
        assert f"--results={expected}" in args


def test_the_runtime_class_is_what_values_say(charts: Charts) -> None:
    found = charts.render(PLACED).find("RuntimeClass", "confidential")
    assert found["handler"] == "crun"
    label = "nodeproof.node-restriction.kubernetes.io/strict"
    assert found["scheduling"] == {"nodeSelector": {label: "true"}}


def test_crds_are_kept_unless_told_otherwise(charts: Charts) -> None:
    keeps = {
        keep: {
            each["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            for each in charts.render(values).manifests
            if each["kind"] == "CustomResourceDefinition"
        }
        for keep, values in (("default", {}), ("placed", PLACED))
    }
    assert keeps == {"default": {"keep"}, "placed": {None}}
