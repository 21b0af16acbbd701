"""What dpkg knows about a Debian root: packages, what they need, and which files are theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from nodeproof_dev.errors import BuildFailed

_FIELD = re.compile(r"^([A-Z][A-Za-z-]*): (.*)$", re.MULTILINE)
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package.

    Attributes:
        stanza: Its paragraph in dpkg's database, for scanners that read images.
        needs: Alternatives of each of its dependencies, by name.
    """

    name: str
    version: str
    architecture: str
    provides: frozenset[str]
    needs: tuple[tuple[str, ...], ...]
    stanza: str


def installed(root: Path) -> dict[str, Package]:
    """Return the packages of a Debian root by name."""
    text = (root / "var/lib/dpkg/status").read_text()
    packages = (parse_stanza(stanza) for stanza in text.split("\n\n") if stanza.strip())
    return {package.name: package for package in packages}


def closure(
    packages: dict[str, Package], wanted: AbstractSet[str], left_out: AbstractSet[str]
) -> tuple[Package, ...]:
    """Return what is wanted and all that it needs, but for what is left out, sorted by name.

    Raises:
        BuildFailed: Something wanted or needed is not installed.
    """
    found: dict[str, Package] = {}
    pending = sorted(wanted)
    while pending:
        name = pending.pop()
        if name in found or name in left_out:
            continue
        if name not in packages:
            raise BuildFailed("a package is not installed in the base", expected=name)
        found[name] = packages[name]
        pending += [_chosen(packages, each, left_out) for each in packages[name].needs]
    return tuple(found[name] for name in sorted(found))


def files(root: Path, package: Package) -> Iterator[str]:
    """Yield the paths that a package owns, as dpkg wrote them down (absolute)."""
    information = root / "var/lib/dpkg/info"
    for name in (package.name, f"{package.name}:{package.architecture}"):
        path = information / f"{name}.list"
        if path.exists():
            yield from path.read_text().splitlines()
            return
    raise BuildFailed("dpkg has no list of a package's files", expected=package.name)


def _chosen(
    packages: dict[str, Package], alternatives: tuple[str, ...], left_out: AbstractSet[str]
) -> str:
    for name in alternatives:
        if name in packages or name in left_out:
            return name
    for package in packages.values():
        if package.provides & set(alternatives):
            return package.name
    return alternatives[0]


def parse_stanza(stanza: str) -> Package:
    """Return the package that a paragraph of dpkg's database describes."""
    fields = dict(_FIELD.findall(stanza))
    needs = [each for name in ("Pre-Depends", "Depends") for each in _split(fields.get(name, ""))]
    return Package(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        provides=frozenset(each for names in _split(fields.get("Provides", "")) for each in names),
        needs=tuple(needs),
        stanza=stanza.strip() + "\n",
    )


def _split(field: str) -> Iterator[tuple[str, ...]]:
    for dependency in filter(None, field.split(",")):
        found = (_NAME.match(each.strip()) for each in dependency.split("|"))
        yield tuple(each[0] for each in found if each)
