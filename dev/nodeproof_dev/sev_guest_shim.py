"""``/dev/sev-guest`` for a process on a machine that has none, by preloading ``sevguest_shim``.

The shim is compiled against the kernel's own ``<linux/sev-guest.h>``, so that the process under
test speaks the real ABI; its requests come here over a Unix socket, and a ``SevGuestDriver``
answers.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from socket import SOCK_SEQPACKET
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer
from types import TracebackType
from typing import Any, Self

from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.errors import BuildFailed
from nodeproof_dev.sev_guest_driver import Answer, Call, Number, SevGuestDriver

SOURCE = REPOSITORY / "dev" / "sevguest_shim" / "shim.c"

_COMPILER = "cc"
_COMPILE = (_COMPILER, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
_POLL_SECONDS = 0.05

_QUESTION = struct.Struct("<IIQQ64sIIQI4x")
"""``struct question`` of the shim."""

_ANSWER = struct.Struct("<iIQII")
"""``struct answer`` of the shim; response and certificates follow."""


def why_not() -> str:
    """Return why the shim cannot be compiled here; empty if it can."""
    if not shutil.which(_COMPILER):
        return "there is no C compiler: cc is not on PATH"
    probe = (_COMPILER, "-E", "-x", "c", "-")
    for header, package in (("stdio.h", "libc6-dev"), ("linux/sev-guest.h", "linux-libc-dev")):
        asked = subprocess.run(
            probe, input=f"#include <{header}>\n".encode(), capture_output=True, check=False
        )
        if asked.returncode:
            return f"the header <{header}> is missing (Debian: {package})"
    return ""


def compile_shim(directory: Path, source: Path = SOURCE) -> Path:
    """Return the compiled shim, in this directory.

    Args:
        directory: Where it goes, under the name of the source's folder.
        source: Its only file.

    Raises:
        BuildFailed: The compiler refuses it; among the reasons are sizes and offsets in the
            kernel's header that are not those that the agent is written for.
    """
    binary = directory / f"{source.parent.name}.so"
    command = [*_COMPILE, "-o", str(binary), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{source} does not compile:\n{done.stderr}")
    return binary


class SevGuestShim:
    """The server behind the shim; a context manager.

    Attributes:
        driver: What answers.
    """

    def __init__(self, binary: Path, driver: SevGuestDriver) -> None:
        """Begin to listen; entering begins to answer.

        Args:
            binary: The compiled shim.
            driver: What answers.
        """
        self.driver = driver
        self._binary = binary
        # A socket's path has at most 107 bytes: a test's own directory may be too deep.
        self._directory = Path(tempfile.mkdtemp(prefix="sev-guest-"))
        (self._directory / "device").touch()
        self._server = _Server(self._directory / "socket", driver)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="sev-guest shim"
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs in its environment so that it has the device."""
        return {"LD_PRELOAD": str(self._binary), "SEV_GUEST_SHIM": str(self._directory)}

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; to the process it is as if the driver was unloaded."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        shutil.rmtree(self._directory)


class _Server(ThreadingUnixStreamServer):
    socket_type = SOCK_SEQPACKET
    daemon_threads = True
    block_on_close = False  # a request that hangs would keep us

    def __init__(self, path: Path, driver: SevGuestDriver) -> None:
        self.driver = driver
        super().__init__(str(path), _Handler)


class _Handler(BaseRequestHandler):
    server: _Server
    request: Any  # a socket

    def handle(self) -> None:
        """Answer one question; every connection has one."""
        # A process that was ended asks nothing more, and takes no answer.
        with suppress(BrokenPipeError, ConnectionResetError):
            packet = self.request.recv(_QUESTION.size)
            if packet:
                self.request.sendall(_packed(self._answer(packet)))

    def _answer(self, packet: bytes) -> Answer:
        number, version, req, resp, data, vmpl, length, address, used = _QUESTION.unpack(packet)
        if number == Number.OPEN:
            return self.server.driver.open()
        call = Call(
            number=number,
            msg_version=version,
            req_data=req,
            resp_data=resp,
            user_data=data,
            vmpl=vmpl,
            certs_len=length,
            certs_address=address,
            rsvd_used=bool(used),
        )
        return self.server.driver.answer(call)


def _packed(answer: Answer) -> bytes:
    sizes = len(answer.response), len(answer.certificates)
    head = _ANSWER.pack(answer.error, answer.certs_len, answer.exitinfo2, *sizes)
    return head + answer.response + answer.certificates
