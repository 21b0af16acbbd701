"""Checks of the host's firmware against the minimums that bulletins of AMD's state."""

from __future__ import annotations

from nodeproof.checks.check import Check

_UPDATE = "Have the host's firmware and microcode updated"

CPU_MODEL = Check(
    id="CPUModel",
    title="a CPU model that there are minimums for",
    fields=(
        "firmware.minimums[].cpuModel",
        "firmware.minimums[].stepping",
        "firmware.unlistedCPUModels",
    ),
    description=(
        "If there are minimums, one of them must name the processor, unless unlistedCPUModels is "
        "Allowed. A report of version 2 does not tell its CPU model and always fails then."
    ),
    remedy=(
        "Add minimums for the observed CPU model from AMD's bulletins, or an entry that asks for "
        "little if that is meant."
    ),
)

REPORTED_TCB = Check(
    id="ReportedTCB",
    title="reported TCB high enough",
    fields=("firmware.minimums[].reportedTCB",),
    description=(
        "Each component of REPORTED_TCB, the version that the endorsement key was derived for and "
        "that the host may set below what runs, must reach the minimum."
    ),
    remedy=f"{_UPDATE}, then have it commit the firmware and report the new version.",
)

COMMITTED_TCB = Check(
    id="CommittedTCB",
    title="committed TCB high enough",
    fields=("firmware.minimums[].committedTCB",),
    description=(
        "Each component of COMMITTED_TCB, below which the host cannot roll back, must reach the "
        "minimum."
    ),
    remedy=f"{_UPDATE}, and have it committed (SNP_COMMIT): until then it can be rolled back.",
)

LAUNCH_TCB = Check(
    id="LaunchTCB",
    title="TCB at launch high enough",
    fields=("firmware.minimums[].launchTCB",),
    description=(
        "Each component of LAUNCH_TCB, the version when the guest was launched, must reach the "
        "minimum: an attack on the old firmware may have reached into the guest."
    ),
    remedy=f"{_UPDATE}, then launch the VM anew; an update alone does not change its launch.",
)

FIRMWARE_VERSION = Check(
    id="FirmwareVersion",
    title="firmware version high enough",
    fields=("firmware.minimums[].version",),
    description=(
        "The committed version of the SNP firmware must be at least the minimum, compared as "
        "major, then minor, then build."
    ),
    remedy=f"{_UPDATE}, and have it committed.",
)

PROVISIONAL_FIRMWARE = Check(
    id="ProvisionalFirmware",
    title="no firmware that can be rolled back",
    fields=("firmware.provisional",),
    description=(
        "With firmware.provisional: Forbidden the running firmware must be the committed one, in "
        "version and TCB. Some clouds run ahead of what they have committed."
    ),
    remedy="Have the host commit its firmware (SNP_COMMIT), or allow provisional firmware.",
)

LAUNCH_MITIGATIONS = Check(
    id="LaunchMitigations",
    title="mitigated at launch",
    fields=("firmware.minimums[].launchMitigations",),
    description=(
        "The named bits of LAUNCH_MIT_VECTOR must be set. Each product has its own meaning for a "
        "bit. Reports before version 5 tell none and fail."
    ),
    remedy=f"{_UPDATE}, then launch the VM anew.",
)

CURRENT_MITIGATIONS = Check(
    id="CurrentMitigations",
    title="mitigated now",
    fields=("firmware.minimums[].currentMitigations",),
    description=(
        "The named bits of CURRENT_MIT_VECTOR must be set. Each product has its own meaning for a "
        "bit. Reports before version 5 tell none and fail."
    ),
    remedy=f"{_UPDATE}; some mitigations need a setting in the host's BIOS besides.",
)
