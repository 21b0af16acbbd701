"""The rights that are asked for are those that are given."""

from __future__ import annotations

from typing import Any

import yaml

from nodeproof_operator.check.rights import Right, operators_rights
from unit.check.sound import AGENTS, NAMESPACE, ROOT


def given() -> set[Right]:
    documents = list(yaml.safe_load_all((ROOT / "deploy" / "rbac.yaml").read_text()))
    return {
        right
        for each in documents
        if each["kind"] in {"Role", "ClusterRole"}
        for right in rights_of(each)
    }


def rights_of(role: dict[str, Any]) -> set[Right]:
    namespace = role["metadata"].get("namespace", "")
    return {
        Right(verb, group, resource, namespace, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def test_every_right_that_the_operator_is_given_is_asked_for_and_no_other() -> None:
    assert set(operators_rights(NAMESPACE, AGENTS)) == given()


def test_a_right_on_a_subresource_is_asked_for_as_such() -> None:
    review = Right("patch", "nodeproof.dev", "nodeattestations/status").review(NAMESPACE)
    asked = review["spec"]["resourceAttributes"]
    assert (asked["resource"], asked["subresource"]) == ("nodeattestations", "status")
    assert review["spec"]["user"] == "system:serviceaccount:nodeproof-system:nodeproof-operator"
