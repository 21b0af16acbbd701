"""The stand-in for the kernel's configfs-tsm does as the kernel does."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

import pytest

from fakes.model_files import TABLE, unsigned_report
from nodeproof_dev.tsm_model import ATTRIBUTES, Faults, TsmModel

DATA = bytes(range(64))


@pytest.fixture
def model() -> TsmModel:
    made = TsmModel(unsigned_report)
    made.make("entry")
    return made


def write(model: TsmModel, attribute: str, value: bytes) -> None:
    opened = model.open("entry", attribute, os.O_WRONLY)
    model.write(opened, value, 0)
    model.close(opened)


def read(model: TsmModel, attribute: str) -> bytes:
    return model.read(model.open("entry", attribute, os.O_RDONLY))


def errno_of(call: Callable[[], object]) -> str:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is what it returns
        call()
    return errno.errorcode[caught.value.errno or 0]


def test_makes_an_entry_once(model: TsmModel) -> None:
    assert errno_of(lambda: model.make("entry")) == "EEXIST"


def test_makes_none_without_a_driver(model: TsmModel) -> None:
    model.faults = Faults(provider="")
    assert errno_of(lambda: model.make("another")) == "ENXIO"


def test_a_removed_entry_is_gone_for_who_has_it_open(model: TsmModel) -> None:
    opened = model.open("entry", "generation", os.O_RDONLY)
    model.remove("entry")
    assert errno_of(lambda: model.read(opened)) == "ENOENT"
    assert errno_of(lambda: model.remove("entry")) == "ENOENT"


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_opens_in_its_own_mode_only(model: TsmModel, attribute: str) -> None:
    wrong = os.O_WRONLY if ATTRIBUTES[attribute] == 0o444 else os.O_RDONLY
    assert errno_of(lambda: model.open("entry", attribute, wrong)) == "EACCES"
    assert errno_of(lambda: model.open("entry", attribute, os.O_RDWR)) == "EACCES"


def test_reading_before_a_request_is_invalid(model: TsmModel) -> None:
    assert errno_of(lambda: read(model, "outblob")) == "EINVAL"
    assert errno_of(lambda: read(model, "auxblob")) == "EINVAL"


@pytest.mark.parametrize("size", [1, 63])
def test_a_short_request_is_invalid_when_it_is_read(model: TsmModel, size: int) -> None:
    write(model, "inblob", bytes(size))
    assert errno_of(lambda: read(model, "outblob")) == "EINVAL"


def test_a_long_request_is_refused(model: TsmModel) -> None:
    assert errno_of(lambda: write(model, "inblob", bytes(65))) == "EFBIG"


def test_a_request_counts_when_it_is_closed(model: TsmModel) -> None:
    opened = model.open("entry", "inblob", os.O_WRONLY)
    model.write(opened, DATA[:32], 0)
    model.write(opened, DATA[32:], 32)
    assert read(model, "generation") == b"0\n"
    model.close(opened)
    assert read(model, "generation") == b"1\n"
    assert read(model, "outblob")[0x50:0x90] == DATA


def test_every_write_counts(model: TsmModel) -> None:
    write(model, "inblob", DATA)
    write(model, "privlevel", b"3\n")
    write(model, "inblob", DATA)
    assert read(model, "generation") == b"3\n"


def test_a_report_is_kept_until_the_next_write(model: TsmModel) -> None:
    write(model, "inblob", DATA)
    assert read(model, "outblob") == read(model, "outblob")
    assert read(model, "auxblob") == TABLE
    assert model.reports == 1
    write(model, "privlevel", b"1")
    read(model, "auxblob")
    assert model.reports == 2


@pytest.mark.parametrize("value", [b"1", b"4", b"-1", b"", b"\x02", b"two"])
def test_a_level_outside_of_its_bounds_is_invalid_and_does_not_count(
    model: TsmModel, value: bytes
) -> None:
    model.faults = Faults(floor=2)
    assert errno_of(lambda: write(model, "privlevel", value)) == "EINVAL"
    assert read(model, "generation") == b"0\n"


def test_tells_provider_and_floor(model: TsmModel) -> None:
    model.faults = Faults(floor=2)
    assert read(model, "provider") == b"sev_guest\n"
    assert read(model, "privlevel_floor") == b"2\n"


def test_a_write_while_a_report_is_made_is_busy(model: TsmModel) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slow(report_data: bytes, vmpl: int) -> tuple[bytes, bytes]:
        asked.set()
        answer.wait(10)
        return unsigned_report(report_data, vmpl)

    model = TsmModel(slow)
    model.make("entry")
    write(model, "inblob", DATA)
    seen: list[str] = []
    reader = threading.Thread(
        target=lambda: seen.append(errno_of(lambda: read(model, "outblob"))), daemon=True
    )
    reader.start()
    assert asked.wait(10)
    write(model, "inblob", bytes(64))
    answer.set()
    reader.join(10)
    assert seen == ["EBUSY"]


def test_a_fault_ends_after_its_times(model: TsmModel) -> None:
    write(model, "inblob", DATA)
    model.faults = Faults(error="EIO", times=2)
    assert [errno_of(lambda: read(model, "outblob")) for _ in range(2)] == ["EIO", "EIO"]
    assert read(model, "outblob")[0x50:0x90] == DATA
