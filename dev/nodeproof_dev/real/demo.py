"""The main job, told on real nodes: kubelets run the pods, Helm installs nodeproof from images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nodeproof_dev import objects
from nodeproof_dev.cluster import stopping_on_signals, working_directory
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.demo import wait_for_interrupt
from nodeproof_dev.images import building
from nodeproof_dev.images.building import Images
from nodeproof_dev.narration import Narrator
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.real.cluster import RealCluster
from nodeproof_dev.real.node import RealNode
from nodeproof_dev.real.release import Release
from nodeproof_dev.real.requirements import require
from nodeproof_dev.story import LAUNCHES, Story

_SECONDS = 120.0
"""How long anything may take: a node that restarts may have had the operator that leads."""


def run(directory: Path | None = None, *, keep: bool = False) -> None:
    """Tell the story; with ``keep`` wait for Ctrl-C before everything is stopped and removed.

    Raises:
        NotPossible: No cluster with real nodes can run on this machine.
        BuildFailed: A program or an image cannot be built.
        ComponentFailed: A process ended or did not become ready.
        NotReadyInTime: The cluster did not do what the story says.
    """
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        place = stack.enter_context(working_directory(directory))
        require(place)
        images = building.obtain()
        narrator = Narrator()
        story = Story(_set_the_stage(stack, place, narrator, images), narrator)
        story.tell()
        narrator.say(story.epilogue(keep=keep))
        if keep:
            wait_for_interrupt()


def _set_the_stage(stack: ExitStack, place: Path, narrator: Narrator, images: Images) -> RealStage:
    narrator.chapter(
        "A real cluster: a control plane and four nodes, each with kubelet and containerd"
    )
    labels = {objects.FLEET_LABEL: objects.FLEET}
    cluster = stack.enter_context(RealCluster(place, names=tuple(LAUNCHES), labels=labels))
    _show(cluster, narrator, "get", "nodes", "-o", "wide")
    narrator.chapter("nodeproof, installed from images by its chart")
    platforms = Platforms(place / "platforms")
    for name, launch in LAUNCHES.items():
        if launch is not None:
            cluster.nodes[name].launch_platform(platforms.launch(**launch))
    release = Release(cluster, images, platforms)
    release.load_images()
    for image in images.built.values():
        narrator.fact(
            f"image {image.reference}, {image.bytes_above_base / 1e6:.0f} MB above its base"
        )
    began = time.monotonic()
    release.install()
    narrator.fact(f"helm install: all pods ready after {time.monotonic() - began:.1f} s")
    narrator.fact("served: " + ", ".join(objects.served_kinds(cluster.admin)))
    _show(cluster, narrator, "-n", "nodeproof-system", "get", "pods", "-o", "wide")
    narrator.warn("evidence in this story comes from a simulated platform: it proves nothing")
    return RealStage(cluster, release)


@dataclass(frozen=True, slots=True)
class RealStage:
    """A cluster with real nodes; see ``story.Stage``."""

    cluster: RealCluster
    release: Release
    seconds: float = _SECONDS
    joining: str = "Four nodes with an agent each: the machine of one has no SNP platform"

    @property
    def plane(self) -> ControlPlane:
        """Its control plane."""
        return self.cluster.plane

    @property
    def logs(self) -> str:
        """Where the logs are."""
        return f"{self.cluster.directory}/logs and {self.cluster.directory}/machines/*/log"

    def join(self) -> Mapping[str, RealNode]:
        """Return the nodes: they are there."""
        return self.cluster.nodes

    def metrics_url(self) -> str:
        """Return the page of the operator's pod that leads."""
        return self.release.operator_metrics_url()


def _show(cluster: RealCluster, narrator: Narrator, *arguments: str) -> None:
    narrator.command("kubectl " + " ".join(arguments), cluster.plane.kubectl(*arguments))
