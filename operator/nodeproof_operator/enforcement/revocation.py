"""Does a revocation list of AMD's vouch for the signer, and until when? Pure.

Which list was used is part of the proof. Here it is held against the time and against what each
policy asks, as both change while the proof stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from nodeproof.errors import NodeproofError, SignerRevoked
from nodeproof.policy import RevocationMode, RevocationRules
from nodeproof.result import Reason, Status
from nodeproof.sevsnp.crl import RevocationList
from nodeproof_operator.enforcement.finding import Case, moment, waiting

CURRENT: Final = "Current"
UNKNOWN: Final = "RevocationUnknown"
"""Reasons of the condition ``EndorsementsCurrent``, beside those of ``Attested``."""


def counts_until(crl: RevocationList, rules: RevocationRules) -> datetime:
    """Return when a list ends, by its own word and by a policy's."""
    ends = [crl.next_update or crl.this_update]
    if rules.maximum_age_seconds is not None:
        ends.append(crl.this_update + timedelta(seconds=rules.maximum_age_seconds))
    return min(ends)


def lack(crl: RevocationList | None, rules: RevocationRules, now: datetime) -> str:
    """Return, in one sentence, why no list vouches for the signer now; or ''."""
    if crl is None:
        return "no revocation list of AMD's is at hand that is in force"
    end = counts_until(crl, rules)
    if now < end:
        return ""
    return f"the newest revocation list of AMD's, of {moment(crl.this_update)}, ended {moment(end)}"


def next_end(crl: RevocationList | None, rules: RevocationRules, now: datetime) -> datetime | None:
    """Return when the list ends for a policy, if that is still to come."""
    end = counts_until(crl, rules) if crl else None
    return end if end is not None and end > now else None


def endorsements_current(case: Case, asked: Iterable[RevocationRules]) -> tuple[Status, str, str]:
    """Return status, reason and message of the condition ``EndorsementsCurrent``.

    Args:
        case: The Node's evidence.
        asked: What the policies that select the Node ask for.
    """
    proof = case.proof
    if isinstance(proof, NodeproofError):
        revoked = isinstance(proof, SignerRevoked)
        return Status.FALSE if revoked else Status.UNKNOWN, proof.reason, str(proof)
    if deferral := waiting(case):
        return Status.FALSE, Reason.ENDORSEMENTS_UNAVAILABLE, deferral.message
    if proof is None:
        return Status.UNKNOWN, Reason.NO_EVIDENCE, "there is no evidence to endorse"
    return _by_list(proof.claims.crl, list(asked) or [RevocationRules()], case.now)


def _by_list(
    crl: RevocationList | None, asked: list[RevocationRules], now: datetime
) -> tuple[Status, str, str]:
    lacking = [rules for rules in asked if lack(crl, rules, now)]
    modes = {rules.mode for rules in lacking}
    if crl is not None and not lacking:
        end = min(counts_until(crl, rules) for rules in asked)
        text = f"the revocation list of {moment(crl.this_update)} counts until {moment(end)}"
        return Status.TRUE, CURRENT, text
    if modes == {RevocationMode.OFF}:
        text = "the certificates are at hand; no policy asks for a revocation list"
        return Status.TRUE, CURRENT, text
    if RevocationMode.REQUIRED in modes:
        required = next(rules for rules in lacking if rules.mode is RevocationMode.REQUIRED)
        return Status.FALSE, Reason.ENDORSEMENTS_UNAVAILABLE, lack(crl, required, now)
    preferred = next(rules for rules in lacking if rules.mode is RevocationMode.PREFERRED)
    return Status.UNKNOWN, UNKNOWN, lack(crl, preferred, now)
