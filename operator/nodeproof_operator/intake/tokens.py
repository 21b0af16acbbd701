"""ServiceAccount tokens as far as they can be judged without asking anybody.

Nothing here makes a token good: only the API server can. It makes bad ones cheap.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from datetime import datetime, timedelta

import msgspec

from nodeproof.errors import TokenMissing, TokenRejected

MAX_TOKEN_LENGTH = 4096
"""Characters; a bound ServiceAccount token with an RSA-4096 signature has about 1,900."""

MAX_CLOCK_SKEW = timedelta(minutes=1)
"""How far the API server's clock may be behind ours before its expired tokens are our refusals."""

_SCHEME = "bearer "
_JWT = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")


class _Claims(msgspec.Struct, frozen=True):
    aud: str | list[str]
    exp: int | float

    @property
    def audiences(self) -> list[str]:
        return [self.aud] if isinstance(self.aud, str) else self.aud


def bearer_token(header: str | None) -> str:
    """Return the token in an ``Authorization`` header (RFC 6750, section 2.1).

    Raises:
        TokenMissing: There is no such header, or one of another scheme.
    """
    if header is None or header[: len(_SCHEME)].lower() != _SCHEME:
        raise TokenMissing("the request carries no bearer token")
    return header[len(_SCHEME) :].strip()


def check_shape(token: str, audience: str, now: datetime) -> None:
    """Check what a token says of itself, unverified: form, audience and expiry.

    Raises:
        TokenRejected: The API server could not accept it for this audience now.
    """
    claims = _claims(token)
    if audience not in claims.audiences:
        raise TokenRejected(
            "the token is meant for another audience",
            expected=audience,
            observed=", ".join(claims.audiences)[:256],
        )
    # Compared as numbers: a made-up date may lie beyond what a datetime can say.
    if claims.exp <= (now - MAX_CLOCK_SKEW).timestamp():
        raise TokenRejected("the token has expired")


def _claims(token: str) -> _Claims:
    match = _JWT.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if match is None:
        raise TokenRejected("the bearer token does not have the form of a ServiceAccount token")
    payload = match[1]
    try:
        decoded = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(decoded, type=_Claims)
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Without the cause: it may quote the token.
        raise TokenRejected("the token's claims cannot be read") from None
