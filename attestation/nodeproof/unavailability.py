"""Why an attester has no evidence: the words that agent, operator, metrics and objects share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Cause(StrEnum):
    """What keeps a node from getting a report; never renamed, because alerts hold it."""

    NO_PLATFORM = "NoPlatform"
    INTERFACE_NOT_MOUNTED = "InterfaceNotMounted"
    PROVIDER_MISSING = "ProviderMissing"
    PERMISSION_DENIED = "PermissionDenied"
    FIRMWARE_BUSY = "FirmwareBusy"
    FIRMWARE_ERROR = "FirmwareError"
    KEY_DISABLED = "KeyDisabled"
    PRIVILEGE_REFUSED = "PrivilegeRefused"
    CERTIFICATES_TOO_LARGE = "CertificatesTooLarge"
    REPORT_MALFORMED = "ReportMalformed"
    INTERFERED = "Interfered"
    TIMED_OUT = "TimedOut"
    INTERNAL_ERROR = "InternalError"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A cause in plain words.

    Attributes:
        title: A few words for a table or a condition.
        meaning: What it says about the machine.
        remedy: What an administrator does about it.
        lasting: Whether it stays until somebody acts or the VM is started again.
    """

    title: str
    meaning: str
    remedy: str
    lasting: bool


CAUSES: Mapping[Cause, Explanation] = MappingProxyType(
    {
        Cause.NO_PLATFORM: Explanation(
            title="no SEV-SNP platform",
            meaning="Where the agent looks there is neither configfs-tsm nor the sev-guest device.",
            remedy=(
                "Start the VM as an SEV-SNP guest and load its driver (modprobe sev-guest; Linux "
                "6.9 or newer is advised). nodeproof-agent doctor, run there, says what is missing."
            ),
            lasting=True,
        ),
        Cause.INTERFACE_NOT_MOUNTED: Explanation(
            title="the interface is not mounted here",
            meaning="configfs-tsm is not to be found where the agent runs.",
            remedy=(
                "Mount configfs on the node (mount -t configfs none /sys/kernel/config), mount its "
                "directory tsm/report into the agent's container, and name it with --tsm-root."
            ),
            lasting=True,
        ),
        Cause.PROVIDER_MISSING: Explanation(
            title="no report provider is registered",
            meaning="configfs-tsm is there, but no SEV-SNP driver answers behind it.",
            remedy="Load the driver: modprobe sev-guest. If it does not load, see the kernel log.",
            lasting=True,
        ),
        Cause.PERMISSION_DENIED: Explanation(
            title="the interface may not be used",
            meaning="The kernel's interface is there and refuses this process.",
            remedy=(
                "Run the agent as uid 0, or give it the directory or device: docs/platforms.md "
                "says what each provider needs."
            ),
            lasting=True,
        ),
        Cause.FIRMWARE_BUSY: Explanation(
            title="the firmware is busy",
            meaning="The host throttles requests, or another one is under way.",
            remedy="Nothing: the agent asks again. If it lasts, ask the host's administrator.",
            lasting=False,
        ),
        Cause.FIRMWARE_ERROR: Explanation(
            title="the firmware refused",
            meaning="The processor's firmware answered with an error of its own.",
            remedy="See the error's name in the agent's log; it is the host's to mend.",
            lasting=False,
        ),
        Cause.KEY_DISABLED: Explanation(
            title="the key to the firmware is disabled",
            meaning=(
                "The driver gave up the VM's communication key (VMPCK) after a failed exchange, "
                "so that no counter is used twice."
            ),
            remedy="Start the VM again. Kernels from 6.9 on lose the key far less often.",
            lasting=True,
        ),
        Cause.PRIVILEGE_REFUSED: Explanation(
            title="the privilege level is refused",
            meaning="The guest runs at a higher VMPL than the one that was asked for.",
            remedy=(
                "Leave out --vmpl, or set it to the guest's own level or a higher number, and set "
                "guest.vmpl of the policy to the same."
            ),
            lasting=True,
        ),
        Cause.CERTIFICATES_TOO_LARGE: Explanation(
            title="the certificate table does not fit",
            meaning="The host's certificate table grew while it was read, or is above the limit.",
            remedy="Let the host's administrator look at the table that is set for this VM.",
            lasting=True,
        ),
        Cause.REPORT_MALFORMED: Explanation(
            title="what came back is not our report",
            meaning="It has the wrong size, or does not hold the data that it was asked for.",
            remedy="Update the kernel; if it lasts, the interface is not what it claims to be.",
            lasting=False,
        ),
        Cause.INTERFERED: Explanation(
            title="somebody else used the same entry",
            meaning="The request was changed by another process while the report was made.",
            remedy="Nothing, if it is rare. Otherwise find out which other process asks.",
            lasting=False,
        ),
        Cause.TIMED_OUT: Explanation(
            title="no report in time",
            meaning="The kernel or the firmware did not answer while the challenge was alive.",
            remedy="See the kernel log; a request that hangs is ended by starting the VM again.",
            lasting=False,
        ),
        Cause.INTERNAL_ERROR: Explanation(
            title="a fault of the agent's",
            meaning="The agent failed in a way that it has no word for.",
            remedy="See the agent's log, and report it to nodeproof's maintainers.",
            lasting=False,
        ),
    }
)
"""Every cause, explained; `nodeproof-agent doctor` and the documentation print these."""
