"""One entry of configfs-tsm: its attributes, and what the kernel's errors mean (Linux 6.7 on).

Facts are from Linux' ``Documentation/ABI/testing/configfs-tsm``, ``drivers/virt/coco/tsm.c``,
``drivers/virt/coco/sev-guest/sev-guest.c`` and ``fs/configfs/file.c``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed

Causes = Mapping[int, Cause]
"""What an errno means at some step."""

MAKING: Causes = MappingProxyType(
    {
        errno.ENXIO: Cause.PROVIDER_MISSING,
        errno.ENOENT: Cause.INTERFACE_NOT_MOUNTED,
        errno.ENOTDIR: Cause.INTERFACE_NOT_MOUNTED,
        errno.EEXIST: Cause.INTERFERED,
    }
)
"""When an entry is made."""

LEVEL: Causes = MappingProxyType({errno.EINVAL: Cause.PRIVILEGE_REFUSED})
"""When the privilege level is written."""

CERTIFICATES: Causes = MappingProxyType({errno.EFBIG: Cause.CERTIFICATES_TOO_LARGE})
"""When the certificate table is read."""

_ALWAYS: Causes = MappingProxyType(
    {
        errno.EACCES: Cause.PERMISSION_DENIED,
        errno.EPERM: Cause.PERMISSION_DENIED,
        errno.EROFS: Cause.PERMISSION_DENIED,
        # Also EWOULDBLOCK, which is the same number.
        errno.EAGAIN: Cause.FIRMWARE_BUSY,
        errno.EBUSY: Cause.FIRMWARE_BUSY,
        errno.EBADMSG: Cause.KEY_DISABLED,
        errno.ENOTTY: Cause.KEY_DISABLED,
        errno.ETIMEDOUT: Cause.TIMED_OUT,
        # The firmware's statuses 0x16 and 0x27, any other status, and what the host itself says.
        errno.EINVAL: Cause.FIRMWARE_ERROR,
        errno.ENXIO: Cause.FIRMWARE_ERROR,
        errno.EIO: Cause.FIRMWARE_ERROR,
        errno.EFBIG: Cause.REPORT_MALFORMED,
        # The driver went away; the entry was removed under us.
        errno.ENODEV: Cause.PROVIDER_MISSING,
        errno.ENOENT: Cause.INTERFERED,
    }
)

_MAX_WORD = 64
"""Bytes of an attribute that is a word or a number."""


def refused(error: OSError, action: str, causes: Causes = MappingProxyType({})) -> ProviderFailed:
    """Return what an error of the kernel means; ``causes`` go before what it means elsewhere."""
    number = error.errno or 0
    cause = causes.get(number) or _ALWAYS.get(number, Cause.INTERNAL_ERROR)
    hint = "; the kernel log says why" if cause is Cause.FIRMWARE_ERROR else ""
    name = errno.errorcode.get(number, str(number))
    return ProviderFailed(
        f"configfs-tsm: cannot {action}{hint}",
        cause=cause,
        observed=f"{name} ({os.strerror(number)})",
    )


class Files:
    """The file system as a provider needs it; every method raises ``OSError``."""

    def make(self, path: Path) -> None:
        """Make a directory that does not exist yet."""
        path.mkdir()

    def remove(self, path: Path) -> None:
        """Remove a directory; configfs takes its attributes with it."""
        path.rmdir()

    def exists(self, path: Path) -> bool:
        """Return whether there is such a directory."""
        return path.exists()

    def names(self, path: Path) -> list[str]:
        """Return what is in a directory."""
        return [each.name for each in path.iterdir()]

    def read(self, path: Path, limit: int) -> bytes:
        """Return a file's content in one opening, and no more than a byte beyond the limit."""
        handle = os.open(path, os.O_RDONLY)
        try:
            content = bytearray()
            while len(content) <= limit and (part := os.read(handle, limit + 1 - len(content))):
                content += part
            return bytes(content)
        finally:
            os.close(handle)

    def write(self, path: Path, value: bytes) -> int:
        """Write in one piece, unbuffered, and close; return how much was taken."""
        handle = os.open(path, os.O_WRONLY)
        try:
            return os.write(handle, value)
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that exists; every method raises ``ProviderFailed``.

    Attributes:
        path: Its directory.
        files: How to reach it.
    """

    path: Path
    files: Files

    def read(self, attribute: str, limit: int, causes: Causes = MappingProxyType({})) -> bytes:
        """Return an attribute, and no more than a byte beyond the limit."""
        try:
            return self.files.read(self.path / attribute, limit)
        except OSError as error:
            raise refused(error, f"read {attribute}", causes) from error

    def write(self, attribute: str, value: bytes, causes: Causes = MappingProxyType({})) -> None:
        """Write an attribute in one piece.

        The kernel stores binary attributes when they are closed and says nothing if that fails:
        only the generation tells.
        """
        try:
            taken = self.files.write(self.path / attribute, value)
        except OSError as error:
            raise refused(error, f"write {attribute}", causes) from error
        if taken != len(value):
            raise ProviderFailed(
                f"configfs-tsm: {attribute} was taken in part",
                cause=Cause.INTERNAL_ERROR,
                expected=f"{len(value)} bytes",
                observed=f"{taken} bytes",
            )

    def provider(self) -> str:
        """Return whose reports these are; without this attribute it is no entry of configfs-tsm."""
        try:
            return self._word("provider")
        except ProviderFailed as failure:
            if failure.cause is Cause.INTERFERED and self.files.exists(self.path):
                raise ProviderFailed(
                    f"{self.path.parent} is no directory of configfs-tsm",
                    cause=Cause.INTERFACE_NOT_MOUNTED,
                    expected="a new entry with the attribute provider",
                    observed=failure.observed,
                ) from failure
            raise

    def _word(self, attribute: str) -> str:
        value = self.read(attribute, _MAX_WORD)
        return value[:_MAX_WORD].decode("ascii", "backslashreplace").removesuffix("\n")

    def number(self, attribute: str) -> int:
        """Return an attribute that is a decimal number."""
        word = self._word(attribute)
        if not (word.isascii() and word.isdigit()):
            raise ProviderFailed(
                f"configfs-tsm: {attribute} is no number",
                cause=Cause.REPORT_MALFORMED,
                expected="a decimal number",
                observed=word,
            )
        return int(word)
