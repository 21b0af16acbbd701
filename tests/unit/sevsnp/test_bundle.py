from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import endorsing
from fakes import simulated
from nodeproof.errors import BundleMalformed
from nodeproof.sevsnp.bundle import MAX_BUNDLE_SIZE, Bundle, config_maps, decode, encode
from nodeproof.sevsnp.products import Product

NOW = simulated.NOW
QUIET = settings(deadline=None, max_examples=80)
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    machine, authority = simulated.machine(Product.MILAN), simulated.authority(Product.MILAN)
    own = (endorsing.asvk(Product.MILAN), endorsing.vlek(Product.MILAN))
    return Bundle(NOW, (*machine.processor.certificates, *own), (authority.issue_crl(NOW),))


@pytest.fixture
def file(bundle: Bundle) -> dict[str, Any]:
    """A bundle's file to be spoilt."""
    found = json.loads(encode(bundle))
    assert isinstance(found, dict)
    return found


class TestFile:
    """A bundle as a file."""

    def test_comes_back_as_it_was(self, bundle: Bundle) -> None:
        assert decode(encode(bundle)) == bundle

    def test_an_empty_one_too(self) -> None:
        assert decode(encode(Bundle(NOW, (), ()))) == Bundle(NOW, (), ())

    def test_the_manifest_tells_what_is_in_it(self, file: dict[str, Any]) -> None:
        assert list(file) == ["kind", "version", "manifest", "data"]
        assert file["manifest"]["createdTime"] == "2026-03-01T12:00:00Z"
        entries = file["manifest"]["entries"]
        kinds = [entry["kind"] for entry in entries]
        assert kinds == ["VCEK", "ASK", "ARK", "ASVK", "VLEK", "CRL"]
        assert {entry["product"] for entry in entries} == {"Milan"}
        described = [entry["description"] for entry in entries]
        chip = simulated.machine(Product.MILAN).chip_id.hex()[:16]
        assert described[0] == f"chip {chip}, bootloader=4 tee=0 snp=27 microcode=222"
        assert described[1] == "serial number 0x10001"
        assert described[4] == f"provider {endorsing.PROVIDER}"
        assert described[5] == "of 2026-02-28, revokes nothing"

    def test_packs_der_alone(self) -> None:
        with pytest.raises(BundleMalformed, match="expected DER"):
            encode(Bundle(NOW, (simulated.authority(Product.MILAN).ark,), ()))

    def test_packs_nothing_twice(self, bundle: Bundle) -> None:
        with pytest.raises(BundleMalformed, match="twice"):
            encode(replace(bundle, certificates=bundle.certificates * 2))

    def test_packs_nothing_but_amds(self) -> None:
        with pytest.raises(BundleMalformed):
            encode(Bundle(NOW, (b"a private key",), ()))


def spoil_digest(file: dict[str, Any]) -> None:
    file["manifest"]["entries"][0]["sha256"] = "0" * 64


def spoil_size(file: dict[str, Any]) -> None:
    file["manifest"]["entries"][0]["size"] += 1


def swap_data(file: dict[str, Any]) -> None:
    one, another, *_ = file["data"]
    file["data"][one] = file["data"][another]


def call_it_another(file: dict[str, Any]) -> None:
    file["manifest"]["entries"][0]["product"] = "Genoa"


def call_the_list_a_certificate(file: dict[str, Any]) -> None:
    file["manifest"]["entries"][-1]["kind"] = "ARK"


def leave_out_data(file: dict[str, Any]) -> None:
    file["data"].popitem()


def leave_out_an_entry(file: dict[str, Any]) -> None:
    file["manifest"]["entries"].pop()


def name_one_twice(file: dict[str, Any]) -> None:
    file["manifest"]["entries"].append(file["manifest"]["entries"][0])


def give_no_zone(file: dict[str, Any]) -> None:
    file["manifest"]["createdTime"] = "2026-03-01T12:00:00"


def give_an_impossible_time(file: dict[str, Any]) -> None:
    file["manifest"]["createdTime"] = "0001-01-01T00:00:00+14:00"


def add_a_field(file: dict[str, Any]) -> None:
    file["manifest"]["trust"] = True


def be_of_the_future(file: dict[str, Any]) -> None:
    file["version"] = 2


def be_something_else(file: dict[str, Any]) -> None:
    file["kind"] = "List"


