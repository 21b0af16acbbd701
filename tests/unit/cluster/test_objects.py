from __future__ import annotations

from nodeproof_operator.cluster import objects


def test_keeps_a_name_within_its_part_of_the_path() -> None:
    assert objects.pod("a/b", "c?d#e") == "/api/v1/namespaces/a%2Fb/pods/c%3Fd%23e"


def test_names_a_crd_after_its_kind_and_group() -> None:
    path = objects.custom_resource_definition("nodeattestations")
    assert path.endswith("/customresourcedefinitions/nodeattestations.nodeproof.dev")
