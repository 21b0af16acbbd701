"""A cluster with real nodes and nodeproof to play with, until Ctrl-C."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from nodeproof_dev import documents, objects
from nodeproof_dev.cluster import stopping_on_signals, working_directory, write_examples
from nodeproof_dev.images import building
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.real.cluster import RealCluster
from nodeproof_dev.real.release import Release
from nodeproof_dev.real.requirements import require

_ATTESTED_SECONDS = 120.0


def run(directory: Path | None = None, *, until: threading.Event | None = None) -> None:
    """Start a cluster, install nodeproof and a policy on it; stop all on Ctrl-C or SIGTERM.

    Args:
        directory: Where everything goes, and what stays; a temporary one, removed, if None.
        until: Ends the wait when set; for callers that have no keyboard.

    Raises:
        NotPossible: No cluster with real nodes can run on this machine.
        BuildFailed: A program or an image cannot be built.
        ComponentFailed: A process ended or did not become ready.
        HelmFailed: The chart cannot be installed.
        NotReadyInTime: The nodes are not attested.
    """
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        place = stack.enter_context(working_directory(directory))
        require(place)
        images = building.obtain()
        labels = {objects.FLEET_LABEL: objects.FLEET}
        cluster = stack.enter_context(RealCluster(place, labels=labels))
        platforms = Platforms(place / "platforms")
        for node in cluster.nodes.values():
            node.launch_platform(platforms.launch())
        release = Release(cluster, images, platforms)
        release.load_images()
        release.install()
        _attest(cluster)
        # At once: whoever waits for it may read from a pipe.
        print(_hints(cluster, release, write_examples(place)), flush=True)
        (until or threading.Event()).wait()


def _attest(cluster: RealCluster) -> None:
    for document in (documents.reference_values(), documents.policy()):
        cluster.admin.apply(document)
    cluster.admin.wait_for(
        objects.policy(),
        lambda policy: objects.attested_count(policy) == len(cluster.nodes),
        seconds=_ATTESTED_SECONDS,
        what="every node attested",
    )


def _hints(cluster: RealCluster, release: Release, examples: Path) -> str:
    kubectl = " ".join(cluster.kubectl_command)
    machine = next(iter(cluster.nodes.values())).simulated_machine
    return f"""
A cluster of real kubelets with nodeproof, installed by Helm, is running. In another terminal:

  export KUBECONFIG={cluster.admin_kubeconfig}
  alias kubectl='{kubectl}'
  alias helm='{release.helm.binary}'

  kubectl get nodes,pods --all-namespaces --output wide
  kubectl get attestationpolicies,nodeattestations
  kubectl apply -f {examples}/pod.yaml
  helm test {release.helm.release} --namespace {release.helm.namespace} --logs

metrics   {release.operator_metrics_url()}
logs      {cluster.directory}/logs and {cluster.directory}/machines/*/log
machines  {machine} and so on
          (nodeproof-simulator reboot MACHINE changes one; its kubelet does not notice)
images    of your own: none is pulled; {examples}/pod.yaml names one that is there

The nodes' platform is simulated: its evidence proves nothing. NetworkPolicies are not enforced,
and pods reach nothing outside. Ctrl-C stops everything.
"""
