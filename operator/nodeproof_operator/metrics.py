"""Every metric of the operator: its name, its labels, and where it is fed.

No chip ID, nonce, digest or token is ever a label value; reasons come from closed lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from nodeproof import __version__

VERIFICATION_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Seconds: one verification takes about half a millisecond, a queue behind it much more."""


class EndorsementMetrics:
    """What becomes of AMD's certificates and lists in this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "nodeproof_kds_requests",
            "Requests to AMD's key service, by result: Accepted, or why nothing came of it.",
            ["result"],
            registry=registry,
        )
        self.queue_depth = Gauge(
            "nodeproof_kds_queue_depth",
            "Certificates and lists that wait to be asked for at AMD's key service.",
            registry=registry,
        )
        self.ignored = Gauge(
            "nodeproof_endorsements_ignored",
            "Values in labelled ConfigMaps that are no genuine certificate or list of AMD's.",
            registry=registry,
        )

    def count_request(self, result: str) -> None:
        """Count one request to AMD's key service."""
        self.requests.labels(result).inc()

    def watch(self, *, queue_depth: Callable[[], int], ignored: Callable[[], int]) -> None:
        """Have the gauges read where the numbers are, whenever somebody looks."""
        self.queue_depth.set_function(queue_depth)
        self.ignored.set_function(ignored)


class Metrics:
    """The operator's metrics, in a registry of their own.

    ``nodes`` and ``result_expiration`` are the fleet's state: only the Lease holder sets them, so
    that sums over replicas are right; ``clear_fleet`` takes them away when leadership ends.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.build_info = Gauge(
            "nodeproof_build_info",
            "Always 1; the release and whether simulated platforms may count.",
            ["version", "simulated_allowed"],
            registry=self.registry,
        )
        self.nodes = Gauge(
            "nodeproof_nodes",
            "Nodes selected by a policy, by state (Passed, Failed, Unknown) and signer.",
            ["policy", "state", "signer"],
            registry=self.registry,
        )
        self.attempts = Counter(
            "nodeproof_attestation_attempts",
            "Attempts to attest, by result (accepted, refused, deferred, unavailable) and reason.",
            ["result", "reason", "signer"],
            registry=self.registry,
        )
        self.verification = Histogram(
            "nodeproof_verification_duration_seconds",
            "Time from handing evidence to a verification worker until its answer.",
            buckets=VERIFICATION_BUCKETS,
            registry=self.registry,
        )
        self.result_expiration = Gauge(
            "nodeproof_result_expiration_timestamp_seconds",
            "When a node's attestation result ends, as Unix time.",
            ["node"],
            registry=self.registry,
        )
        self.enforcement_writes = Counter(
            "nodeproof_enforcement_writes",
            "Writes to Nodes, by action (raise, lower) and result.",
            ["action", "result"],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.leader = Gauge(
            "nodeproof_leader", "1 while this replica holds the Lease.", registry=self.registry
        )
        self.endorsements = EndorsementMetrics(self.registry)

    def describe_build(self, *, simulated_allowed: bool) -> None:
        """Set ``build_info`` for this process."""
        self.build_info.labels(__version__, str(simulated_allowed).lower()).set(1)

    def attempt(self, result: str, reason: str, signer: str) -> None:
        """Count one request to the evidence service."""
        self.attempts.labels(result, reason, signer).inc()

    def set_fleet(
        self,
        states: Mapping[tuple[str, str, str], int],
        expirations: Mapping[str, datetime | None],
    ) -> None:
        """Set the fleet's state, all of it.

        Args:
            states: Nodes by policy, state and signer.
            expirations: When each node's result ends; None, and no series, without one.
        """
        self.clear_fleet()
        for labels, count in states.items():
            self.nodes.labels(*labels).set(count)
        for node, when in expirations.items():
            if when is not None:
                self.result_expiration.labels(node).set(when.timestamp())

    def clear_fleet(self) -> None:
        """Take the fleet's state away: another replica speaks of it, or nobody."""
        self.nodes.clear()
        self.result_expiration.clear()

    def show_leadership(self, leading: bool) -> None:  # noqa: FBT001 - a callback's only argument
        """Say whether this replica holds the Lease; without it, it has no fleet to speak of."""
        self.leader.set(leading)
        if not leading:
            self.clear_fleet()

    def count_write(self, action: str, result: str) -> None:
        """Count one change to a Node."""
        self.enforcement_writes.labels(action, result).inc()

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics in Prometheus' text format, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
