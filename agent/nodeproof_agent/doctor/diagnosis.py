"""The verdict: whether evidence can be had here, why not, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nodeproof.unavailability import CAUSES, Cause
from nodeproof_agent.doctor import advice
from nodeproof_agent.doctor.examination import Examination, Platform
from nodeproof_agent.doctor.probes.device import Node
from nodeproof_agent.doctor.probes.kernel import ADVISED
from nodeproof_agent.doctor.trying import Attempt
from nodeproof_agent.providers.selection import NOT_THERE
from nodeproof_agent.settings import AUTO, CONFIGFS_TSM, SEV_GUEST, SIMULATED


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict.

    Attributes:
        cause: Why there is no evidence; None if it can be had.
        provider: Where it comes from; empty if it does not.
        summary: A sentence or two, of this machine.
        steps: What to do next, in this order.
    """

    cause: Cause | None
    provider: str
    summary: str
    steps: tuple[str, ...] = ()


def diagnose(seen: Examination) -> Diagnosis:
    """Judge what was seen, as the agent's own choice of a provider would meet it."""
    if seen.platform is not Platform.SNP_GUEST:
        steps = (*advice.launch(seen), advice.SIMULATE)
        return _none(Cause.NO_PLATFORM, _PLATFORMS[seen.platform], steps)
    if seen.log.key_disabled:
        return _none(Cause.KEY_DISABLED, CAUSES[Cause.KEY_DISABLED].meaning)
    if seen.vmpl is not None and seen.wanted.vmpl is not None and seen.wanted.vmpl < seen.vmpl:
        summary = f"The kernel runs at VMPL {seen.vmpl} and may not ask for {seen.wanted.vmpl}."
        return _none(Cause.PRIVILEGE_REFUSED, summary)
    provider = _usable(seen)
    if provider:
        summary = f"The provider {provider} has all it needs."
        return Diagnosis(None, provider, summary, _improvements(seen))
    return _blocked(seen)


def diagnose_simulated() -> Diagnosis:
    """Judge the simulated platform, which needs nothing of the machine."""
    summary = "It comes from a simulated platform, and proves nothing about this machine."
    return Diagnosis(None, SIMULATED, summary)


def diagnose_attempt(before: Diagnosis, attempt: Attempt) -> Diagnosis:
    """Judge anew after a report was asked for: what came counts more than what was seen."""
    if attempt.failure:
        same = {before.cause, *(NOT_THERE if before.cause in NOT_THERE else ())}
        if attempt.failure.cause in same:
            return before  # said with more knowledge than the provider has
        return _none(attempt.failure.cause, f"A report was asked for in vain: {attempt.failure}.")
    if attempt.statement is None:
        summary = f"A report came that nodeproof cannot read: {attempt.unread}."
        return _none(Cause.REPORT_MALFORMED, summary)
    if before.cause is None:
        return before
    return Diagnosis(None, attempt.provider, "A report came, whatever else was found.")


_PLATFORMS = {
    Platform.PARAVISOR_GUEST: (
        "This confidential VM has a paravisor that keeps SEV-SNP to itself, as Azure's do: its "
        "reports come through a vTPM, which nodeproof does not read yet."
    ),
    Platform.SEV_GUEST: "This guest runs under SEV without SNP, which makes no reports.",
    Platform.TDX_GUEST: "This is an Intel TDX guest; nodeproof attests AMD SEV-SNP guests.",
    Platform.PLAIN_GUEST: "This is an ordinary virtual machine, not a confidential one.",
    Platform.BARE_METAL: "This is no virtual machine; only SEV-SNP guests attest.",
    Platform.UNKNOWN: "Nothing here looks like an SEV-SNP guest.",
}


def _none(cause: Cause, summary: str, steps: Iterable[str] = ()) -> Diagnosis:
    return Diagnosis(cause, "", summary, tuple(steps) or (CAUSES[cause].remedy,))


def _usable(seen: Examination) -> str:
    wanted, failure = seen.wanted.provider, seen.configfs.failure
    if wanted in {AUTO, CONFIGFS_TSM} and seen.configfs.usable:
        return CONFIGFS_TSM
    # As ``selection`` does: a platform that is there and refuses is not asked by another door.
    passed_over = wanted == AUTO and (failure is None or failure.cause in NOT_THERE)
    return SEV_GUEST if seen.device.usable and (passed_over or wanted == SEV_GUEST) else ""


def _improvements(seen: Examination) -> tuple[str, ...]:
    version = seen.kernel.version
    if version is None or version >= ADVISED:
        return ()
    return (f"Boot a newer kernel when you can: {advice.dotted(ADVISED)} or newer is advised.",)


def _blocked(seen: Examination) -> Diagnosis:
    """Say what is between an SEV-SNP guest and its reports."""
    failure = seen.configfs.failure if seen.wanted.provider != SEV_GUEST else None
    denied = seen.device.node is Node.DEVICE and not seen.device.usable
    if failure and failure.cause not in _BETTER_SAID:
        return _none(failure.cause, f"{CAUSES[failure.cause].meaning} It said: {failure}.")
    if (failure and failure.cause is Cause.PERMISSION_DENIED) or (
        denied and seen.wanted.provider != CONFIGFS_TSM
    ):
        summary = CAUSES[Cause.PERMISSION_DENIED].meaning
        return _none(Cause.PERMISSION_DENIED, summary, advice.permit(seen))
    if failure:
        return _none(failure.cause, CAUSES[failure.cause].meaning, advice.load_driver(seen))
    if seen.driver_works:
        return _hidden(seen)
    summary = "This is an SEV-SNP guest, but its kernel has no working sev-guest driver."
    return _none(Cause.NO_PLATFORM, summary, advice.load_driver(seen))


_BETTER_SAID = frozenset({Cause.PERMISSION_DENIED, Cause.PROVIDER_MISSING})
"""Of these, more can be said than that they happened."""


def _hidden(seen: Examination) -> Diagnosis:
    """Say that the interface exists, though not here."""
    summary = "The driver works, but its interface is not where the agent looks for it."
    by_device = seen.wanted.provider == SEV_GUEST
    steps = advice.hand_over(seen) if by_device else advice.mount(seen)
    return _none(Cause.INTERFACE_NOT_MOUNTED, summary, steps)
