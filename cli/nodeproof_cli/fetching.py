"""``verify --fetch``: ask the key service for what a report lacks, and look at it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nodeproof.errors import (
    ChainInvalid,
    EndorsementMismatch,
    EndorsementsMissing,
    RevocationUnknown,
    RootUntrusted,
    VerificationError,
)
from nodeproof.sevsnp.certificates import INTERMEDIATES, Certificate, load_certificates
from nodeproof.sevsnp.crl import NOT_REQUIRED, Revocation
from nodeproof.sevsnp.kds import CollateralName, CRLName, ca_names, vcek_names
from nodeproof.sevsnp.verify import SIGNERS
from nodeproof_cli.asking import Asker
from nodeproof_cli.holding import Holding
from nodeproof_cli.outcome import Outcome, examine
from nodeproof_cli.surroundings import KDSAddress, Surroundings, tell
from nodeproof_operator.endorsements.errors import KDSError

_CURABLE = (EndorsementsMissing, EndorsementMismatch, RootUntrusted, ChainInvalid)
"""Refusals that other certificates may turn into an answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """A report, and what is at hand to judge it by."""

    report: bytes
    pool: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    now: datetime
    """When certificates must be in force."""
    surroundings: Surroundings

    def ask(self, holding: Holding | None, revocation: Revocation) -> Outcome:
        """Return what becomes of the report with what is at hand and what was fetched."""
        fetched = load_certificates(holding.fetched_certificates) if holding else ()
        return examine(
            self.report,
            (*self.pool, *fetched),
            anchors=self.surroundings.anchors,
            now=self.now,
            revocation=revocation,
        )


async def ask_fetching(question: Question, address: KDSAddress) -> tuple[Outcome, Holding]:
    """Return what becomes of a report, and what was fetched for it.

    Raises:
        Unusable: The key service cannot be asked at all.
    """
    surroundings, today = question.surroundings, question.surroundings.clock()
    given = Revocation(crls=question.crls, required=True)
    holding = Holding(
        question.pool, question.crls, surroundings.anchors, question.now, crls_at=today
    )
    async with surroundings.connect(address) as kds:
        asker = Asker(kds, surroundings)
        outcome = question.ask(None, given)
        if isinstance(outcome.error, _CURABLE):
            await fetch_endorsements(question.report, holding, asker)
            outcome = question.ask(holding, given)
        if isinstance(outcome.error, RevocationUnknown):
            await _fetch_list(question, holding, asker)
            crls = (*question.crls, *holding.fetched_crls)
            # Whatever the report's age: whom AMD has revoked since, is revoked.
            current = Revocation(crls=crls, required=True, in_force_at=today)
            outcome = question.ask(holding, current)
    return outcome, holding


async def fetch_endorsements(report: bytes, holding: Holding, asker: Asker) -> bool:
    """Fetch what is not at hand of a report's VCEK and chain; tell whether both are now.

    Raises:
        VerificationError: The report cannot be read.
    """
    vceks = {name.product: name for name in vcek_names(report)}
    if not vceks:
        tell("the key service has no VEK for this report: its chip is masked, or a VLEK signed it")
    for authority in ca_names(report):
        if not await obtain(authority, holding, asker) or authority.product not in vceks:
            continue
        if await obtain(vceks[authority.product], holding, asker):
            return True
    return False


async def obtain(
    name: CollateralName, holding: Holding, asker: Asker, *, anew: bool = False
) -> bool:
    """Fetch something unless it is at hand; tell whether it is now, and say why if it is not.

    Args:
        name: What to fetch.
        holding: Where to look for it, and where to keep it.
        asker: Whom to ask.
        anew: Fetch it even if it is at hand.
    """
    if holding.has(name) and not anew:
        return True
    try:
        holding.add(name, await asker.get(name))
    except (KDSError, VerificationError) as error:
        tell(f"no {name}: {error}")
    return holding.has(name)


async def _fetch_list(question: Question, holding: Holding, asker: Asker) -> None:
    claims = question.ask(holding, NOT_REQUIRED).claims
    if claims is None:
        return
    intermediate = INTERMEDIATES[SIGNERS[claims.report.key_info.signing_key]]
    await obtain(CRLName(claims.product, intermediate), holding, asker)
