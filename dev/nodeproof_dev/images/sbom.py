"""The bill of materials of an image (CycloneDX), read from what is installed in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from nodeproof_dev.images.debian import SUITE
from nodeproof_dev.images.packages import Package, parse_stanza

_STATUS = "var/lib/dpkg/status.d"


def of_image(root: Path, packages: Path, *, name: str, version: str, created: datetime) -> str:
    """Return the bill of materials of an image's files, as CycloneDX 1.6 in JSON.

    Args:
        root: The image's files.
        packages: Where the Python packages lie in it.
        name: The image's name.
        version: Its version.
        created: The time to tell; the image's own, so that the same image has the same bill.
    """
    image = Component(
        name=name, version=version, type=ComponentType.CONTAINER, bom_ref=f"{name}:{version}"
    )
    bom = Bom(components=[*_python(packages), *_debian(root)])
    bom.metadata.component, bom.metadata.timestamp = image, created
    # The number names the bill: not by chance, so that it is the same for the same image.
    bom.serial_number = _serial(name, version, bom.components)
    bom.register_dependency(image, bom.components)
    return str(JsonV1Dot6(bom).output_as_string(indent=2))


def _serial(name: str, version: str, components: Iterable[Component]) -> UUID:
    parts = sorted(str(component.purl) for component in components)
    return uuid5(NAMESPACE_URL, "\n".join([name, version, *parts]))


def _python(packages: Path) -> Iterator[Component]:
    for found in distributions(path=[str(packages)]):
        purl = PackageURL("pypi", None, found.name.lower().replace("_", "-"), found.version)
        component = _library(found.name, found.version, purl)
        component.description = _told(found, "Summary")
        if text := _license(found):
            component.licenses.add(LicenseFactory().make_from_string(text))
        yield component


def _debian(root: Path) -> Iterator[Component]:
    for path in sorted((root / _STATUS).glob("*")):
        package = parse_stanza(path.read_text())
        yield _library(package.name, package.version, _debian_purl(package))


def _debian_purl(package: Package) -> PackageURL:
    qualifiers = {"arch": package.architecture, "distro": SUITE}
    return PackageURL("deb", "debian", package.name, package.version, qualifiers)


def _library(name: str, version: str, purl: PackageURL) -> Component:
    return Component(
        name=name,
        version=version,
        purl=purl,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
    )


def _license(found: Distribution) -> str | None:
    # Older packages put the whole text where the name belongs.
    text = _told(found, "License-Expression") or _told(found, "License") or ""
    return text if text and "\n" not in text else None


def _told(found: Distribution, name: str) -> str | None:
    values = found.metadata.get_all(name)
    return str(values[0]) if values else None
