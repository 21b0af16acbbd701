"""The state that a write was decided on, in a form that cannot be empty by accident.

The API server takes an empty uid, and an empty or ``"0"`` resourceVersion, as no condition at all:
a value that got lost on the way would make a conditional write an unconditional one.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeproof.errors import NodeproofError


class PreconditionEmpty(NodeproofError, ValueError):
    """A condition that the API server would not check."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """Which object, and which state of it, a write is meant for.

    Attributes:
        uid: The object's uid.
        resource_version: The state that was read; None makes the write conditional on the uid only,
            for writes that nobody may be able to starve.

    Raises:
        PreconditionEmpty: A value is missing, or one that the API server does not compare.
    """

    uid: str
    resource_version: str | None

    def __post_init__(self) -> None:
        if not self.uid:
            raise PreconditionEmpty(
                "a write needs the uid of its object", expected="a uid", observed=repr(self.uid)
            )
        if self.resource_version is not None and not _is_version(self.resource_version):
            raise PreconditionEmpty(
                "a conditional write needs the resourceVersion that was read",
                expected="a positive integer in decimal",
                observed=repr(self.resource_version),
            )

    def metadata(self) -> dict[str, str]:
        """Return the members of ``metadata`` that state this condition in a patch or update."""
        stated = {"uid": self.uid}
        if self.resource_version is not None:
            stated["resourceVersion"] = self.resource_version
        return stated


def _is_version(version: str) -> bool:
    return version.isascii() and version.isdecimal() and not version.startswith("0")
