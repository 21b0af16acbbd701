"""What an admin sees of an installation that lacks something, and what happens once it is there.

A story in steps, as the other one, on nodes that have no SNP platform at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from subprocess import CalledProcessError
from typing import Any

import pytest

from cases.real_fleet import OPERATOR, Fleet, pod_path
from nodeproof_dev import objects
from nodeproof_dev.errors import HelmFailed
from nodeproof_dev.helm import NAMESPACE
from nodeproof_dev.images.building import Images
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.process import wait_until
from nodeproof_dev.real.cluster import RealCluster
from nodeproof_dev.real.release import Release

pytestmark = [pytest.mark.story, pytest.mark.timeout(180)]

SECONDS = 60.0


@pytest.fixture(scope="module")
def fleet(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three nodes without a platform; afterwards nothing of nodeproof is left."""
    found = Fleet(cluster, Platforms(tmp_path_factory.mktemp("platforms")))
    for name in cluster.nodes:
        found.take_platform(name)
    yield found
    found.forget()


@pytest.fixture(scope="module")
def release(fleet: Fleet, images: Images) -> Iterator[Release]:
    """The chart, not installed yet."""
    prepared = Release(fleet.cluster, images, fleet.platforms)
    prepared.load_images()
    fleet.wait_uninstalled()
    yield prepared
    prepared.helm.uninstall("--no-hooks", "--ignore-not-found")


def values(release: Release, **changed: Any) -> dict[str, Any]:
    """Return values by which `helm test` does not hope for long."""
    return release.values | {"check": {"waitSeconds": 2}} | changed


def operators_say(fleet: Fleet) -> str:
    """Return the operators' logs; nothing while they start."""
    selector = f"--selector=app.kubernetes.io/name={OPERATOR}"
    try:
        return fleet.cluster.plane.kubectl("--namespace", NAMESPACE, "logs", selector)
    except CalledProcessError:
        return ""


def test_an_operator_without_crds_names_them(fleet: Fleet, release: Release) -> None:
    release.helm.install(values(release, crds={"enabled": False}))
    words = "waiting for CRDs"
    wait_until(lambda: words in operators_say(fleet), seconds=SECONDS, what=words)
    assert "attestationpolicies: NotFound" in operators_say(fleet)


def test_helm_test_names_missing_crds_and_what_to_apply(release: Release) -> None:
    with pytest.raises(HelmFailed) as failed:
        release.helm.test()
    assert "FAILED   CRDs: attestationpolicies is missing" in str(failed.value)
    assert "next: apply crds/" in str(failed.value)


def test_crds_that_come_later_are_enough(fleet: Fleet, release: Release) -> None:
    release.helm.upgrade(values(release), "--wait")
    fleet.wait_rolled_out(seconds=120)
    fleet.wait_led()


def test_nodes_without_a_platform_say_so(fleet: Fleet) -> None:
    fleet.select()
    # Those that are there have waited for the operator, and do so for longer each time.
    for pod in fleet.agents().values():
        fleet.admin.delete(pod_path(pod))
    for name in fleet.cluster.nodes:
        fleet.admin.wait_for(
            objects.attestation(name),
            lambda natt: "unavailable" in natt.get("status", {}),
            seconds=SECONDS,
            what=f"{name} to say why it has no evidence",
        )
    fleet.wait_tainted(*fleet.cluster.nodes, effect="NoSchedule")
    assert fleet.labelled() == set()
