"""What a node's programs are told."""

from __future__ import annotations

import io
import json
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from nodeproof_dev.build import CONTAINERD, NODE
from nodeproof_dev.real.addresses import Addresses
from nodeproof_dev.real.blueprint import SEARCH_PATH, Bind, Blueprint
from nodeproof_dev.real.settings import IMAGES, PAUSE_IMAGE, NodeSettings, names_service
from nodeproof_dev.real.single_layer import write_image

ADDRESSES = Addresses(201)
SETTINGS = NodeSettings("node-2", 2, ADDRESSES, "nodeproof-201/node-2", {"a/b": "c"})


@pytest.fixture
def kubelet() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(SETTINGS.files()["kubelet.yaml"])
    return read


def test_a_node_gives_addresses_of_its_own_range_alone() -> None:
    network = json.loads(SETTINGS.files()["cni/10-pods.conflist"])
    assert network["plugins"][0]["ipam"]["ranges"] == [[{"subnet": ADDRESSES.pods_of(2)}]]


def test_a_kubelet_asks_the_api_server_who_may_ask_it(kubelet: dict[str, Any]) -> None:
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["authorization"] == {"mode": "Webhook"}


def test_a_kubelet_stays_in_its_own_control_group(kubelet: dict[str, Any]) -> None:
    assert kubelet["cgroupRoot"] == "/nodeproof-201/node-2"


def test_containerd_loads_no_profile_into_the_hosts_kernel() -> None:
    read = tomllib.loads(SETTINGS.files()["containerd.toml"])
    assert read["plugins"]["io.containerd.cri.v1.runtime"]["disable_apparmor"] is True
    images = read["plugins"]["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == PAUSE_IMAGE


def test_a_kubelet_starts_once_its_images_are_there() -> None:
    services = {service.name: service for service in SETTINGS.services()}
    assert set(services["kubelet"].needs) == {f"/run/{name}.done" for name in IMAGES}
    assert all(services[name].once for name in IMAGES)


def test_a_kubelet_registers_with_its_labels() -> None:
    command = next(each.command for each in SETTINGS.services() if each.name == "kubelet")
    assert "--node-labels=a/b=c" in command


def test_programs_are_found_where_they_are_built_to() -> None:
    names = {Path(service.command[0]).name for service in (*SETTINGS.services(), names_service())}
    assert names <= {*CONTAINERD.binaries, *NODE.binaries}
    assert SEARCH_PATH.startswith("/opt/nodeproof/node:/opt/nodeproof/containerd:")


def test_a_blueprint_is_read_as_it_was_written() -> None:
    blueprint = Blueprint("node-2", "/d", SETTINGS.services(), (Bind("/a", "/b"),))
    assert msgspec.json.decode(msgspec.json.encode(blueprint), type=Blueprint) == blueprint


def test_an_image_holds_its_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    archive = tmp_path / "image.tar"
    write_image(archive, "localhost/one:1", {"program": program}, "/program")
    (manifest,) = json.loads(member(archive, "manifest.json"))
    configuration = json.loads(member(archive, manifest["Config"]))
    layer = io.BytesIO(member(archive, manifest["Layers"][0]))
    entry = tarfile.open(fileobj=layer).getmember("program")  # noqa: SIM115 - it is in memory
    assert manifest["RepoTags"] == ["localhost/one:1"]
    assert configuration["config"]["Entrypoint"] == ["/program"]
    assert entry.mode == 0o555


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as opened:
        content = opened.extractfile(name)
        assert content is not None
        return content.read()
