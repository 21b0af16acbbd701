"""The agent's metrics: every name, label and bucket."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from nodeproof import __version__
from nodeproof.protocol import PROTOCOL_VERSION

ROUNDS = "nodeproof_agent_rounds_total"
LAST_SUCCESS = "nodeproof_agent_last_success_timestamp_seconds"
ROUND_DURATION = "nodeproof_agent_round_duration_seconds"
BUILD_INFO = "nodeproof_agent_build_info"

SUCCESS = "success"
FAILURE = "failure"

DURATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Seconds: a fraction when all is well, a minute with a throttled firmware, a challenge's life."""


class Metrics:
    """The metrics of one agent, in a registry of their own."""

    def __init__(self, *, provider: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._rounds = Counter(
            ROUNDS,
            "Attestation rounds by result; reason is empty for a success.",
            ("result", "reason"),
            registry=self._registry,
        )
        self._last_success = Gauge(
            LAST_SUCCESS,
            "When the operator last accepted evidence of this node; 0 before the first time.",
            registry=self._registry,
        )
        self._duration = Histogram(
            ROUND_DURATION,
            "How long attestation rounds took.",
            ("result",),
            buckets=DURATION_BUCKETS,
            registry=self._registry,
        )
        Gauge(
            BUILD_INFO,
            "Always 1; the provider says whether this agent's evidence is simulated.",
            ("version", "protocol", "provider"),
            registry=self._registry,
        ).labels(__version__, str(PROTOCOL_VERSION), provider).set(1)

    def succeeded(self, *, timestamp: float, seconds: float) -> None:
        """Count a round whose evidence was accepted at that Unix time."""
        self._rounds.labels(SUCCESS, "").inc()
        self._last_success.set(timestamp)
        self._duration.labels(SUCCESS).observe(seconds)

    def failed(self, *, reason: str, seconds: float) -> None:
        """Count a round that failed; the reason is one of ``errors.REASONS``."""
        self._rounds.labels(FAILURE, reason).inc()
        self._duration.labels(FAILURE).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
