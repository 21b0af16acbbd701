"""REPORT_DATA: what ties a report to one challenge, one boot and, later, one key."""

from __future__ import annotations

import hashlib

DOMAIN = b"nodeproof.dev/report-data/v1"
"""Domain separation: no other protocol's 64 bytes can be mistaken for ours."""

REPORT_DATA_SIZE = 64
"""Bytes of REPORT_DATA (AMD 56860, ATTESTATION_REPORT offset 0x050); SHA-512 fills them exactly."""

_LENGTH_SIZE = 4


def report_data(challenge: bytes, boot_id: str, node_key: bytes = b"") -> bytes:
    """Return the 64 bytes of REPORT_DATA that answer a challenge.

    SHA-512 over the domain and each field behind its length (4 bytes, big-endian), so that no two
    lists of fields encode alike.

    Args:
        challenge: The challenge as received, signature included.
        boot_id: The boot ID that the node states (``/proc/sys/kernel/random/boot_id``).
        node_key: Reserved for a key held in the node; empty in this protocol version.
    """
    digest = hashlib.sha512()
    for field in (DOMAIN, challenge, boot_id.encode(), node_key):
        digest.update(len(field).to_bytes(_LENGTH_SIZE, "big"))
        digest.update(field)
    return digest.digest()
