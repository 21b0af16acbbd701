from __future__ import annotations

from pathlib import Path

import pytest

from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers.boot import BOOT_ID_FILE, boot_id

UUID = "0f3c9a64-2f55-4c4e-9c5d-6a1b6a1d2e3f"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "boot_id"


def test_is_what_the_kernel_says_without_its_newline(file: Path) -> None:
    file.write_text(UUID + "\n")
    assert boot_id(file) == UUID


@pytest.mark.skipif(not BOOT_ID_FILE.exists(), reason=f"{BOOT_ID_FILE} is missing")
def test_the_real_one_is_accepted() -> None:
    assert boot_id() == BOOT_ID_FILE.read_text().strip()


@pytest.mark.parametrize(
    "text", ["", "\n", "no uuid", UUID.upper(), UUID + "\n\n", UUID[:-1], "é" * 20, UUID * 9]
)
def test_what_is_no_boot_id_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ProviderFailed, match="boot ID"):
        boot_id(file)


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(ProviderFailed, match=f"expected {file}.*FileNotFoundError") as caught:
        boot_id(file)
    assert caught.value.cause is Cause.INTERNAL_ERROR
