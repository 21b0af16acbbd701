"""What only the operator's own challenge key makes possible; an admin can read it."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nodeproof import challenge as challenges
from nodeproof_dev.api import Api
from nodeproof_dev.attester import Answer, HandDrivenAttester
from nodeproof_operator.intake.challenges import ENTRY
from nodeproof_operator.intake.keys import ChallengeKey, signing_key

_SECRET = "/api/v1/namespaces/nodeproof-system/secrets/nodeproof-challenge-keys"


def challenge_key(admin: Api) -> Ed25519PrivateKey:
    """Return the key that the operator signs challenges with now."""
    secret = admin.get(_SECRET)
    keys = msgspec.json.decode(b64decode(secret["data"][ENTRY]), type=tuple[ChallengeKey, ...])
    return signing_key(keys, datetime.now(UTC)).private_key


def attest_slowly(one: HandDrivenAttester, admin: Api, seconds: float) -> Answer:
    """Attest as if the platform had taken so long over its report: evidence that is old at once."""
    asked = msgspec.structs.replace(
        challenges.read(one.challenge()),
        issued_time=datetime.now(UTC) - timedelta(seconds=seconds),
    )
    return one.submit(one.submission(challenges.mint(asked, challenge_key(admin))))
