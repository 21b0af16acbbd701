"""The catalogue of checks: everything that a policy may hold against genuine evidence.

A check's ID is the word for it everywhere: in NodeAttestations, logs, metrics and documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Check:
    """One question that appraisal asks of the evidence.

    Attributes:
        id: One CamelCase word; never renamed, because alerts and dashboards hold it.
        title: A few words for a table.
        description: What the check compares, and what is at stake.
        remedy: What an administrator does about a failure.
    """

    id: str
    title: str
    description: str
    remedy: str


SIGNER_KIND = Check(
    id="SignerKind",
    title="endorsed by an accepted key",
    description=(
        "The key that signed the report must be of a kind in signer.kinds: VCEK (one chip), VLEK "
        "(a cloud provider's fleet) or Simulated (software, which proves nothing)."
    ),
    remedy=(
        "Add the kind to the policy if its endorser is trusted. Simulated evidence on a real node "
        "means that the agent was started with the wrong provider."
    ),
)

GUEST_DEBUG = Check(
    id="GuestDebug",
    title="debugging as the policy asks",
    description="With DEBUG (POLICY bit 19) the host can read the guest's memory.",
    remedy="Launch the VM anew with a guest policy that forbids debugging.",
)

MIGRATION_AGENT = Check(
    id="MigrationAgent",
    title="migration agent as the policy asks",
    description=(
        "With MIGRATE_MA (POLICY bit 18) a migration agent may move the guest and its memory to "
        "another machine."
    ),
    remedy="Launch the VM with a guest policy that forbids migration agents.",
)

SMT = Check(
    id="SMT",
    title="multithreading as the policy asks",
    description=(
        "With SMT (POLICY bit 16) the guest may run on a host with simultaneous multithreading, "
        "where threads of one core can observe each other."
    ),
    remedy="Launch the VM with a guest policy that forbids SMT, on a host that has it disabled.",
)

SINGLE_SOCKET = Check(
    id="SingleSocket",
    title="sockets as the policy asks",
    description="With SINGLE_SOCKET (POLICY bit 20) the guest never spans the link of two sockets.",
    remedy="Launch the VM with a guest policy that asks for a single socket.",
)

VMPL = Check(
    id="VMPL",
    title="report asked for at the right privilege level",
    description=(
        "The virtual machine privilege level that asked for the report must be guest.vmpl; lower "
        "numbers are more privileged."
    ),
    remedy=(
        "Under a paravisor or SVSM the guest's kernel runs at another level: set guest.vmpl to it. "
        "Otherwise something less privileged than the kernel asked for the report."
    ),
)

MEASUREMENT = Check(
    id="Measurement",
    title="launched from a known image",
    description=(
        "MEASUREMENT, the digest of what the VM was launched from, must equal a value in force of "
        "one of the policy's ReferenceValueSets."
    ),
    remedy=(
        "If the node's image or the provider's firmware was updated on purpose, add the observed "
        "measurement to a ReferenceValueSet. Otherwise treat the node as compromised."
    ),
)

CATALOGUE: Mapping[str, Check] = MappingProxyType(
    {
        check.id: check
        for check in (
            SIGNER_KIND,
            GUEST_DEBUG,
            MIGRATION_AGENT,
            SMT,
            SINGLE_SOCKET,
            VMPL,
            MEASUREMENT,
        )
    }
)
"""Every check of this release by its ID, in the order in which appraisal reports them."""
