"""Nodes, policies and proofs to decide on, and a leader that enforces against a FakeApi."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fakes.claims import claims
from fakes.endorsing import FakeEndorsements
from fakes.fake_api import FakeApi
from fakes.server_rules import Address
from fakes.simulated import authority, machine
from nodeproof.binding import report_data
from nodeproof.challenge import Challenge, PublicKeys, Subject, key_id, mint, open_signed
from nodeproof.errors import PolicyInvalid
from nodeproof.evidence import VerifiedEvidence
from nodeproof.policy import (
    Covers,
    EnforcementRules,
    FreshnessRules,
    LabelSelector,
    Measurement,
    Mode,
    Policy,
    PolicySpec,
    ReferenceValueSet,
    SignerKind,
    SignerRules,
    TaintEffect,
)
from nodeproof.result import (
    Condition,
    NodeAttestationStatus,
    Outcome,
    PolicyResult,
    Reason,
    StoredEvidence,
)
from nodeproof.sevsnp.crl import RevocationList, load_crl
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.sevsnp.simulator.issuing import CRL_LIFE
from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_operator.cluster import objects
from nodeproof_operator.cluster.fleet import Fleet
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.kinds import Kind
from nodeproof_operator.cluster.records import Records
from nodeproof_operator.cluster.views import NodeView, Record
from nodeproof_operator.enforcement.board import Board
from nodeproof_operator.enforcement.finding import Case
from nodeproof_operator.enforcement.reconcile import Reconciler
from nodeproof_operator.enforcement.verification import StoredVerifier
from nodeproof_operator.enforcement.writer import Gate, Writer

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A day after the simulated certificates were made."""

CLUSTER_UID = "cluster-uid"
NODE = "node-1"
NODE_UID = "node-uid-1"
RECORD_UID = "record-uid-1"
POLICY = "confidential"
GATE = objects.GATE_PREFIX + POLICY
BAD_MEASUREMENT = bytes(48)
BOOT_ID = "boot-1"
TAINT = objects.TAINT_KEY


def policy(name: str = POLICY, *, generation: int = 1, **changes: Any) -> Policy:
    """Return a policy that the good machine passes; ``changes`` are fields of its spec."""
    spec = PolicySpec(
        reference_value_set_names=("values",),
        signer=SignerRules((SignerKind.SIMULATED,)),
        freshness=FreshnessRules(interval_seconds=300, maximum_age_seconds=900),
        enforcement=EnforcementRules(TaintEffect.NO_EXECUTE, 300),
    )
    return Policy(name, f"{name}-uid", generation, msgspec.structs.replace(spec, **changes))


def audit(name: str = POLICY, *, generation: int = 1) -> Policy:
    return policy(name, generation=generation, mode=Mode.AUDIT)


def elsewhere(name: str = POLICY, *, generation: int = 1) -> Policy:
    """Return a policy that selects no Node of these tests."""
    selector = LabelSelector(match_labels={"pool": "elsewhere"})
    return policy(name, generation=generation, node_selector=selector)


def values(expiration_time: datetime | None = None) -> ReferenceValueSet:
    good = Measurement("good", MEASUREMENT.hex(), Covers.IMAGE, expiration_time)
    return ReferenceValueSet("values", 1, (good,))


def node(**changes: Any) -> NodeView:
    """Return the view of a Node of the boot that evidence is made in."""
    view = NodeView(
        name=NODE,
        uid=NODE_UID,
        resource_version="1",
        labels={},
        taints=(),
        boot_id=BOOT_ID,
        deleting=False,
    )
    return replace(view, **changes)


def tainted(effect: str, **changes: Any) -> NodeView:
    return node(taints=({"key": TAINT, "effect": effect},), **changes)


def record(**status: Any) -> Record:
    """Return a NodeAttestation; ``status`` are fields of its status."""
    return Record(NODE, RECORD_UID, "1", NODE_UID, NodeAttestationStatus(**status))


def result_of(name: str = POLICY, *, generation: int = 1, **changes: Any) -> PolicyResult:
    result = PolicyResult(name, generation, Outcome.PASSED, Reason.ATTESTED)
    return msgspec.structs.replace(result, **changes)


def attested(status: Any, since: datetime = NOW) -> tuple[Condition, ...]:
    return (Condition("Attested", status, "Because", "so it was", since),)


def proof(
    *, bad: bool = False, issued: datetime = NOW, crl: RevocationList | None = None
) -> VerifiedEvidence:
    """Return what evidence of a good launch, or of another, would prove."""
    measurement = BAD_MEASUREMENT if bad else MEASUREMENT
    proved = claims(signer=SignerKind.SIMULATED, measurement=measurement, crl=crl)
    return VerifiedEvidence(proved, _challenge(issued, 0), BOOT_ID)


LIST_LIFE = CRL_LIFE


def revocation_list(made: datetime = NOW) -> RevocationList:
    """Return a list that names nothing; it ends ``LIST_LIFE`` after it was made."""
    return load_crl(authority().issue_crl(made + timedelta(days=1)))


def evidence(
    of: SimulatedMachine | None = None,
    *,
    issued: datetime = NOW,
    sequence: int = 1,
    key: Ed25519PrivateKey | None = None,
    **subject: str,
) -> StoredEvidence:
    """Return genuine stored evidence; ``subject`` are fields of the challenge's subject."""
    of = of or machine()
    signed = mint(_challenge(issued, sequence - 1, key or _KEY, **subject), key or _KEY)
    return StoredEvidence(
        sequence=sequence,
        challenge=signed,
        boot_id=of.boot_id,
        report=of.attest(report_data(signed, of.boot_id)),
        certificates=of.processor.certificates,
    )


