"""Certificates and revocation lists on their ways to an operator: ConfigMaps and the KDS."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

from cases.metrics_page import sample
from cases.policy_case import SECONDS
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine, SimulatedProcessor
from nodeproof_dev.api import Api, Object
from nodeproof_dev.attester import Answer, HandDrivenAttester
from nodeproof_dev.kds import KDSStandIn
from nodeproof_dev.objects import attestation
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.process import wait_until
from nodeproof_operator.endorsements.source import UPKEEP_SECONDS

NewAttester = Callable[..., HandDrivenAttester]
Start = Callable[[KDSStandIn | None], OperatorProcess]

PRODUCT = Product.GENOA
"""What the machines of these tests are: nobody else's are, so no list of theirs hurts others."""

NAMESPACE = "nodeproof-system"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
LABEL = "nodeproof.dev/endorsements"

ROUND_SECONDS = UPKEEP_SECONDS + SECONDS
"""How long it may take until an operator has seen what changed in a ConfigMap."""

_LABELLED = f"{CONFIG_MAPS}?labelSelector={LABEL}%3Dtrue"
_OWN_PREFIX = "nodeproof-endorsements-"


def launched_on(processor: SimulatedProcessor) -> SimulatedMachine:
    """Launch a machine on a processor; several may share one."""
    return SimulatedMachine.launch(processor)


def new_machine(authority: SimulatedAuthority) -> SimulatedMachine:
    """Launch a machine on a processor of its own."""
    return launched_on(SimulatedProcessor.create(authority, now=datetime.now(UTC)))


def revoking_crl(authority: SimulatedAuthority) -> bytes:
    """Return a revocation list of this moment that names the authority's ASK."""
    ask = x509.load_pem_x509_certificate(authority.ask)
    return authority.issue_crl(datetime.now(UTC), [ask.serial_number])


def config_map(name: str, *values: bytes) -> Object:
    """Return a labelled ConfigMap with these certificates and lists, under keys of no meaning."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {LABEL: "true"}},
        "binaryData": {f"value-{i}": b64encode(it).decode() for i, it in enumerate(values)},
    }


def stored(admin: Api) -> dict[str, Object]:
    """Return what each labelled ConfigMap holds, by its name; those that are empty are left out."""
    return {
        each["metadata"]["name"]: held
        for each in admin.items(_LABELLED)
        if (held := (each.get("data") or {}) | (each.get("binaryData") or {}))
    }


def clear(admin: Api) -> None:
    """Empty the operator's own ConfigMaps, and delete the others that are labelled."""
    for name in stored(admin):
        path = f"{CONFIG_MAPS}/{name}"
        if name.startswith(_OWN_PREFIX):
            admin.merge_patch(path, {"data": None, "binaryData": None})
        else:
            admin.delete(path)


def unendorsed(one: HandDrivenAttester) -> Object:
    """Return a submission without any certificate, over a new challenge."""
    return one.submission(one.challenge(), certificates=b"")


def is_waiting(answer: Answer) -> bool:
    """Whether a node is told to come again once there are certificates."""
    told = (answer.status, answer.reason) == (503, "EndorsementsUnavailable")
    return told and int(answer.retry_after) > 0


def wait_accepted(one: HandDrivenAttester, submission: Object, *, seconds: float = SECONDS) -> None:
    """Send the same submission again and again until it is accepted."""
    wait_until(
        lambda: one.submit(submission).status == 200,
        seconds=seconds,
        what=f"the evidence of {one.name} to be accepted",
    )


def wait_condition(
    admin: Api, node_name: str, kind: str, told: tuple[str, str], *, seconds: float = SECONDS
) -> Object:
    """Wait until a condition of a NodeAttestation has this status and reason; return it."""

    def condition(seen: Object) -> Object:
        conditions: list[Object] = seen.get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    found = admin.wait_for(
        attestation(node_name),
        lambda seen: (condition(seen).get("status"), condition(seen).get("reason")) == told,
        seconds=seconds,
    )
    return condition(found)


def wait_asked(kds: KDSStandIn, times: int) -> None:
    """Wait until the KDS was asked so many times, for whatever."""
    wait_until(
        lambda: len(kds.requests) >= times, seconds=SECONDS, what=f"{times} requests to the KDS"
    )


def wait_fetched(operator: OperatorProcess, times: int) -> None:
    """Wait until an operator has dealt with so many answers of the KDS, good or bad."""
    wait_until(
        lambda: (sample(operator.metrics_url, "nodeproof_kds_requests_total") or 0) >= times,
        seconds=SECONDS,
        what=f"{times} answers of the KDS",
    )
