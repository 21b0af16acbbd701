"""The rules of the Dockerfile and of its lock files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nodeproof_dev.images import content, debian

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "Dockerfile").read_text()
FROM = re.compile(r"^FROM (\S+) AS (\S+)$")
REQUIREMENTS = ROOT / "requirements"
IMAGES = ("agent", "operator")


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE))
    pairs = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in pairs]


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """What each stage stands on, and its instructions."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    current: list[tuple[str, str]] = []
    for word, rest in instructions():
        if word == "FROM":
            below, _, name = rest.partition(" AS ")
            current = []
            found[name] = (below, current)
        else:
            current.append((word, rest))
    return found


def values(stage: str, word: str) -> list[str]:
    """The arguments of an instruction in a stage, after those of the stages below it."""
    below, own = stages()[stage]
    inherited = values(below, word) if below in stages() else []
    return inherited + [rest for each, rest in own if each == word]


def locked(name: str) -> dict[str, str]:
    pins = re.findall(r"^(\S+)==(\S+)", (REQUIREMENTS / f"{name}.lock").read_text(), re.MULTILINE)
    return dict(pins)


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def test_every_base_is_an_argument_without_a_default() -> None:
    bases = {below for below, _ in stages().values()} - set(stages())
    assert bases == {"${BUILD_IMAGE}", "${RUNTIME_IMAGE}"}
    assert {"ARG BUILD_IMAGE", "ARG RUNTIME_IMAGE"} <= set(TEXT.splitlines())


def test_nothing_is_added_from_elsewhere() -> None:
    assert not [rest for word, rest in instructions() if word == "ADD"]
    assert "://" not in TEXT


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_gets_one_folder_and_runs_nothing_while_it_is_made(image: str) -> None:
    assert values(image, "COPY") == [f"--from={image}-files /opt/nodeproof /opt/nodeproof"]
    assert values(image, "RUN") == []


@pytest.mark.parametrize(("image", "kind"), [("agent", "DaemonSet"), ("operator", "Deployment")])
def test_an_image_names_the_user_that_the_manifests_name(image: str, kind: str) -> None:
    (user,) = values(image, "USER")
    assert user == f"{run_as_user(kind)}:{run_as_user(kind)}"


def run_as_user(kind: str) -> int:
    files = sorted((ROOT / "deploy").rglob("*.yaml"))
    documents = [each for path in files for each in yaml.safe_load_all(path.read_text())]
    (spec,) = [each["spec"]["template"]["spec"] for each in documents if each["kind"] == kind]
    context = spec.get("securityContext", {}) | spec["containers"][0]["securityContext"]
    return int(context["runAsUser"])


def test_the_operators_user_is_nobody_in_the_base() -> None:
    assert values("operator", "USER") == [f"{debian.NOBODY_IDS}:{debian.NOBODY_IDS}"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_starts_its_program_without_a_shell(image: str) -> None:
    assert values(image, "ENTRYPOINT") == [f'["/opt/nodeproof/bin/nodeproof-{image}"]']
    assert values(image, "CMD") == []


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("name", ["title", "description", "version", "revision", "created"])
def test_an_image_tells_what_it_is(image: str, name: str) -> None:
    assert f"org.opencontainers.image.{name}=" in " ".join(values(image, "LABEL"))


@pytest.mark.parametrize("image", IMAGES)
def test_python_in_an_image_imports_from_no_working_directory(image: str) -> None:
    (environment,) = values(image, "ENV")
    assert "PYTHONSAFEPATH=1" in environment.split()


@pytest.mark.parametrize("image", IMAGES)
def test_what_reaches_an_index_is_mounted_and_no_more(image: str) -> None:
    secrets = [each for each in values(f"{image}-files", "RUN") if "pip" in each or "lock" in each]
    assert secrets
    assert all(each.count("--mount=type=secret,") == 2 for each in secrets)


def test_the_context_is_what_the_dockerfile_copies_and_no_more() -> None:
    copied = [
        path
        for word, rest in instructions()
        if word == "COPY" and "--from=" not in rest
        for path in rest.split()[:-1]
    ]
    assert set(content.context_paths(ROOT)) == {"Dockerfile", ".dockerignore", *copied}


@pytest.mark.parametrize("image", IMAGES)
def test_an_images_lock_has_what_its_extra_asks_for(image: str) -> None:
    asked = project()["dependencies"] + project()["optional-dependencies"][image]
    for requirement in map(Requirement, asked):
        version = locked(image).get(canonicalize_name(requirement.name))
        assert version is not None
        assert requirement.specifier.contains(version)


@pytest.mark.parametrize("image", [*IMAGES, "build"])
def test_an_image_gets_the_versions_that_were_tested(image: str) -> None:
    tested = locked("dev")
    assert {name: tested.get(name) for name in locked(image)} == locked(image)


@pytest.mark.parametrize("image", [*IMAGES, "build"])
def test_everything_locked_has_a_hash(image: str) -> None:
    text = (REQUIREMENTS / f"{image}.lock").read_text()
    entries = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_agent_gets_nothing_of_the_operators() -> None:
    assert not {"kopf", "kubernetes", "pydantic", "pyyaml", "requests"} & set(locked("agent"))


def test_the_wheel_is_built_with_what_the_project_asks_for() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert (REQUIREMENTS / "build.lock.in").read_text().split() == asked


def test_the_base_is_the_oldest_python_that_nodeproof_runs_on() -> None:
    assert project()["requires-python"] == ">=3.11"
    assert debian.SUITE == "bookworm"
