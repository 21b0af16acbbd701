"""Values: all documented, all in the schema, and what is wrong is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cases.charts import ARK, CASES, SIMULATED, Values
from nodeproof.logs import LEVELS
from nodeproof_agent.settings import PROVIDERS
from nodeproof_dev.chart.values import documented, schema, schema_keys, values_text
from nodeproof_dev.errors import HelmFailed
from nodeproof_dev.helm import Helm

HELMS_OWN = {"global"}
"""Helm sets it where the chart is a dependency."""


def nested(key: str, value: Any) -> Values:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def beginnings(key: str) -> list[str]:
    """The key itself, and all those it lies in."""
    parts = key.split(".")
    return [".".join(parts[: length + 1]) for length in range(len(parts))]


def refused(helm: Helm, values: Values, *options: str) -> str:
    with pytest.raises(HelmFailed) as caught:
        helm.template(values, *options)
    return str(caught.value)


def test_values_and_schema_name_the_same_keys() -> None:
    definition = schema()
    in_schema = set(schema_keys(definition, definition["definitions"])) - HELMS_OWN
    in_values = {each.key for each in documented(values_text())}
    # Some values are documented as a whole, of which the schema knows the parts.
    assert [key for key in in_schema if not in_values & set(beginnings(key))] == []
    assert in_values <= {each for key in in_schema for each in beginnings(key)}


def test_every_value_is_documented() -> None:
    assert [each.key for each in documented(values_text()) if not each.text] == []


def test_every_object_of_the_schema_knows_all_its_keys() -> None:
    def walk(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        open_ones = [path] if "properties" in node and node["additionalProperties"] else []
        return open_ones + [each for key in node for each in walk(node[key], f"{path}/{key}")]

    assert walk(schema(), "") == []


def test_the_schema_knows_the_programs_words() -> None:
    definition = schema()
    assert definition["definitions"]["logLevel"]["enum"] == list(LEVELS)
    agent = definition["properties"]["agent"]["properties"]
    assert agent["provider"]["enum"] == list(PROVIDERS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("agent.provider", "tpm"),
        ("agent.privileged", "yes"),
        ("agent.simulated.hostPath", "relative"),
        ("agent.devicePlugin.resource", "sev"),
        ("agent.namespace.name", "Agents"),
        ("agent.tolerations", {"operator": "Exists"}),
        ("image.pullPolicy", "Sometimes"),
        ("image.registry", "https://registry.example.org"),
        ("operator.replicas", 0),
        ("operator.replicas", "2"),
        ("operator.logLevel", "loud"),
        ("operator.image.digest", "sha256:short"),
        ("operator.image.tag", "no tag"),
        ("operator.kds.url", "http://kdsintf.amd.com"),
        ("operator.kds.url", "https://user:password@mirror"),
        ("operator.allowSimulated.ark", "/etc/ark.pem"),
        ("operator.resources.limits.memory", "much"),
        ("operator.podAnnotations.number", 1),
        ("runtimeClass.policy", "Not_A_Label"),
        ("networkPolicies.apiServerPorts", []),
        ("networkPolicies.dnsPorts", [70000]),
        ("crds.keep", "yes"),
        ("cleanup.results", "burn"),
        ("check.waitSeconds", 300),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(helm: Helm, key: str, value: Any) -> None:
    message = refused(helm, nested(key, value))
    assert "/" + key.replace(".", "/") in message


@pytest.mark.parametrize(
    ("key", "unknown"),
    [
        ("imagePullSecrets", "imagePullSecrets"),
        ("operator.replicaCount", "replicaCount"),
        ("agent.image.pullPolicy", "pullPolicy"),
        ("networkPolicies.enable", "enable"),
        ("certManager.issuerRef.namespace", "namespace"),
    ],
)
def test_an_unknown_key_is_refused_by_its_name(helm: Helm, key: str, unknown: str) -> None:
    message = refused(helm, nested(key, "x"))
    assert f"additional properties '{unknown}' not allowed" in message


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (
            {"agent": {"provider": "sev-guest"}},
            ("agent.provider", "agent.devicePlugin.resource", "agent.privileged"),
        ),
        (
            {"agent": {"privileged": True, "devicePlugin": {"resource": "amd.com/sev-snp"}}},
            ("agent.devicePlugin.resource", "agent.privileged"),
        ),
        (
            {"agent": {"provider": "configfs-tsm", "privileged": True}},
            ("agent.provider", "agent.privileged"),
        ),
        ({"agent": {"provider": "simulated"}}, ("agent.provider", "agent.simulated.hostPath")),
        (
            {"agent": {"simulated": {"hostPath": "/machines"}}},
            ("agent.provider", "agent.simulated.hostPath"),
        ),
        ({"agent": SIMULATED["agent"]}, ("agent.provider", "operator.allowSimulated.ark")),
        (
            {
                "agent": SIMULATED["agent"] | {"privileged": True},
                "operator": {"allowSimulated": {"ark": ARK}},
            },
            ("agent.provider", "agent.privileged"),
        ),
        ({"certManager": {"enabled": True}}, ("certManager.issuerRef.name",)),
        ({"certManager": {"issuerRef": {"name": "ca"}}}, ("certManager.enabled",)),
        (
            {"operator": {"kds": {"url": "off", "proxySecret": "proxy"}}},
            ("operator.kds.url", "operator.kds.proxySecret"),
        ),
        ({"agent": {"namespace": {"name": "nodeproof-system"}}}, ("agent.namespace.name",)),
    ],
)
def test_values_that_contradict_each_other_are_refused_by_their_keys(
    helm: Helm, values: Values, keys: tuple[str, ...]
) -> None:
    message = refused(helm, values)
    assert [key for key in keys if key not in message] == []


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_namespaces_of_others_are_refused(helm: Helm, namespace: str) -> None:
    message = refused(replace(helm, namespace=namespace), {})
    assert "--namespace nodeproof-system --create-namespace" in message


def test_kubernetes_older_than_the_minimum_is_refused(helm: Helm) -> None:
    message = refused(helm, {}, "--kube-version", "1.31.9")
    assert "requires kubeVersion: >=1.32.0-0" in message
    assert helm.template({}, "--kube-version", "1.32.0")


@pytest.mark.parametrize("case", CASES)
def test_lint_finds_nothing(helm: Helm, case: str) -> None:
    assert "0 chart(s) failed" in helm.lint(CASES[case], "--strict")


@pytest.fixture
def notes(helm: Helm) -> Callable[[Values], str]:
    def told(values: Values) -> str:
        return helm.install(values, "--dry-run=client").partition("NOTES:\n")[2]

    return told


def test_the_notes_tell_the_next_step(notes: Callable[[Values], str]) -> None:
    told = notes({})
    for step in (
        "helm test nodeproof --namespace nodeproof-system --logs",
        "kind: AttestationPolicy",
        "kubectl get natt",
        "runtimeClassName: attested",
    ):
        assert step in told
    assert "WARNING" not in told


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        (SIMULATED, "SIMULATED EVIDENCE IS ACCEPTED"),
        ({"operator": SIMULATED["operator"]}, "SIMULATED EVIDENCE IS ACCEPTED"),
        (CASES["privileged"], "agents run as privileged containers"),
        (CASES["bare"], "without admission policies"),
    ],
)
def test_the_notes_shout_at_what_is_dangerous(
    notes: Callable[[Values], str], values: Values, warning: str
) -> None:
    assert warning in notes(values)
