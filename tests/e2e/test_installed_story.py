"""What an admin lives through with nodeproof, from `helm install` to `helm uninstall` and back.

A story in steps: each stands on those before it, and they run in the order in which they are here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cases.asking_workload import AskingWorkload
from cases.label_watch import LabelWatch
from cases.new_authority import is_recognised, replace_authority
from cases.prometheus import prometheus
from cases.real_fleet import (
    AGENT,
    AGENTS_NAMESPACE,
    OPERATOR,
    OTHER_MEASUREMENT,
    SETTLE_SECONDS,
    Fleet,
    of_ours,
    pod_path,
    restarts,
    uids,
)
from cases.real_pods import RealPods, workload_spec
from cases.real_story import Story
from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_dev import objects
from nodeproof_dev.errors import ApiRefused, HelmFailed
from nodeproof_dev.helm import NAMESPACE, RELEASE
from nodeproof_dev.images.building import Images
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.process import wait_until
from nodeproof_dev.real.cluster import RealCluster, in_parallel
from nodeproof_dev.real.node import RealNode
from nodeproof_dev.real.release import REGISTRY, Release

pytestmark = [pytest.mark.story, pytest.mark.timeout(180)]

GOOD = ("node-1", "node-2")
BAD = "node-3"
"""The node that launched an image which no reference value names."""

UNHEARD_OF = b"\x5a" * len(MEASUREMENT)
"""A measurement that no node has: a typing error in a ReferenceValueSet, say."""

MIB = 1 << 20
AGENT_MIB, OPERATOR_MIB = 45, 160
"""The most that each of them may hold in memory."""

FOREIGN = "example.org/foreign"
"""A label and a taint that are not ours."""

NEXT = "next"
"""The tag of the images that the release is upgraded to."""

OPERATORS_BINDING = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{OPERATOR}"
RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"


@pytest.fixture(scope="module")
def story(
    cluster: RealCluster, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Three nodes, one of which launched another image; afterwards none of it is left."""
    platforms = Platforms(tmp_path_factory.mktemp("platforms"))
    told = Story(
        Fleet(cluster, platforms),
        Release(cluster, images, platforms),
        AskingWorkload(cluster.admin),
    )
    told.release.load_images()
    for name in GOOD:
        told.fleet.launch(name)
    told.fleet.launch(BAD, OTHER_MEASUREMENT)
    yield told
    told.workload.delete()
    told.release.helm.uninstall("--no-hooks", "--ignore-not-found")
    told.fleet.forget()


def test_images_that_were_loaded_by_file_run_under_their_names(
    story: Story, images: Images, namespace: str
) -> None:
    node = story.fleet.node(BAD)
    pods = RealPods(story.fleet.cluster, namespace)
    for target, image in images.built.items():
        # As docs/images.md has it.
        node.ctr("images", "import", str(images.archive(target).path))
        container = {"name": "main", "image": image.reference, "imagePullPolicy": "Never"}
        helping = container | {"args": ["--help"]}
        pods.create(target, nodeName=BAD, containers=[helping], restartPolicy="Never")
        pods.wait_done(target)


def test_helm_installs_where_pod_security_is_restricted(story: Story) -> None:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": enforced}
    story.fleet.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    said = story.release.install(story.values)
    assert "SIMULATED EVIDENCE IS ACCEPTED" in said
    assert len(story.fleet.operators()) == 2
    assert set(story.fleet.agents()) == set(story.fleet.cluster.nodes)


