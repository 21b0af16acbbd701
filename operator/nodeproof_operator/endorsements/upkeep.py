"""When a revocation list is asked for again."""

from __future__ import annotations

from datetime import datetime, timedelta

from nodeproof.sevsnp.crl import RevocationList

CONFIRM_AFTER = timedelta(days=1)
"""How long nobody asks whether there is a newer list: what AMD revokes is known a day later."""

HURRY_AFTER = timedelta(hours=1)
"""The same for a list past half its life, which ends for good unless a newer one comes."""

HEARSAY = CONFIRM_AFTER - HURRY_AFTER
"""How long ago a stored list is taken to have been fetched: it may have lain there for long, and
whoever starts anew every day has to ask as well."""


def is_due(crl: RevocationList | None, confirmed: datetime | None, now: datetime) -> bool:
    """Tell whether a list is to be asked for now.

    Args:
        crl: The list that is held, if any.
        confirmed: When it was last seen to be the newest; None if never.
        now: The time, with its zone.
    """
    if crl is None or confirmed is None:
        return True
    pause = HURRY_AFTER if _is_past_half(crl, now) else CONFIRM_AFTER
    return now - confirmed >= pause


def _is_past_half(crl: RevocationList, now: datetime) -> bool:
    end = crl.next_update
    return end is None or now - crl.this_update > end - now