SPOILERS = [
    spoil_digest,
    spoil_size,
    swap_data,
    call_it_another,
    call_the_list_a_certificate,
    leave_out_data,
    leave_out_an_entry,
    name_one_twice,
    give_no_zone,
    give_an_impossible_time,
    add_a_field,
    be_of_the_future,
    be_something_else,
]


class TestRefused:
    """Files that are no bundles, or no longer."""

    @pytest.mark.parametrize("spoil", SPOILERS)
    def test_a_spoilt_file(
        self, file: dict[str, Any], spoil: Callable[[dict[str, Any]], None]
    ) -> None:
        spoil(file)
        with pytest.raises(BundleMalformed):
            decode(json.dumps(file).encode())

    @pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"kind": 1}'])
    def test_other_files(self, data: bytes) -> None:
        with pytest.raises(BundleMalformed):
            decode(data)

    def test_says_which_version_it_reads(self) -> None:
        with pytest.raises(BundleMalformed, match=r"expected EndorsementBundle of version 1"):
            decode(b'{"kind": "EndorsementBundle", "version": 2}')

    def test_a_file_that_is_too_large(self) -> None:
        with pytest.raises(BundleMalformed, match="too large"):
            decode(b" " * (MAX_BUNDLE_SIZE + 1))

    def test_data_that_is_no_certificate(self, file: dict[str, Any]) -> None:
        der = b"\x30\x03abc"
        entry = file["manifest"]["entries"][0]
        del file["data"][entry["sha256"]]
        digest = hashlib.sha256(der).hexdigest()
        entry |= {"sha256": digest, "size": len(der)}
        file["data"][digest] = base64.b64encode(der).decode()
        with pytest.raises(BundleMalformed, match="neither a certificate nor"):
            decode(json.dumps(file).encode())


class TestConfigMaps:
    """How a bundle gets into a cluster."""

    def test_hold_all_in_binary_and_carry_the_label(self, bundle: Bundle) -> None:
        (found,) = config_maps(bundle, "attesting")
        assert found["metadata"]["namespace"] == "attesting"
        assert found["metadata"]["labels"]["nodeproof.dev/endorsements"] == "true"
        assert found["metadata"]["name"] == f"nodeproof-bundle-{bundle.identity}-0"
        values = [base64.b64decode(value) for value in found["binaryData"].values()]
        assert values == [*bundle.certificates, *bundle.crls]
        assert [key.rpartition(".")[2] for key in found["binaryData"]] == ["der"] * 5 + ["crl"]

    def test_the_name_follows_the_content_alone(self, bundle: Bundle) -> None:
        later = replace(
            bundle, created_time=NOW + timedelta(1), certificates=bundle.certificates[::-1]
        )
        assert later.identity == bundle.identity
        assert replace(bundle, crls=()).identity != bundle.identity

    def test_several_where_one_would_be_too_large_for_kubectl_apply(self) -> None:
        ders = tuple(number.to_bytes(2, "big") * 700 for number in range(400))
        maps = config_maps(Bundle(NOW, ders, ()), "n")
        names = [each["metadata"]["name"] for each in maps]
        assert len(set(names)) == len(names) > 1
        assert all(len(json.dumps(each, separators=(",", ":"))) < 256 * 1024 for each in maps)
        values = [base64.b64decode(each) for one in maps for each in one["binaryData"].values()]
        assert values == list(ders)

    def test_refuses_an_entry_that_no_config_map_can_hold(self) -> None:
        with pytest.raises(BundleMalformed, match="too large for a ConfigMap"):
            config_maps(Bundle(NOW, (), (bytes(1024 * 1024),)), "n")

    def test_nothing_needs_none(self) -> None:
        assert config_maps(Bundle(NOW, (), ()), "n") == []


@QUIET
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(BundleMalformed):
        decode(data)


@QUIET
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=3)), max_size=3))
def test_any_change_is_noticed_or_about_words_alone(changes: list[tuple[int, bytes]]) -> None:
    machine = simulated.machine(Product.MILAN)
    bundle = Bundle(NOW, machine.processor.certificates, ())
    changed = bytearray(encode(bundle))
    for offset, value in changes:
        start = offset % len(changed)
        changed[start : start + len(value)] = value
    with suppress(BundleMalformed):
        assert decode(bytes(changed)).certificates == bundle.certificates
