"""Assemble what an image gets: an environment with its locked packages and our wheel.

Runs while an image is built, in a container that has this file alone: standard library only. The
same inputs give the same bytes: no times but SOURCE_DATE_EPOCH, no path of the build, nothing
writable.
"""

from __future__ import annotations

import argparse
import compileall
import csv
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

_INSTALL = ["install", "--quiet", "--no-compile", "--only-binary=:all:"]
_ENTRY_POINT = re.compile(r"(?P<command>\S+) = (?P<package>\w+)")
_FILE_MODE = 0o444
_EXECUTABLE_MODE = 0o555


def main(arguments: Sequence[str] | None = None) -> None:
    """Assemble the environment that the command line describes."""
    given = _parser().parse_args(arguments)
    environment: Path = given.environment
    # Without pip: an image installs nothing. Symbolic links: its Python is the base's.
    venv.create(environment, symlinks=True, with_pip=False)
    _pip(environment, ["--require-hashes", "--requirement", str(given.lock)])
    (wheel,) = given.wheels.glob("nodeproof-*.whl")
    _pip(environment, ["--no-index", "--no-deps", str(wheel)])
    packages = site_packages(environment)
    commands = leave_out(packages, given.without)
    forget_the_build(environment, packages, commands)
    compile_all(packages, given.uncompiled)
    seal(environment, int(os.environ["SOURCE_DATE_EPOCH"]))


def site_packages(environment: Path) -> Path:
    """Return where an environment keeps its packages."""
    paths = {"base": str(environment), "platbase": str(environment)}
    return Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))


def leave_out(packages: Path, left_out: Sequence[str]) -> set[str]:
    """Remove some of our packages and their entry points; return the commands that are left."""
    for package in left_out:
        shutil.rmtree(packages / package)
    (entry_points,) = packages.glob("nodeproof-*.dist-info/entry_points.txt")
    lines = entry_points.read_text().splitlines()
    found = [(line, _ENTRY_POINT.match(line)) for line in lines]
    kept = [(line, each) for line, each in found if not (each and each["package"] in left_out)]
    entry_points.write_text("\n".join(line for line, _ in kept) + "\n")
    return {each["command"] for _, each in kept if each}


def forget_the_build(environment: Path, packages: Path, commands: AbstractSet[str]) -> None:
    """Remove what only says how it was installed, and every command but Python and ours."""
    for name in ("direct_url.json", "REQUESTED"):
        for path in packages.glob(f"*.dist-info/{name}"):
            path.unlink()
    for path in (environment / "bin").iterdir():
        if not path.name.startswith("python") and path.name not in commands:
            path.unlink()
    for information in packages.glob("*.dist-info"):
        _rewrite_record(information)


def compile_all(packages: Path, uncompiled: str | None) -> None:
    """Compile ahead, without times: an image is read-only, so a file need not be asked its age.

    Args:
        packages: Where the packages are.
        uncompiled: Pattern of what to leave as it is: where paths below the packages begin.
    """
    done = compileall.compile_dir(
        str(packages),
        quiet=1,
        force=True,
        rx=re.compile(f"{re.escape(str(packages))}/{uncompiled}") if uncompiled else None,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=1,
    )
    if not done:
        sys.exit(f"{packages}: not everything can be compiled")


def seal(directory: Path, epoch: int) -> None:
    """Take away every right to write, and every time but one (seconds since 1970)."""
    for path in [directory, *directory.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(_EXECUTABLE_MODE if executable else _FILE_MODE)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _rewrite_record(information: Path) -> None:
    """Let a package's list of files name those that are there, and no digest that has changed."""
    record, packages = information / "RECORD", information.parent
    with record.open(newline="") as source:
        rows = [row for row in csv.reader(source) if (packages / row[0]).exists()]
    rows = [[row[0], "", ""] if row[0].endswith("/entry_points.txt") else row for row in rows]
    with record.open("w", newline="") as target:
        csv.writer(target, lineterminator="\n").writerows(rows)


def _pip(environment: Path, arguments: list[str]) -> None:
    python = str(environment / "bin" / "python")
    command = [sys.executable, "-m", "pip", "--python", python, *_INSTALL, *arguments]
    # pip looks at what is installed, and would leave compiled files with times behind.
    subprocess.run(command, check=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path, help="pip's requirements file with hashes")
    parser.add_argument("wheels", type=Path, help="the directory of our wheel")
    parser.add_argument("environment", type=Path, help="the directory to make")
    parser.add_argument("--without", action="append", default=[], help="a package of ours")
    parser.add_argument("--uncompiled", help="pattern of packages' files to leave uncompiled")
    return parser


if __name__ == "__main__":
    main()
