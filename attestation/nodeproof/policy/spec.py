"""What all decoded API types have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time with its zone, as ``format: date-time`` in the CRDs."""


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    """Base of the decoded API types: camelCase outside, immutable inside."""
