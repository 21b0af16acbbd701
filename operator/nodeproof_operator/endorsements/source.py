"""AMD's certificates and lists for whoever verifies: what is at hand, and how the rest comes.

They are looked for in the stored evidence of all nodes, then in what was fetched or imported. What
is still missing is asked of AMD's key service, and the node is told when to come again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from nodeproof.errors import (
    EndorsementMismatch,
    EndorsementsMissing,
    EndorsementsUnavailable,
    VerificationError,
)
from nodeproof.sevsnp.certificates import INTERMEDIATES, Role
from nodeproof.sevsnp.kds import (
    CAName,
    CollateralName,
    CRLName,
    VCEKName,
    ca_names,
    vcek_names,
)
from nodeproof.sevsnp.verify import SIGNERS, VerifiedReport
from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.cluster.views import Record
from nodeproof_operator.endorsements.fetcher import Demand
from nodeproof_operator.endorsements.holdings import Holdings
from nodeproof_operator.endorsements.store import Store
from nodeproof_operator.endorsements.stored import stored_veks
from nodeproof_operator.endorsements.upkeep import is_due

RETRY_SECONDS = 60
"""When a node comes again whose certificates only a person can bring."""

UPKEEP_SECONDS = 10.0
"""Between two rounds of ``Endorsements.upkeep``: how long an imported bundle waits at most."""

MAX_KNOWN = 16
"""Certificates handed out for one report: half of what ``verify`` looks at."""

_log = structlog.get_logger()


class Fetching(Protocol):
    """What is needed of the queue to AMD's key service (``fetcher.Fetcher``)."""

    def want(self, name: CollateralName, demand: Demand | None) -> int:
        """Queue a name, once; return in how many seconds to ask again."""
        ...

    def trouble(self, name: CollateralName) -> str:
        """Return why the last try for a name failed; empty if it did not."""
        ...

    def refused(self, name: CollateralName) -> bool:
        """Tell whether it is known that nothing that verifies is to be had under a name."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What is at hand for one report; untrusted, as all that goes into ``verify``."""

    certificates: tuple[bytes, ...]
    """DER: VEKs that may fit and their CA certificates, likeliest first; no more than 16."""
    crls: tuple[bytes, ...]
    """DER: the revocation lists of all products."""


