"""The answer as JSON: every field of the report under AMD's name, bytes in hexadecimal."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from nodeproof.sevsnp.bits import GuestPolicy, KeyInfo, PlatformInfo
from nodeproof.sevsnp.certificates import Certificate, load_certificates
from nodeproof.sevsnp.report import Report
from nodeproof.sevsnp.statement import Statement
from nodeproof_cli.outcome import Outcome

JSON = dict[str, Any]


def render_json(outcome: Outcome) -> str:
    """Return the answer as one JSON object, ASCII, indented by two."""
    return json.dumps(as_json(outcome), indent=2) + "\n"


def as_json(outcome: Outcome) -> JSON:
    """Return the answer as a JSON object; what there is not, is null."""
    error, claims, statement = outcome.error, outcome.claims, outcome.statement
    return {
        "outcome": "refused" if claims is None else "genuine",
        "reason": error.reason if error else None,
        "expected": error.expected if error else None,
        "observed": error.observed if error else None,
        "product": _product(outcome),
        "report": fields(statement) if statement else None,
        "chain": [describe(each) for each in load_certificates(claims.chain)] if claims else [],
    }


def fields(statement: Statement) -> JSON:
    """Return every field of a report; bit fields as a number and, beside it, bit by bit."""
    report = statement.report
    return {
        "version": report.version,
        "guest_svn": report.guest_svn,
        "policy": f"{report.policy.value:#x}",
        "policy_bits": bits(report.policy),
        "family_id": report.family_id.hex(),
        "image_id": report.image_id.hex(),
        "vmpl": report.vmpl,
        "signature_algo": report.signature_algo,
        "platform_info": f"{report.platform_info.value:#x}",
        "platform_info_bits": bits(report.platform_info),
        "key_info": f"{report.key_info.value:#x}",
        **bits(report.key_info),
        "signing_key": report.key_info.signing_key.name,
        **_identities(report),
        **_cpuid(statement),
        **_versions(statement),
        "signature_r": f"{report.signature_r:#x}",
        "signature_s": f"{report.signature_s:#x}",
    }


def bits(field: GuestPolicy | PlatformInfo | KeyInfo) -> JSON:
    """Return what a bit field says, by the names of its bits."""
    names = (name for name, member in vars(type(field)).items() if isinstance(member, property))
    return {name: getattr(field, name) for name in names}


def describe(certificate: Certificate) -> JSON:
    """Return what tells one certificate from another."""
    return {
        "role": certificate.role,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial:#x}",
        "not_before": utc(certificate.not_before),
        "not_after": utc(certificate.not_after),
        "sha256": hashlib.sha256(certificate.der).hexdigest(),
        "public_key_sha256": certificate.public_key_sha256,
    }


def utc(time: datetime) -> str:
    """Return a time in UTC as RFC 3339 writes it, in whole seconds."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _product(outcome: Outcome) -> str | None:
    """Return the product that the root proves, else the one that the report claims."""
    if outcome.claims:
        return outcome.claims.product
    model = outcome.statement.model if outcome.statement else None
    return model.product if model else None


def _identities(report: Report) -> JSON:
    return {
        "report_data": report.report_data.hex(),
        "measurement": report.measurement.hex(),
        "host_data": report.host_data.hex(),
        "id_key_digest": report.id_key_digest.hex(),
        "author_key_digest": report.author_key_digest.hex(),
        "report_id": report.report_id.hex(),
        "report_id_ma": report.report_id_ma.hex(),
        "chip_id": report.chip_id.hex(),
    }


def _cpuid(statement: Statement) -> JSON:
    cpuid = statement.report.cpuid
    return {
        "cpuid_family": cpuid.family if cpuid else None,
        "cpuid_model": cpuid.model if cpuid else None,
        "cpuid_stepping": cpuid.stepping if cpuid else None,
        "cpu_model": statement.model.name if statement.model else None,
    }


def _versions(statement: Statement) -> JSON:
    report = statement.report
    return {
        **{
            name: msgspec.structs.asdict(getattr(statement, name))
            | {"raw": getattr(report, name).hex()}
            for name in ("reported_tcb", "committed_tcb", "current_tcb", "launch_tcb")
        },
        "current_version": str(report.current_version),
        "committed_version": str(report.committed_version),
        "launch_mit_vector": _hexadecimal(report.launch_mit_vector),
        "current_mit_vector": _hexadecimal(report.current_mit_vector),
    }


def _hexadecimal(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"
