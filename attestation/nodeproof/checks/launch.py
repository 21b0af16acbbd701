"""Checks of what was launched: privilege level, measurement, and the ID block's statements."""

from __future__ import annotations

from nodeproof.checks.check import Check

_ZERO = "All are zero without an ID block."

VMPL = Check(
    id="VMPL",
    title="report asked for at the right privilege level",
    fields=("guest.vmpl",),
    description=(
        "The virtual machine privilege level that asked for the report must be guest.vmpl; lower "
        "numbers are more privileged."
    ),
    remedy=(
        "Under a paravisor or SVSM the guest's kernel runs at another level: set guest.vmpl to it. "
        "Otherwise something less privileged than the kernel asked for the report."
    ),
)

GUEST_SVN = Check(
    id="GuestSVN",
    title="guest's security version high enough",
    fields=("guest.minimumSVN",),
    description=(
        "GUEST_SVN, the security version that the ID block states for the image, must be at least "
        "guest.minimumSVN: an older image of the same signer must not come back. "
        "It is zero without an ID block."
    ),
    remedy="Launch the VM from an image of at least this security version.",
)

FAMILY_ID = Check(
    id="FamilyID",
    title="guest of an accepted family",
    fields=("guest.familyIDs",),
    description=(
        "If guest.familyIDs lists any, FAMILY_ID of the ID block must be one of them. " + _ZERO
    ),
    remedy="Launch the VM with an ID block of this family, or add the observed family ID.",
)

IMAGE_ID = Check(
    id="ImageID",
    title="guest of an accepted image ID",
    fields=("guest.imageIDs",),
    description=(
        "If guest.imageIDs lists any, IMAGE_ID of the ID block must be one of them. " + _ZERO
    ),
    remedy="Launch the VM with an ID block of this image, or add the observed image ID.",
)

HOST_DATA = Check(
    id="HostData",
    title="launched with accepted host data",
    fields=("guest.hostData",),
    description=(
        "If guest.hostData lists any, HOST_DATA, 32 bytes that the host gave at launch and that "
        "guests use as the digest of their configuration, must be one of them."
    ),
    remedy=(
        "If the configuration was changed on purpose, add the observed value. Otherwise the host "
        "has swapped it: treat the node as compromised."
    ),
)

ID_BLOCK = Check(
    id="IDBlock",
    title="ID block as the policy asks",
    fields=("guest.idBlock",),
    description=(
        "With an ID block the guest's owner has signed which measurement and guest policy may be "
        "launched, and the firmware launches nothing else under it. ID_KEY_DIGEST is zero without."
    ),
    remedy="Launch the VM with an ID block that its owner has signed.",
)

ID_KEY = Check(
    id="IDKey",
    title="ID block signed by an accepted key",
    fields=("guest.idKeyDigests",),
    description=(
        "If guest.idKeyDigests lists any, ID_KEY_DIGEST (SHA-384 of the public key in AMD's "
        "format) must be one of them."
    ),
    remedy="Add the observed digest if the key belongs to who may sign your images.",
)

AUTHOR_KEY = Check(
    id="AuthorKey",
    title="ID key certified by an accepted author",
    fields=("guest.authorKeyDigests",),
    description=(
        "If guest.authorKeyDigests lists any, AUTHOR_KEY_DIGEST must be one of them and "
        "AUTHOR_KEY_EN be set. An author key signs ID keys, so that these can change."
    ),
    remedy="Add the observed digest if the key belongs to who may appoint ID keys.",
)

MEASUREMENT = Check(
    id="Measurement",
    title="launched from a known image",
    fields=("referenceValueSetNames",),
    description=(
        "MEASUREMENT, the digest of what the VM was launched from, must equal a value in force of "
        "one of the policy's ReferenceValueSets, and one for this product if it names a product."
    ),
    remedy=(
        "If the node's image or the provider's firmware was updated on purpose, add the observed "
        "measurement to a ReferenceValueSet. Otherwise treat the node as compromised."
    ),
)
