"""Checks of the guest policy: what the guest's owner has forbidden or demanded of the host."""

from __future__ import annotations

from nodeproof.checks.check import Check

GUEST_DEBUG = Check(
    id="GuestDebug",
    title="debugging as the policy asks",
    fields=("guest.debug",),
    description="With DEBUG (POLICY bit 19) the host can read the guest's memory.",
    remedy="Launch the VM anew with a guest policy that forbids debugging.",
)

MIGRATION_AGENT = Check(
    id="MigrationAgent",
    title="migration agent as the policy asks",
    fields=("guest.migrationAgent",),
    description=(
        "With MIGRATE_MA (POLICY bit 18) a migration agent may move the guest and its memory to "
        "another machine."
    ),
    remedy="Launch the VM with a guest policy that forbids migration agents.",
)

SMT = Check(
    id="SMT",
    title="multithreading as the policy asks",
    fields=("guest.smt",),
    description=(
        "With SMT (POLICY bit 16) the guest may run on a host with simultaneous multithreading, "
        "where threads of one core can observe each other."
    ),
    remedy="Launch the VM with a guest policy that forbids SMT, on a host that has it disabled.",
)

SINGLE_SOCKET = Check(
    id="SingleSocket",
    title="sockets as the policy asks",
    fields=("guest.singleSocket",),
    description="With SINGLE_SOCKET (POLICY bit 20) the guest never spans the link of two sockets.",
    remedy="Launch the VM with a guest policy that asks for a single socket.",
)

GUEST_ABI = Check(
    id="GuestABI",
    title="firmware interface new enough",
    fields=("guest.minimumABI",),
    description=(
        "ABI_MAJOR and ABI_MINOR (POLICY bits 15:0), the oldest firmware interface that the guest "
        "runs on, must be at least guest.minimumABI, compared as major, then minor."
    ),
    remedy="Launch the VM with a guest policy that states at least this ABI version.",
)

GUEST_CXL = Check(
    id="GuestCXL",
    title="CXL as the policy asks",
    fields=("guest.cxl",),
    description=(
        "With CXL_ALLOW (POLICY bit 21) devices and memory behind CXL, outside the processor, may "
        "be present while the guest runs."
    ),
    remedy="Launch the VM with a guest policy that says of CXL what the policy asks.",
)

GUEST_AES_256_XTS = Check(
    id="GuestAES256XTS",
    title="memory encryption as the policy asks",
    fields=("guest.aes256XTS",),
    description=(
        "With MEM_AES_256_XTS (POLICY bit 22) the firmware runs the guest only where memory is "
        "encrypted with AES-256-XTS instead of AES-128."
    ),
    remedy="Launch the VM with a guest policy that demands it, on a host that has it.",
)

GUEST_RAPL_DISABLED = Check(
    id="GuestRAPLDisabled",
    title="power readings as the policy asks",
    fields=("guest.raplDisabled",),
    description=(
        "With RAPL_DIS (POLICY bit 23) the firmware runs the guest only where fine power readings "
        "(RAPL), which can give away secrets, are off."
    ),
    remedy="Launch the VM with a guest policy that demands it, on a host with RAPL disabled.",
)

GUEST_CIPHERTEXT_HIDING = Check(
    id="GuestCiphertextHiding",
    title="ciphertext hiding as the policy asks",
    fields=("guest.ciphertextHiding",),
    description=(
        "With CIPHERTEXT_HIDING_DRAM (POLICY bit 24) the firmware runs the guest only where the "
        "host cannot read the ciphertext of its memory, which gives away what repeats."
    ),
    remedy=(
        "Launch the VM with a guest policy that demands it, on a host that has it enabled; Milan "
        "does not have it."
    ),
)

GUEST_PAGE_SWAP_DISABLED = Check(
    id="GuestPageSwapDisabled",
    title="page swapping as the policy asks",
    fields=("guest.pageSwapDisabled",),
    description=(
        "With PAGE_SWAP_DISABLE (POLICY bit 25) the host may not move or swap the guest's pages, "
        "which would let it observe them as they are encrypted anew."
    ),
    remedy="Launch the VM with a guest policy that forbids it; older firmware knows no such bit.",
)
