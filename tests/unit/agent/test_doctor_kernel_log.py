from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeproof_agent.doctor.kernel_log import (
    KernelLog,
    from_records,
    from_ring,
    read_kernel_log,
    read_records,
)


def test_reads_the_messages_of_records() -> None:
    records = iter([b"6,0,0,-;Linux version 6.12\n", b"4,1,5,-;SEV: one\n SUBSYSTEM=x\n"])
    assert from_records(records) == KernelLog(("Linux version 6.12", "SEV: one"))


def test_a_log_whose_first_record_is_not_the_boots_is_not_whole() -> None:
    assert not from_records(iter([b"6,339,5140900,-;late\n"])).whole


def test_an_empty_log_is_not_whole() -> None:
    assert not from_records(iter([])).whole


def test_passes_over_what_is_no_record() -> None:
    assert from_records(iter([b"nonsense", b"x,y;z", b"6,0,0,-;a\n"])) == KernelLog(("a",))


def test_passes_over_lines_that_root_has_written() -> None:
    assert from_records(iter([b"12,0,0,-;SEV-SNP\n"])).lines == ()


def test_reads_the_ring() -> None:
    text = "<5>[    0.000000] Linux version 6.12\n<6>[   12.345678][    T1] SEV: one\n<6>two\nx\n"
    assert from_ring(text) == KernelLog(("Linux version 6.12", "SEV: one", "two"))


def test_a_ring_that_does_not_begin_with_the_version_is_not_whole() -> None:
    assert not from_ring("<6>[   99.000000] late\n").whole


def test_passes_over_lines_of_the_ring_that_root_has_written() -> None:
    assert from_ring("<12>[    1.000000] SEV-SNP\n").lines == ()


@pytest.fixture
def packets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair that keeps packets apart and does not block, as /dev/kmsg does."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pair[1].setblocking(False)  # noqa: FBT003 - its own API
    yield pair
    for each in pair:
        each.close()


def test_reads_records_until_there_are_no_more(
    packets: tuple[socket.socket, socket.socket],
) -> None:
    for record in (b"one", b"two"):
        packets[0].send(record)
    assert list(read_records(packets[1].fileno())) == [b"one", b"two"]


def test_goes_on_behind_a_record_that_was_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bytes | int] = [b"one", errno.EPIPE, b"three", errno.EAGAIN]

    def read(_handle: int, _size: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, int):
            raise OSError(answer, "")
        return answer

    monkeypatch.setattr(os, "read", read)
    assert list(read_records(0)) == [b"one", b"three"]


def test_asks_for_the_ring_where_there_is_no_device(tmp_path: Path) -> None:
    log = read_kernel_log(tmp_path / "kmsg", lambda: "<5>[    0.000000] Linux version 6.12\n")
    assert log == KernelLog(("Linux version 6.12",))


def test_says_why_neither_can_be_read(tmp_path: Path) -> None:
    def refused() -> str:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    log = read_kernel_log(tmp_path / "kmsg", refused)
    assert not log.whole
    assert log.unreadable == (
        f"{tmp_path}/kmsg: No such file or directory; syslog(2): Operation not permitted"
    )


def test_the_call_to_the_kernel_answers_or_says_why(tmp_path: Path) -> None:
    log = read_kernel_log(tmp_path / "kmsg")
    assert log.lines or "syslog(2)" in log.unreadable
