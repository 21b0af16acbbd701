"""What the API server says to one of our objects, without keeping it."""

from __future__ import annotations

from nodeproof.policy import GROUP, VERSION
from nodeproof_dev.api import Api, Object

COLLECTION = f"/apis/{GROUP}/{VERSION}"
NOW = "2026-11-23T12:00:00Z"


def dry_run(api: Api, collection: str, body: Object) -> tuple[int, str]:
    """Return the status and the message of an attempt to create an object."""
    status, answer = api.call("POST", f"{collection}?dryRun=All&fieldValidation=Strict", body)
    return status, answer.get("message", "")
