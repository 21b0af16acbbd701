"""Where the bytes of a report are (AMD 56860, ATTESTATION_REPORT structure); little-endian."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Self

REPORT_SIZE = 0x4A0
"""Bytes of a report."""

SIGNED_SIZE = 0x2A0
"""Bytes at the start of a report that its signature covers; R and S follow."""

SCALAR_SIZE = 72
"""Bytes of R and of S; P-384 fills the lower 48."""

_CPUID = (0x188, 0x18B)
_MITIGATIONS = (0x1F8, 0x208)
_ALWAYS = (
    (0x04C, 0x050),
    (0x18B, 0x1A0),
    (0x1EB, 0x1EC),
    (0x1EF, 0x1F0),
    (0x208, SIGNED_SIZE),
    # The upper 24 bytes of R and of S, and all behind them: no signature covers these.
    (0x2D0, 0x2E8),
    (0x318, REPORT_SIZE),
)

RESERVED: Mapping[int, tuple[tuple[int, int], ...]] = MappingProxyType(
    {
        2: (*_ALWAYS, _CPUID, _MITIGATIONS),
        3: (*_ALWAYS, _MITIGATIONS),
        # Version 4 does not define the mitigation vectors, yet some firmware may fill them.
        4: _ALWAYS,
        5: _ALWAYS,
    }
)
"""Reserved bytes of each known version: offset of the first, and of the one after the last."""

UNCONFIRMED: Mapping[int, str] = MappingProxyType(
    {
        6: "no genuine report confirms yet where its extended TCB versions are (56860, 1.59)",
    }
)
"""Versions that are recognised and yet refused, each with why."""

_FIELDS = struct.Struct("<IIQ16s16sII8sQI4x64s48s32s48s48s32s32s8s3B21x64s8s3Bx3Bx8sQQ")
"""From offset 0 through CURRENT_MIT_VECTOR; ``x`` is reserved."""


class Body(NamedTuple):
    """Every field but the signature, in the order of their offsets; not yet interpreted."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algo: int
    current_tcb: bytes
    platform_info: int
    key_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    family: int
    model: int
    stepping: int
    chip_id: bytes
    committed_tcb: bytes
    current_build: int
    current_minor: int
    current_major: int
    committed_build: int
    committed_minor: int
    committed_major: int
    launch_tcb: bytes
    launch_mit_vector: int
    current_mit_vector: int

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the fields of a report, which must have its full size."""
        return cls._make(_FIELDS.unpack_from(data))