def test_only_the_agents_namespace_takes_pods_that_see_the_host(story: Story) -> None:
    host = {"name": "host", "hostPath": {"path": "/"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "looking"},
        "spec": workload_spec(volumes=[host]),
    }
    with pytest.raises(ApiRefused, match="violates PodSecurity"):
        story.fleet.admin.create(f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All", pod)
    story.fleet.admin.create(f"/api/v1/namespaces/{AGENTS_NAMESPACE}/pods?dryRun=All", pod)


def test_nodes_are_attested_for_what_they_launched(story: Story) -> None:
    story.fleet.mark_foreign(BAD, FOREIGN)
    story.fleet.select()
    story.fleet.wait_labelled(*GOOD)
    story.fleet.wait_tainted(BAD)
    status = story.fleet.admin.get(objects.attestation(BAD))["status"]
    message = next(each["message"] for each in status["conditions"] if each["type"] == "Attested")
    assert f"observed {OTHER_MEASUREMENT.hex()[:8]}" in message
    for name in GOOD:
        result = story.fleet.admin.get(objects.attestation(name))["status"]
        assert result["signer"] == "Simulated"


def test_a_pod_that_asks_runs_on_attested_nodes_alone(story: Story) -> None:
    story.workload.create()
    story.workload.wait_on(*GOOD)
    assert story.workload.nodes() == set(GOOD)
    pinned = story.workload.pinned("pinned", BAD)
    story.fleet.admin.wait_for(
        pinned, lambda pod: bool(objects.unschedulable(pod)), what="a pod that waits"
    )
    story.fleet.admin.delete(pinned)


def test_helm_test_finds_all_well(story: Story) -> None:
    said = story.release.helm.test()
    assert "0 FAILED" in said
    assert f"2 of 3 nodes are attested; CheckFailed: {BAD}" in said


def test_a_second_release_is_refused(story: Story) -> None:
    other = replace(story.release.helm, release="other", namespace="other")
    with pytest.raises(HelmFailed, match=f'as release "{RELEASE}" in namespace "{NAMESPACE}"'):
        other.install(story.values)


def test_replaced_agents_attest_at_once(story: Story) -> None:
    before = {name: story.fleet.sequence(name) for name in GOOD}
    gone = story.fleet.agents()
    with LabelWatch(story.fleet.admin) as watch:
        for pod in gone.values():
            story.fleet.admin.delete(pod_path(pod))
        for name in GOOD:
            story.fleet.wait_attests_again(name, above=before[name])
        story.fleet.wait_rolled_out()
    assert watch.lost == []
    assert not uids(story.fleet.agents().values()) & uids(gone.values())


def test_evidence_that_turns_bad_evicts_the_workload(story: Story) -> None:
    turned, other = GOOD
    story.fleet.turn(turned, OTHER_MEASUREMENT)
    story.fleet.wait_labelled(other)
    story.fleet.wait_tainted(turned, BAD)
    story.workload.wait_on(other)


def test_evidence_that_turns_good_opens_the_node_again(story: Story) -> None:
    story.fleet.turn(GOOD[0], MEASUREMENT)
    story.fleet.wait_labelled(*GOOD)
    story.fleet.wait_tainted(BAD)


def test_a_leader_that_crashes_is_replaced_and_no_label_is_lost(story: Story) -> None:
    leader, crashed = story.fleet.leader(), story.fleet.leading_pod()
    before = {name: story.fleet.sequence(name) for name in GOOD}
    with LabelWatch(story.fleet.admin) as watch:
        story.fleet.kill(crashed)
        story.fleet.admin.wait_for(
            objects.LEASE,
            lambda lease: objects.lease_holder(lease) not in ("", leader),
            what="another leader",
        )
        story.fleet.wait_rolled_out()
        for name in GOOD:
            story.fleet.wait_attests_again(name, above=before[name])
    assert watch.lost == []
    assert restarts(story.fleet.admin.get(pod_path(crashed))) == 1


def test_a_rebooted_node_has_no_label_until_it_attests(story: Story) -> None:
    # Not the one that hosts the leader: without one, nobody takes a label for fifteen seconds.
    leads_on = story.fleet.leading_pod()["spec"]["nodeName"]
    rebooted = story.fleet.node(next(name for name in GOOD if name != leads_on))
    before = story.fleet.sequence(rebooted.name)
    with LabelWatch(story.fleet.admin) as watch:
        rebooted.reboot()
        story.fleet.wait_attests_again(rebooted.name, above=before)
        story.fleet.wait_labelled(*GOOD)
    assert watch.lost == [rebooted.name]


def test_all_nodes_fail_at_once_and_come_back_by_themselves(story: Story) -> None:
    every = tuple(story.fleet.cluster.nodes)
    story.fleet.expect(UNHEARD_OF)
    story.fleet.wait_labelled()
    story.fleet.wait_tainted(*every)
    story.workload.wait_evicted()
    # What opens the nodes again can start on them.
    for pod in story.fleet.operators():
        story.fleet.admin.delete(pod_path(pod))
    story.fleet.wait_rolled_out()
    story.fleet.expect(MEASUREMENT)
    story.fleet.wait_labelled(*GOOD)
    story.workload.wait_on(*GOOD)


def test_after_a_power_failure_of_all_nodes_everything_comes_back(story: Story) -> None:
    in_parallel(list(story.fleet.cluster.nodes.values()), RealNode.reboot)
    for name in GOOD:
        # By what runs in this boot: nothing of the last one does.
        story.fleet.wait_attests_again(name, above=story.fleet.sequence(name))
    story.fleet.wait_labelled(*GOOD)
    story.fleet.wait_tainted(BAD)
    story.fleet.wait_rolled_out()
    story.workload.wait_on(*GOOD)


def test_agents_follow_a_new_authority_without_a_restart(story: Story) -> None:
    agents = story.fleet.agents()
    with LabelWatch(story.fleet.admin) as watch:
        authority = replace_authority(story.fleet.admin)
        # Running replicas look every five minutes, new ones at once.
        restart = ["rollout", "restart", "deployment", "nodeproof-operator"]
        story.fleet.cluster.plane.kubectl("--namespace", NAMESPACE, *restart)
        story.fleet.wait_rolled_out()
        for pod in story.fleet.operators():
            assert is_recognised(pod["status"]["podIP"], authority)
        for name in GOOD:
            story.fleet.wait_attests_again(name, above=story.fleet.sequence(name), times=2)
    assert watch.lost == []
    assert uids(story.fleet.agents().values()) == uids(agents.values())
    assert [restarts(pod) for pod in story.fleet.agents().values()] == [
        restarts(pod) for pod in agents.values()
    ]


def test_an_upgrade_of_both_sides_costs_no_label(story: Story, images: Images) -> None:
    before = uids(story.fleet.agents().values()) | uids(story.fleet.operators())
    for reference in (image.reference for image in images.built.values()):
        story.fleet.tag(f"{REGISTRY}/{reference}", NEXT)
    with LabelWatch(story.fleet.admin) as watch:
        story.release.helm.upgrade(story.values_with_tags(agent=NEXT, operator=NEXT), "--wait")
        story.fleet.wait_rolled_out()
        for name in GOOD:
            story.fleet.wait_attests_again(name, above=story.fleet.sequence(name))
    assert watch.lost == []
    assert not before & (uids(story.fleet.agents().values()) | uids(story.fleet.operators()))


def test_prometheus_scrapes_the_pods_and_they_are_small(
    story: Story, tmp_path: Path, note: Callable[[str], None]
) -> None:
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not on PATH (in Debian's package prometheus)")
    pods = [*story.fleet.operators(), *story.fleet.agents().values()]
    with prometheus(pods, tmp_path) as asked:
        asked.wait_for(f'count(up{{component="{AGENT}"}} == 1)', 3)
        asked.wait_for(f'count(up{{component="{OPERATOR}"}} == 1)', 2)
        asked.wait_for('sum(nodeproof_nodes{policy="confidential",state="Passed"})', 2)
        asked.wait_for("sum(nodeproof_leader)", 1)
        for component, most in ((AGENT, AGENT_MIB), (OPERATOR, OPERATOR_MIB)):
            held = asked.query(f'process_resident_memory_bytes{{component="{component}"}}')
            sizes = [value / MIB for value in held.values()]
            note(f"{component}: {max(sizes):.1f} MiB resident, at most {most} allowed")
            assert max(sizes) <= most


def test_a_handler_that_nodes_lack_is_named(story: Story) -> None:
    document = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "enclosed"},
        "handler": "kata",
        "scheduling": {"nodeSelector": {objects.GATE_LABEL: "true"}},
    }
    story.fleet.admin.apply(document)
    with pytest.raises(HelmFailed, match=r"FAILED *RuntimeClass: enclosed .*no handler 'kata'"):
        story.release.helm.test()
    story.fleet.admin.delete(f"{RUNTIME_CLASSES}/enclosed")