def case(**changes: Any) -> Case:
    """Return the case of a Node with a good proof and one policy that selects it."""
    good = Case(
        node=node(),
        record=record(),
        proof=proof(),
        policies={POLICY: policy()},
        reference_values={"values": values()},
        now=NOW,
    )
    return replace(good, **changes)


UNREADABLE = PolicyInvalid("spec cannot be read")

_KEY = Ed25519PrivateKey.generate()


def _challenge(
    issued: datetime, sequence: int, key: Ed25519PrivateKey = _KEY, **subject: str
) -> Challenge:
    whom = Subject(CLUSTER_UID, NODE, NODE_UID, "pod-uid", bytes(32))
    return Challenge(
        key_id=key_id(key.public_key()),
        nonce=bytes(32),
        issued_time=issued,
        subject=msgspec.structs.replace(whom, **subject),
        node_attestation_uid=RECORD_UID,
        sequence=sequence,
    )


class NodeApi(FakeApi):
    """A FakeApi that stores no empty list of taints, as the real server does not."""

    def _store(self, address: Address, body: Json) -> Json:
        if body.get("spec", {}).get("taints") == []:
            del body["spec"]["taints"]
        return super()._store(address, body)


@dataclass(slots=True)
class Keys:
    """A keyring that never changes."""

    known: PublicKeys = field(
        default_factory=lambda: {key_id(_KEY.public_key()): _KEY.public_key()}
    )
    opened: int = 0

    def public_keys(self) -> PublicKeys:
        return self.known

    async def open(self, data: bytes) -> Challenge:
        self.opened += 1
        return open_signed(data, self.known)


@dataclass(slots=True)
class Leadership:
    seconds: float = 10.0

    def remaining(self) -> float:
        return self.seconds


class Leader:
    """One operator replica that enforces: real but for API server, keyring, Lease and time."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.now = NOW
        self.endorsements = FakeEndorsements()
        self.leadership = Leadership()
        self.fleet = Fleet()
        self.board = Board()
        self.writes: list[tuple[str, str]] = []
        self.announced: list[str] = []
        self.gate = Gate(self.leadership)
        self.gate.open()
        self._executor = ThreadPoolExecutor(1)
        for path, body in api.objects.items():
            self._watch("ADDED", path.rsplit("/", 1)[0], body)
        api.watchers.append(self._watch)
        self.reconciler = Reconciler(
            fleet=self.fleet,
            verifier=StoredVerifier(
                CLUSTER_UID,
                Keys(),
                [authority().anchor()],
                self.endorsements,
                executor=self._executor,
                clock=lambda: self.now,
            ),
            records=Records(api),
            writer=Writer(
                api,
                self.gate,
                clock=lambda: self.now,
                count=lambda action, result: self.writes.append((action, result)),
                observe=lambda body: self.fleet.observe(Kind.NODE, "MODIFIED", body),
            ),
            board=self.board,
            clock=lambda: self.now,
            announce=lambda _, condition: self.announced.append(condition.reason),
        )

    def close(self) -> None:
        self._executor.shutdown()

    async def reconcile(self, name: str = NODE) -> float | None:
        return await self.reconciler.reconcile(name)

    def pass_by(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def stop_watching(self) -> None:
        self.api.watchers.remove(self._watch)

    def _watch(self, event_type: str, collection: str, body: Mapping[str, Any]) -> None:
        kind = next((each for each in Kind if each.path == collection), None)
        if kind is not None:
            self.fleet.observe(kind, event_type, body)


def put_node(api: FakeApi, **changes: Any) -> None:
    """Store a Node; ``changes`` are labels, taints, boot_id."""
    body = {
        "metadata": {"name": NODE, "uid": NODE_UID, "labels": changes.get("labels", {})},
        "spec": {"taints": changes["taints"]} if "taints" in changes else {},
        "status": {"nodeInfo": {"bootID": changes.get("boot_id", machine().boot_id)}},
    }
    api.put(objects.node(NODE), body)


def put_record(api: FakeApi, **status: Any) -> None:
    """Store the Node's NodeAttestation; ``status`` are fields of its status."""
    body = {
        "metadata": {"name": NODE, "uid": RECORD_UID},
        "spec": {"nodeName": NODE, "nodeUID": NODE_UID},
        "status": msgspec.to_builtins(NodeAttestationStatus(**status)),
    }
    api.put(objects.node_attestation(NODE), body)


def put_policy(api: FakeApi, **spec: Any) -> None:
    """Store a policy like ``policy()`` and its values; ``spec`` replaces fields of its spec."""
    like = msgspec.to_builtins(policy().spec)
    measurements = msgspec.to_builtins(values().measurements)
    api.put(f"{objects.POLICIES}/{POLICY}", {"metadata": {"name": POLICY}, "spec": like | spec})
    api.put(f"{objects.REFERENCE_VALUE_SETS}/values", {"spec": {"measurements": measurements}})


def labels_of(api: FakeApi) -> set[str]:
    return set(api.read(objects.node(NODE))["metadata"].get("labels", {}))


def effects_of(api: FakeApi) -> list[str]:
    taints = api.read(objects.node(NODE)).get("spec", {}).get("taints", [])
    return [each["effect"] for each in taints if each["key"] == TAINT]


def condition_of(api: FakeApi, kind: str = "Attested") -> tuple[str, str]:
    """Return status and reason of a stored condition."""
    conditions = api.read(objects.node_attestation(NODE))["status"]["conditions"]
    found = next(each for each in conditions if each["type"] == kind)
    return found["status"], found["reason"]
