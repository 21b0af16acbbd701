"""The verifier of google/go-sev-guest, asked for its opinion: one process, any number of questions.

``dev/gosevguest`` is the program; it reads and answers JSON lines, in order.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from nodeproof_dev.errors import ComponentFailed, PeerRefused

_END_SECONDS = 10


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """Evidence, and how to judge it; bytes travel in base64."""

    report: bytes
    certificates: tuple[bytes, ...]
    """DER of the VEK, its intermediate and the root to trust, in this order."""
    at: datetime
    """When the certificates must be in force; with a time zone."""
    product: str = ""
    """The product that a report of version 2 is expected to come from; empty for any."""
    crl: bytes | None = None
    """DER of the root's revocation list; None leaves revocation out."""


class Verdict(msgspec.Struct, frozen=True):
    """What it says."""

    accepted: bool
    error: str
    """Why it did not accept; empty if it did."""
    nanoseconds: int = 0
    """Median of one whole verification, if it was asked to take the time."""


class _Line(Question, frozen=True, omit_defaults=True, kw_only=True):
    mode: str
    rounds: int = 0


class GoSEVGuest:
    """The running program; a context manager that ends it."""

    def __init__(self, binary: Path) -> None:
        self._process = subprocess.Popen(
            [binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Verdict)

    def __enter__(self) -> Self:
        """Return the program, which runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the program."""
        self._process.terminate()
        self._process.communicate(timeout=_END_SECONDS)

    def verify(self, report: bytes, certificates: Sequence[bytes], *, at: datetime) -> Verdict:
        """Return what it makes of a report under VEK, intermediate and root, each in DER.

        Raises:
            ComponentFailed: The program has ended.
        """
        self.ask(Question(report, tuple(certificates), at))
        return self.answer()

    def bench(
        self, report: bytes, certificates: Sequence[bytes], *, at: datetime, rounds: int
    ) -> int:
        """Return the median time of one whole verification, in nanoseconds.

        Raises:
            PeerRefused: It does not accept this evidence.
            ComponentFailed: The program has ended.
        """
        line = _Line(report, tuple(certificates), at, mode="bench", rounds=rounds)
        self._send(line)
        verdict = self.answer()
        if not verdict.accepted:
            raise PeerRefused("go-sev-guest does not accept this", observed=verdict.error)
        return verdict.nanoseconds

    def ask(self, question: Question) -> None:
        """Put a question and do not wait: at most a few may be open, or both sides get stuck.

        Raises:
            ComponentFailed: The program has ended.
        """
        self._send(_Line(**msgspec.structs.asdict(question), mode="verify"))

    def answer(self) -> Verdict:
        """Return the verdict on the oldest question that is still open.

        Raises:
            ComponentFailed: The program has ended.
        """
        assert self._process.stdout is not None  # noqa: S101 - asked for as a pipe
        line = self._process.stdout.readline()
        if not line:
            raise ComponentFailed(f"gosevguest has ended: {self._process.poll()}")
        return self._decoder.decode(line)

    def _send(self, line: _Line) -> None:
        assert self._process.stdin is not None  # noqa: S101 - asked for as a pipe
        try:
            self._process.stdin.write(self._encoder.encode(line) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ComponentFailed(f"gosevguest has ended: {self._process.poll()}") from error
