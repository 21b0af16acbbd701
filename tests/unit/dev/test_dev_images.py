"""What images are made of: packages of a root, the machine's settings, versions, archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from nodeproof_dev.errors import BuildFailed, ImageToolMissing
from nodeproof_dev.images import assemble, building, debian, packages, pip_settings, sbom, tools
from nodeproof_dev.images.content import content_of
from nodeproof_dev.images.oci import Archive

GIT = shutil.which("git") or "git"
STATUS = """\
Package: python3
Version: 3.11.2-1
Architecture: amd64
Pre-Depends: dpkg
Depends: libc6 (>= 2.34), media-types | mime-support, awk

Package: libc6
Version: 2.36-9
Architecture: amd64

Package: mime-support
Version: 3.66
Architecture: all

Package: mawk
Version: 1.3.4
Architecture: amd64
Provides: awk

Package: dpkg
Version: 1.21
Architecture: amd64
Depends: tar

Package: bash
Version: 5.2
Architecture: amd64
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Debian root in which only python3 and libc6 have files."""
    directory = tmp_path / "root"
    information = directory / "var/lib/dpkg/info"
    information.mkdir(parents=True)
    (directory / "var/lib/dpkg/status").write_text(STATUS)
    lists = {
        "python3": "/.\n/usr\n/usr/bin\n/usr/bin/python3\n/usr/share/doc/python3/README\n",
        "libc6:amd64": "/lib\n/lib/libc.so.6\n",
        "mime-support": "/.\n",
        "bash": "/bin/bash\n",
    }
    for name, text in lists.items():
        (information / f"{name}.list").write_text(text)
    for name in ("usr/bin/python3", "usr/bin/bash", "usr/lib/libc.so.6"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    (directory / "usr/lib").chmod(0o2775)
    for name in ("bin", "lib"):
        (directory / name).symlink_to(f"usr/{name}")
    return directory


def names(root: Path, left_out: set[str]) -> list[str]:
    found = packages.closure(packages.installed(root), {"python3"}, left_out)
    return [package.name for package in found]


def test_a_package_comes_with_what_it_needs(root: Path) -> None:
    assert names(root, {"dpkg"}) == ["libc6", "mawk", "mime-support", "python3"]


def test_what_is_left_out_brings_nothing_with_it(root: Path) -> None:
    assert names(root, {"dpkg", "mawk"}) == ["libc6", "mime-support", "python3"]


def test_a_package_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(BuildFailed, match="tar"):
        names(root, set())


def test_the_layer_has_pythons_files_where_they_really_are_and_no_others(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "RUNTIME_PACKAGES", frozenset({"python3"}))
    layer = tmp_path / "layer.tar"
    debian.write_runtime_layer(root, layer, epoch=7)
    with tarfile.open(layer) as content:
        entries = {entry.name: entry for entry in content}
    assert entries["lib"].linkname == "usr/lib"
    assert {"usr/bin/python3", "usr/lib/libc.so.6", "proc", "etc/passwd"} <= set(entries)
    assert not {"usr/bin/bash", "lib/libc.so.6", "usr/share/doc/python3/README"} & set(entries)
    assert {entry.mtime for entry in entries.values()} == {7}
    assert {(entry.uid, entry.gid) for entry in entries.values()} == {(0, 0)}
    assert entries["usr/lib"].mode == 0o775
    assert "var/lib/dpkg/status.d/libc6" in entries


def test_the_same_root_gives_the_same_layer(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "RUNTIME_PACKAGES", frozenset({"python3"}))
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    debian.write_runtime_layer(root, first, epoch=7)
    (root / "usr/bin/python3").touch()
    debian.write_runtime_layer(root, second, epoch=7)
    assert first.read_bytes() == second.read_bytes()


def test_the_environments_pip_settings_win() -> None:
    listed = (
        ":env:.default-timeout='180'\nglobal.timeout='5'\nglobal.index-url='https://one.test/'\n"
    )
    assert pip_settings.parse(listed) == {"timeout": "180", "index-url": "https://one.test/"}


def test_no_path_of_the_machine_reaches_a_builds_pip_settings() -> None:
    settings = {"cert": "/here/ca.crt", "find-links": "/here/wheels", "timeout": "5"}
    text = pip_settings.written(settings, has_ca=True)
    assert text == f"[global]\ntimeout = 5\ncert = {pip_settings.CA_PATH}\n"


def test_several_indexes_stay_several() -> None:
    text = pip_settings.written({"extra-index-url": "https://a.test\nhttps://b.test"}, has_ca=False)
    assert text == "[global]\nextra-index-url = https://a.test\n    https://b.test\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree in git, of which an image takes one folder."""
    directory = tmp_path / "tree"
    (directory / "agent").mkdir(parents=True)
    (directory / "agent" / "code.py").write_text("")
    (directory / "notes.md").write_text("")
    (directory / "Dockerfile").write_text("")
    (directory / ".dockerignore").write_text("*\n!agent\n!pyproject.toml\n")
    (directory / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    git(directory, "init", "--quiet")
    commit(directory, 1_000)
    return directory


def git(directory: Path, *arguments: str, epoch: int = 0) -> str:
    times = {"GIT_AUTHOR_DATE": f"@{epoch} +0000", "GIT_COMMITTER_DATE": f"@{epoch} +0000"}
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.test"]
    done = subprocess.run(  # noqa: S603 - our own arguments
        [GIT, "-C", str(directory), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | times,
    )
    return done.stdout.strip()


def commit(directory: Path, epoch: int) -> str:
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--no-gpg-sign", "--message", "a change", epoch=epoch)
    return git(directory, "rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


def test_an_images_time_and_revision_are_those_of_its_last_change(tree: Path) -> None:
    before = content_of(tree)
    (tree / "notes.md").write_text("changed")
    commit(tree, 2_000)
    assert content_of(tree) == before
    (tree / "agent" / "code.py").write_text("changed = True")
    revision = commit(tree, 3_000)
    after = content_of(tree)
    assert (after.epoch, after.revision, after.version) == (3_000, revision, "1.2.3")
    assert after.digest != before.digest


def test_what_was_not_committed_is_told(tree: Path) -> None:
    (tree / "agent" / "code.py").write_text("changed = True")
    assert content_of(tree).revision.endswith("-modified")


def test_a_compiled_file_is_no_content(tree: Path) -> None:
    before = content_of(tree).digest
    (tree / "agent" / "code.pyc").write_text("")
    assert content_of(tree).digest == before


def test_the_time_may_be_given(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert content_of(tree).created == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)


def test_other_bases_are_another_build(tree: Path) -> None:
    content = content_of(tree)
    assert content.key("one") != content.key("other")


def layer(files: Mapping[str, str]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as content:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            content.addfile(entry, io.BytesIO(text.encode()))
    return target.getvalue()


def archive(path: Path, *layers: bytes) -> Archive:
    """An OCI archive of these layers, compressed."""
    contents = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    blobs = [gzip.compress(each, mtime=0) for each in layers]
    configuration = json.dumps({"rootfs": {"diff_ids": contents}}).encode()
    described = [
        {"digest": digest(each), "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
        for each in blobs
    ]
    manifest = json.dumps({"config": {"digest": digest(configuration)}, "layers": described})
    index = json.dumps({"manifests": [{"digest": digest(manifest.encode())}]}).encode()
    with tarfile.open(path, "w") as written:
        for each in (*blobs, configuration, manifest.encode()):
            put(written, f"blobs/{digest(each).replace(':', '/')}", each)
        put(written, "index.json", index)
    return Archive(path)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def put(target: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    target.addfile(entry, io.BytesIO(content))


def test_only_layers_above_the_base_count(tmp_path: Path) -> None:
    base, own = layer({"base": "x" * 100_000}), layer({"own": "x" * 1_000})
    image = archive(tmp_path / "image.tar", base, own)
    assert image.bytes_above([digest(base)]) == len(own)
    assert image.bytes_above([]) == len(base) + len(own)


def test_what_a_layer_takes_away_is_not_seen(tmp_path: Path) -> None:
    lower = layer({"bin/pip": "", "bin/python": "", "lib/pip/one": ""})
    upper = layer({"bin/.wh.pip": "", "lib/.wh.pip": ""})
    image = archive(tmp_path / "image.tar", lower, upper)
    assert set(image.files()) == {"bin/python"}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment into which our wheel and one more package were installed."""
    directory = tmp_path / "environment"
    site = assemble.site_packages(directory)
    ours, theirs = site / "nodeproof-1.dist-info", site / "other-1.dist-info"
    for each in (ours, theirs, site / "nodeproof_agent", site / "nodeproof_cli", directory / "bin"):
        each.mkdir(parents=True)
    commands = ("nodeproof", "nodeproof-agent", "other", "python3", "activate")
    for name in commands:
        (directory / "bin" / name).write_text("")
    (ours / "entry_points.txt").write_text(
        "[console_scripts]\nnodeproof = nodeproof_cli:main\n"
        "nodeproof-agent = nodeproof_agent:main\n"
    )
    (site / "nodeproof_agent" / "code.py").write_text("A = 1\n")
    (site / "nodeproof_cli" / "code.py").write_text("A = 1\n")
    (ours / "RECORD").write_text(
        "nodeproof_agent/code.py,sha256=a,1\nnodeproof_cli/code.py,sha256=b,1\n"
        "nodeproof-1.dist-info/entry_points.txt,sha256=c,1\n../../../bin/nodeproof,sha256=d,1\n"
    )
    (theirs / "RECORD").write_text("../../../bin/other,sha256=e,1\n")
    return directory


def trimmed(environment: Path) -> Path:
    site = assemble.site_packages(environment)
    commands = assemble.leave_out(site, ["nodeproof_cli"])
    assemble.forget_the_build(environment, site, commands)
    return site


def test_an_image_has_no_commands_but_python_and_its_own(environment: Path) -> None:
    trimmed(environment)
    assert {path.name for path in (environment / "bin").iterdir()} == {"nodeproof-agent", "python3"}


def test_a_packages_list_of_files_stays_true(environment: Path) -> None:
    information = trimmed(environment) / "nodeproof-1.dist-info"
    assert (information / "RECORD").read_text().splitlines() == [
        "nodeproof_agent/code.py,sha256=a,1",
        "nodeproof-1.dist-info/entry_points.txt,,",
    ]
    assert "nodeproof_cli" not in (information / "entry_points.txt").read_text()


def test_compiled_files_tell_no_time_but_those_left_out(environment: Path) -> None:
    site = assemble.site_packages(environment)
    assemble.compile_all(site, r"nodeproof_cli/")
    (compiled,) = site.rglob("*.pyc")
    assert compiled.parent.parent.name == "nodeproof_agent"
    assert compiled.read_bytes()[4] == 1  # PEP 552: by hash, and the source is not looked at


def test_nothing_sealed_can_be_written_and_every_time_is_one(environment: Path) -> None:
    (environment / "bin" / "python3").chmod(0o755)
    assemble.seal(environment, 9)
    for path in (environment, *environment.rglob("*")):
        assert path.stat().st_mode & 0o222 == 0
        assert path.stat().st_mtime == 9
    assert (environment / "bin" / "python3").stat().st_mode & 0o777 == 0o555
    # pytest removes what a test leaves, unless it may not be written.
    for path in (environment, *(each for each in environment.rglob("*") if each.is_dir())):
        path.chmod(0o755)


def bill(tmp_path: Path) -> str:
    site, status = tmp_path / "site", tmp_path / "var/lib/dpkg/status.d"
    for name, license_name in (("one", "MIT"), ("two", "a long text\n  of two lines")):
        information = site / f"{name}-1.0.dist-info"
        information.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: {license_name}\n"
        (information / "METADATA").write_text(text)
    status.mkdir(parents=True)
    (status / "libc6").write_text(STATUS.split("\n\n")[1] + "\n")
    return sbom.of_image(
        tmp_path, site, name="image", version="1", created=datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_a_bill_names_what_is_installed(tmp_path: Path) -> None:
    found = json.loads(bill(tmp_path))
    assert {each["purl"] for each in found["components"]} == {
        "pkg:pypi/one@1.0",
        "pkg:pypi/two@1.0",
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=bookworm",
    }
    assert found["metadata"]["component"]["type"] == "container"


def test_a_bill_is_what_its_format_asks_for(tmp_path: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bill(tmp_path)) is None


def test_the_same_image_has_the_same_bill(tmp_path: Path) -> None:
    assert bill(tmp_path / "one") == bill(tmp_path / "other")


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PROGRAMS", ("no-such-program", "sh"))
    assert tools.why_not_here() == "not on PATH: no-such-program"


def test_without_root_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PROGRAMS", ("sh",))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "need root" in tools.why_not_here()


def test_what_a_failing_program_said_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(BuildFailed, match="cannot try") as caught:
        tools.run(["sh", "-c", "echo why >&2; exit 3"], what="try", log=log)
    assert caught.value.observed == "why"
    assert log.read_text() == "why\n"


def test_images_that_cannot_be_built_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "PROGRAMS", ("no-such-program",))
    with pytest.raises(ImageToolMissing, match="no-such-program"):
        building.obtain(cache=tmp_path)