class Endorsements:
    """All that is known of AMD's certificates and lists, and the way to more; of one event loop.

    Args:
        holdings: What was fetched or imported, verified.
        fetcher: The queue to AMD's key service; None if the network is off.
        records: All NodeAttestations as of now, by name.
        clock: The time, with its zone.
        store: Where the holdings come from and go to.
    """

    def __init__(
        self,
        holdings: Holdings,
        fetcher: Fetching | None,
        records: Callable[[], Mapping[str, Record]],
        clock: Callable[[], datetime],
        *,
        store: Store,
    ) -> None:
        self._holdings = holdings
        self._fetcher = fetcher
        self._records = records
        self._clock = clock
        self._store = store
        self._seen: set[CAName] = set()

    @property
    def revision(self) -> int:
        """Grows whenever ``crls`` returns something else than before."""
        return self._holdings.revision

    def crls(self) -> tuple[bytes, ...]:
        """Return every verified revocation list worth having, DER, of all products."""
        return self._holdings.crls()

    def known(self, report: bytes) -> Known:
        """Return what is at hand for a report; never raises, whatever the bytes are."""
        stored = stored_veks(report, self._records().values())
        found = dict.fromkeys((*stored, *self._holdings.certificates(report)))
        return Known(tuple(found)[:MAX_KNOWN], self.crls())

    def fetch(
        self, report: bytes, node_uid: str, deadline: datetime | None, error: VerificationError
    ) -> EndorsementsUnavailable | None:
        """Ask for what may make a report verify, and return what to answer its node meanwhile.

        None means that nothing would help: the error stands.

        Args:
            report: The report that could not be judged.
            node_uid: Whose report it is.
            deadline: When the node's live result ends; None if it has none.
            error: EndorsementsMissing or EndorsementMismatch.
        """
        missing = isinstance(error, EndorsementsMissing)
        if missing or (isinstance(error, EndorsementMismatch) and self._may_differ(report)):
            return self._wait(report, Demand(node_uid, deadline), error)
        return None

    def note(self, claims: VerifiedReport) -> None:
        """Take in that a report was genuine: its chain and list are kept current from now on.

        Where newer firmware is committed than reported, the host may report it at any time: the
        VCEK for it is asked for now.
        """
        role = SIGNERS[claims.report.key_info.signing_key]
        chain = CAName(claims.product, INTERMEDIATES[role])
        self._seen.add(chain)
        newer = claims.committed_tcb != claims.reported_tcb
        # Without its chain nobody could tell whether what comes is genuine.
        if role is Role.VCEK and newer and self._holdings.has(chain):
            committed = VCEKName.of(claims.product, claims.report.chip_id, claims.committed_tcb)
            self._want([committed], None)

    async def upkeep(self) -> None:
        """Do one round: read the store, ask for lists that are due, write what was fetched.

        An API server that is away is logged; what is held stays in use.
        """
        await _attempt("reading", self._store.refresh)
        now = self._clock()
        self._want(filter(None, (self._due(name, now) for name in self._seen)), None)
        await _attempt("writing", self._store.save)

    def _due(self, name: CAName, now: datetime) -> CollateralName | None:
        """Return what to ask for so that this chain and its list stay current, if anything."""
        if not self._holdings.has(name):
            return name
        crl = CRLName(name.product, name.intermediate)
        held, confirmed = self._holdings.crl(crl), self._holdings.confirmed(crl)
        return crl if is_due(held, confirmed, now) else None

    def _may_differ(self, report: bytes) -> bool:
        """Tell whether the right VCEK may exist somewhere, so that a wrong one proves nothing."""
        if self._fetcher is None:
            return False
        names = _vcek_names(report)
        if any(self._holdings.has(name) for name in names):
            return False
        return not all(self._fetcher.refused(name) for name in names)

    def _wait(
        self, report: bytes, demand: Demand, error: VerificationError
    ) -> EndorsementsUnavailable:
        wanted = self._missing(report)
        seconds = self._want(wanted, demand)
        return EndorsementsUnavailable(
            self._explain(report, wanted),
            retry_after_seconds=seconds or RETRY_SECONDS,
            expected=", ".join(map(str, self._lacking(report))) or error.expected,
            observed=error.observed,
        )

    def _missing(self, report: bytes) -> tuple[CollateralName, ...]:
        """Return what to ask for next; a VCEK only once its chain is there to verify it."""
        held = self._holdings.has
        chains = tuple(name for name in _ca_names(report) if not held(name))
        ready = [
            name
            for name in _vcek_names(report)
            if held(CAName(name.product, Role.ASK)) and not held(name)
        ]
        # A node has one place in the line: of several products the first that is not ruled out.
        ready.sort(key=self._refused)
        return (*chains, *ready[:1])

    def _lacking(self, report: bytes) -> Iterator[CollateralName]:
        """Yield all that is not held: a person can bring also what is not to be asked for yet."""
        yield from (name for name in _ca_names(report) if not self._holdings.has(name))
        yield from (name for name in _vcek_names(report) if not self._holdings.has(name))

    def _want(self, names: Iterable[CollateralName], demand: Demand | None) -> int:
        """Ask for names that are not held; return when to come again, 0 if there is no need."""
        if self._fetcher is None:
            return 0
        waits = {
            name: self._fetcher.want(name, demand if isinstance(name, VCEKName) else None)
            for name in names
            if isinstance(name, CRLName) or not self._holdings.has(name)
        }
        # What is not to be had for hours must not make a node wait that something else may help.
        hopeful = [wait for name, wait in waits.items() if not self._refused(name)]
        return max(hopeful or waits.values(), default=0)

    def _refused(self, name: CollateralName) -> bool:
        return self._fetcher is not None and self._fetcher.refused(name)

    def _explain(self, report: bytes, wanted: Iterable[CollateralName]) -> str:
        if self._fetcher is None:
            return f"{_lack(report)}; the network is off: import a bundle of endorsements"
        troubles = [trouble for name in wanted if (trouble := self._fetcher.trouble(name))]
        if troubles:
            return f"{_lack(report)}; AMD's key service was asked: {troubles[0]}"
        if wanted:
            return f"{_lack(report)}; AMD's key service is being asked"
        return f"{_lack(report)}, and AMD's key service has none"


def _vcek_names(report: bytes) -> tuple[VCEKName, ...]:
    with suppress(VerificationError):
        return vcek_names(report)
    return ()


def _ca_names(report: bytes) -> tuple[CAName, ...]:
    with suppress(VerificationError):
        return ca_names(report)
    return ()


def _lack(report: bytes) -> str:
    """Return what a report lacks, and whether anybody but its host could bring it."""
    if _vcek_names(report):
        return "AMD's certificates for this report are not at hand"
    if any(name.intermediate is Role.ASVK for name in _ca_names(report)):
        return "the host has to send its VLEK along: no service hands it out"
    return "the report names no chip whose VCEK could be asked for"


async def _attempt(what: str, step: Callable[[], Awaitable[None]]) -> None:
    try:
        await step()
    except ApiError as error:
        _log.warning("store of endorsements", failed=what, reason=error.reason, error=str(error))
