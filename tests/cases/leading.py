"""Which replica leads, by the Lease and by its own word."""

from __future__ import annotations

from cases.metrics_page import sample
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.objects import LEASE, lease_holder
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.process import wait_until

TAKEOVER_SECONDS = 25.0
"""The longest time until another replica leads: 15 s of Lease, a retry, and a slow machine."""


def wait_leads(plane: ControlPlane, operator: OperatorProcess) -> None:
    """Wait until a replica holds the Lease, and knows it."""
    plane.admin.wait_for(
        LEASE,
        lambda seen: lease_holder(seen) == operator.name,
        seconds=TAKEOVER_SECONDS,
        what=f"{operator.name} to lead",
    )
    wait_until(lambda: leads(operator), seconds=10, what=f"{operator.name} to know that it leads")


def leads(operator: OperatorProcess) -> bool:
    """Return whether a replica says that it leads."""
    return sample(operator.metrics_url, "nodeproof_leader") == 1


def free_lease(plane: ControlPlane) -> None:
    """Let whoever holds the Lease hold it no more."""
    plane.admin.merge_patch(LEASE, {"spec": {"holderIdentity": None}})
