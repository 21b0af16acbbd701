"""The images themselves: what is in them, and that they run as a hardened pod would run them."""

from __future__ import annotations

import json
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from nodeproof_dev.images import building, tools
from nodeproof_dev.images.contained import run_contained

pytestmark = [
    pytest.mark.images,
    # The first time Debian is fetched; the session's fixture counts for the first test.
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(tools.why_not_here()), reason=tools.why_not_here() or "possible"),
]

ENVIRONMENT = f"{building.ENVIRONMENT}/"
PYTHON = f"/{building.ENVIRONMENT}/bin/python"
FOREIGN = {
    "agent": {"kopf", "kubernetes", "pip", "setuptools", "pydantic", "yaml", "nodeproof_operator"},
    "operator": {"pip", "setuptools", "nodeproof_agent", "pytest"},
}
SHELLS = {"sh", "bash", "dash", "busybox"}
COMPILERS = {"cc", "gcc", "ld", "as", "make"}
INSTALLERS = {"pip", "pip3", "dpkg", "apt", "apt-get", "perl"}

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="session")
def images() -> building.Images:
    return building.obtain()


@pytest.fixture(scope="session", params=sorted(building.BUDGETS))
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def files(images: building.Images, target: str) -> dict[str, tarfile.TarInfo]:
    return images.archive(target).files()


@pytest.fixture(scope="session")
def run(images: building.Images, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of an image, by target, without network and with nothing writable."""
    roots: dict[str, Path] = {}

    def started(target: str, *arguments: str, program: str = "") -> CompletedProcess[str]:
        archive = images.archive(target)
        if target not in roots:
            roots[target] = tmp_path_factory.mktemp("image") / "root"
            archive.extract(roots[target])
            roots[target].chmod(0o755)
        configuration = archive.configuration()["config"]
        return run_contained(roots[target], configuration, arguments, program=program)

    return started


def test_an_image_tells_its_usage(run: Run, target: str) -> None:
    told = run(target, "--help")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"usage: nodeproof-{target}")


def test_the_agents_doctor_speaks_and_names_the_interface(run: Run) -> None:
    told = run("agent", "doctor")
    assert told.returncode in {0, 1}, told.stderr
    assert "configfs-tsm" in told.stdout
    assert told.stderr == ""


@pytest.mark.parametrize(
    ("of", "module"),
    [
        ("agent", "nodeproof.sevsnp.simulator.__main__"),
        ("agent", "nodeproof_agent.providers.simulated"),
        ("operator", "nodeproof_operator.runtime"),
        ("operator", "nodeproof_cli.__main__"),
    ],
)
def test_all_that_an_image_needs_is_there(run: Run, of: str, module: str) -> None:
    told = run(of, "-W", "error", "-c", f"import {module}", program=PYTHON)
    assert told.returncode == 0, told.stderr


def test_a_program_has_no_rights_and_can_write_nowhere(run: Run, target: str) -> None:
    code = """
import os, pathlib
status = pathlib.Path("/proc/self/status").read_text().split()
print(status[status.index("CapPrm:") + 1], status[status.index("CapBnd:") + 1])
for folder, _, _ in os.walk("/"):
    if os.access(folder, os.W_OK) and not folder.startswith("/proc"):
        print("writable", folder)
"""
    told = run(target, "-c", code, program=PYTHON)
    assert told.stdout.split() == ["0" * 16, "0" * 16]


def test_a_program_has_the_images_user(run: Run, target: str) -> None:
    told = run(target, "-c", "import os; print(os.getuid(), os.getgid())", program=PYTHON)
    assert told.stdout.split() == {"agent": ["0", "0"], "operator": ["65532", "65532"]}[target]


def test_no_program_is_imported_from_the_working_directory(run: Run, target: str) -> None:
    told = run(target, "-c", "import sys; print(sys.flags.safe_path)", program=PYTHON)
    assert told.stdout == "True\n"


def test_everything_imported_was_compiled_before(run: Run, target: str) -> None:
    """Else each start compiles it again: nothing can be kept in a read-only root."""
    code = f"""
import sys, nodeproof_{target}.__main__
for module in list(sys.modules.values()):
    spec = getattr(module, "__spec__", None)
    if spec and spec.cached and not __import__("os").path.exists(spec.cached):
        print(module.__name__)
"""
    told = run(target, "-c", code, program=PYTHON)
    allowed = {f"kubernetes.{half}client.models" for half in ("", "aio.")}
    late = {line for line in told.stdout.split() if line.rpartition(".")[0] not in allowed}
    assert told.returncode == 0, told.stderr
    assert late == set()


def test_an_image_has_its_own_packages_only(files: dict[str, tarfile.TarInfo], target: str) -> None:
    site = next(path for path in files if path.endswith("/site-packages"))
    packages = {path.removeprefix(f"{site}/").partition("/")[0] for path in files}
    assert "nodeproof" in packages
    assert packages & FOREIGN[target] == set()


def test_an_image_has_no_shell_compiler_or_installer(files: dict[str, tarfile.TarInfo]) -> None:
    names = {path.rpartition("/")[2] for path in files if "/bin/" in path or "/sbin/" in path}
    assert "python3" in names
    assert names & (SHELLS | COMPILERS | INSTALLERS) == set()


def test_everything_is_roots_and_ours_cannot_be_written(files: dict[str, tarfile.TarInfo]) -> None:
    assert {(entry.uid, entry.gid) for entry in files.values()} == {(0, 0)}
    ours = {path: entry for path, entry in files.items() if path.startswith(ENVIRONMENT)}
    assert [path for path, entry in ours.items() if not entry.issym() and entry.mode & 0o222] == []


def test_nothing_gives_rights_to_who_runs_it(files: dict[str, tarfile.TarInfo]) -> None:
    special = stat.S_ISUID | stat.S_ISGID
    assert [path for path, entry in files.items() if entry.isreg() and entry.mode & special] == []


def test_an_image_is_within_its_budget(images: building.Images, target: str) -> None:
    assert 0 < images.built[target].bytes_above_base <= building.BUDGETS[target]


def test_an_image_says_what_it_is(images: building.Images, target: str) -> None:
    labels = images.archive(target).configuration()["config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == f"nodeproof-{target}"
    assert f"nodeproof-{target}:{labels['org.opencontainers.image.version']}" == (
        images.built[target].reference
    )


def test_nothing_of_the_machine_is_in_an_images_history(
    images: building.Images, target: str, repository: Path
) -> None:
    told = json.dumps(images.archive(target).configuration())
    assert str(repository) not in told
    assert "://" not in told


def test_an_images_bill_is_valid_and_names_what_is_in_it(
    images: building.Images, target: str
) -> None:
    text = images.bill(target).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    names = {each["name"] for each in json.loads(text)["components"]}
    assert {"aiohttp", "nodeproof", "libssl3"} <= names
    assert ("kubernetes" in names) == (target == "operator")
