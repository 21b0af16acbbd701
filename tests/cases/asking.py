"""Endorsements with all around them: a clock, a queue that only takes notes, an API server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cases import endorsing
from cases.held import (
    HOUR,
    MILAN_CA,
    Clock,
    node,
    report_of,
)
from fakes.fake_api import FakeApi
from fakes.simulated import NOW, authority
from nodeproof.errors import (
    EndorsementsMissing,
    EndorsementsUnavailable,
    VerificationError,
)
from nodeproof.sevsnp.bundle import LABEL
from nodeproof.sevsnp.kds import CollateralName
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.verify import VerifiedReport, verify
from nodeproof_operator.cluster.objects import config_map, endorsements
from nodeproof_operator.cluster.views import Record
from nodeproof_operator.endorsements.fetcher import Demand
from nodeproof_operator.endorsements.holdings import Holdings
from nodeproof_operator.endorsements.source import (
    Endorsements,
)
from nodeproof_operator.endorsements.store import Store

NAMESPACE = "system"
NODE = "node-uid"
DEADLINE = NOW + HOUR
MISSING = EndorsementsMissing("there is no VCEK", expected="a VCEK", observed="none of AMD's")


@dataclass
class Line:
    """A queue that only notes what is asked for; what it is told to be refused is."""

    asked: list[tuple[CollateralName, Demand | None]] = field(default_factory=list)
    refusals: set[CollateralName] = field(default_factory=set)
    troubles: dict[CollateralName, str] = field(default_factory=dict)
    waits: dict[CollateralName, int] = field(default_factory=dict)

    def want(self, name: CollateralName, demand: Demand | None) -> int:
        self.asked.append((name, demand))
        return self.waits.get(name, 42)

    def trouble(self, name: CollateralName) -> str:
        return self.troubles.get(name, "")

    def refused(self, name: CollateralName) -> bool:
        return name in self.refusals

    @property
    def names(self) -> list[CollateralName]:
        return [name for name, _ in self.asked]


class Case:
    """Endorsements with all around them."""

    def __init__(self, *, network: bool = True) -> None:
        self.clock = Clock()
        self.line = Line()
        self.api = FakeApi()
        for product in Product:
            path = config_map(NAMESPACE, endorsements(product))
            self.api.put(path, {"metadata": {"labels": {LABEL: "true"}}})
        self.holdings = Holdings(endorsing.anchors(), self.clock)
        self.records: list[Record] = []
        self.source = Endorsements(
            self.holdings,
            self.line if network else None,
            lambda: {each.name: each for each in self.records},
            self.clock,
            store=Store(self.api, NAMESPACE, self.holdings),
        )

    def with_chain(self) -> Case:
        self.holdings.accept(MILAN_CA, endorsing.chain(authority()))
        return self

    def fetch(
        self, report: bytes | None = None, error: VerificationError = MISSING
    ) -> EndorsementsUnavailable | None:
        return self.source.fetch(report or report_of(), NODE, DEADLINE, error)

    def wait(
        self, report: bytes | None = None, error: VerificationError = MISSING
    ) -> EndorsementsUnavailable:
        answer = self.fetch(report, error)
        assert answer is not None
        return answer


def claims_of(**changes: Any) -> VerifiedReport:
    return verify(
        report_of(**changes),
        node().processor.certificates,
        anchors=endorsing.anchors(),
        now=NOW,
        report_data=None,
    )
