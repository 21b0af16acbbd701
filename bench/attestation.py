"""What one whole attestation costs the operator, as a ratio to one bare P-384 verification.

Real parts: control plane, TLS, tokens, TokenReviews, conditional writes, and the Lease holder's
second look. The operator's own processor time is divided by the attestations it took; the bare
verification is timed in this process before and after, so that both saw the same machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384

from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_dev import objects
from nodeproof_dev.attester import EvidenceClient, HandDrivenAttester
from nodeproof_dev.cluster import working_directory
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.platforms import Platforms

ROUNDS = 5
"""Attestations of each node: within what one node may ask for at once."""

_CA = "/api/v1/namespaces/nodeproof-agents/configmaps/nodeproof-ca"
_SETTLE_SECONDS = 3.0
_BARE_REPETITIONS = 400


def main() -> int:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=20, help="nodes that attest (default 20)")
    nodes = parser.parse_args().nodes
    with ExitStack() as stack:
        place = stack.enter_context(working_directory(None))
        before = bare_verification_seconds()
        operator_seconds, idle_seconds = measure(stack, place, nodes)
        bare = statistics.mean([before, bare_verification_seconds()])
    total = nodes * ROUNDS
    each = (operator_seconds - idle_seconds) / total
    print(f"bare P-384 verification                  {bare * 1e6:9.0f} us            1.0 x")
    print(
        f"operator, one whole attestation          {each * 1e6:9.0f} us {each / bare:14.1f} x"
        f"   ({total} attestations of {nodes} nodes)"
    )
    return 0


def measure(stack: ExitStack, place: Path, nodes: int) -> tuple[float, float]:
    """Return the operator's processor seconds for all attestations, and idle for as long."""
    plane = stack.enter_context(ControlPlane.obtain(place))
    platforms = Platforms(place / "platforms")
    nodeproof = stack.enter_context(Installation(plane, simulated_roots=[platforms.ark]))
    nodeproof.apply()
    operator = nodeproof.start_operator()
    bundle = plane.admin.wait_for(_CA, lambda it: "ca.crt" in (it.get("data") or {}))
    ca_file = place / "ca.crt"
    ca_file.write_text(bundle["data"]["ca.crt"])
    client = EvidenceClient(operator.url, str(ca_file))
    attesters = [_attester(stack, plane, platforms, client, f"node-{i}") for i in range(nodes)]
    names = {each.name for each in attesters}
    plane.admin.wait_for(objects.AGENT_PODS, lambda pods: objects.run_on(pods, names), seconds=120)
    process = psutil.Process(operator.pid)
    began, start = time.monotonic(), _processor_seconds(process)
    for _ in range(ROUNDS):
        for attester in attesters:
            answer = attester.attest()
            if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
                sys.exit(f"not accepted: {answer}")
    time.sleep(_SETTLE_SECONDS)
    lasted, used = time.monotonic() - began, _processor_seconds(process) - start
    idle_start = _processor_seconds(process)
    time.sleep(_SETTLE_SECONDS)
    idle = (_processor_seconds(process) - idle_start) / _SETTLE_SECONDS * lasted
    return used, idle


def _attester(
    stack: ExitStack,
    plane: ControlPlane,
    platforms: Platforms,
    client: EvidenceClient,
    name: str,
) -> HandDrivenAttester:
    machine = SimulatedMachine.load(platforms.machine(name))
    node = SimulatedNode(plane, name, machine=None, operator_url=lambda: client.url)
    return HandDrivenAttester(client, stack.enter_context(node), machine)


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def bare_verification_seconds() -> float:
    """Return the median time of one P-384 verification with a key that is loaded."""
    key = ec.generate_private_key(ec.SECP384R1())
    message = bytes(672)
    signature = key.sign(message, ec.ECDSA(SHA384()))
    public = key.public_key()
    times = []
    for _ in range(_BARE_REPETITIONS):
        start = time.perf_counter()
        public.verify(signature, message, ec.ECDSA(SHA384()))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