def test_uninstalling_leaves_the_nodes_as_they_were(story: Story) -> None:
    story.release.helm.uninstall("--wait")
    nodes = story.fleet.admin.items(objects.NODES)
    assert [ours for node in nodes for ours in of_ours(node)] == []
    marked = next(node for node in nodes if node["metadata"]["name"] == BAD)
    assert FOREIGN in marked["metadata"]["labels"]
    assert [taint["key"] for taint in marked["spec"]["taints"]] == [FOREIGN]


def test_uninstalling_keeps_policies_and_results(story: Story) -> None:
    admin = story.fleet.admin
    assert admin.find(objects.policy())
    assert {name for name in GOOD if admin.find(objects.attestation(name))} == set(GOOD)


def test_an_operator_without_crds_names_them(story: Story) -> None:
    story.fleet.delete_kinds()
    story.release.helm.install(story.values | {"crds": {"enabled": False}})
    words = "waiting for CRDs"
    wait_until(lambda: words in story.operators_say(), seconds=SETTLE_SECONDS, what=words)
    assert "attestationpolicies: NotFound" in story.operators_say()


def test_helm_test_names_missing_crds_and_what_to_apply(story: Story) -> None:
    with pytest.raises(HelmFailed) as failed:
        story.release.helm.test()
    assert "FAILED   CRDs: attestationpolicies is missing" in str(failed.value)
    assert "next: apply crds/" in str(failed.value)


def test_crds_that_come_later_are_enough(story: Story) -> None:
    story.release.helm.upgrade(story.values, "--wait")
    story.fleet.wait_rolled_out()
    story.fleet.select()


def test_an_image_that_cannot_be_pulled_shows_in_helm_test(story: Story) -> None:
    story.release.helm.upgrade(story.values_with_tags(agent="missing"))
    story.fleet.wait_waiting("ErrImageNeverPull")
    with pytest.raises(HelmFailed, match=r"FAILED *agents: .*ErrImageNeverPull.*:missing"):
        story.release.helm.test()


def test_missing_rights_are_named_and_an_upgrade_restores_them(story: Story) -> None:
    story.fleet.admin.delete(OPERATORS_BINDING)
    with pytest.raises(HelmFailed, match=r"FAILED *rights: .* create nodeattestations, "):
        story.release.helm.test()
    story.release.helm.upgrade(story.values, "--wait")


def test_nodes_are_attested_again(story: Story) -> None:
    # Nobody leads in the minute after the cleanup.
    story.fleet.wait_led()
    story.fleet.wait_labelled(*GOOD)
    story.fleet.wait_tainted(BAD)
    assert "0 FAILED" in story.release.helm.test()
