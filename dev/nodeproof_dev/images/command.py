"""``make images``: build them, put them where they are wanted, and say how large they are."""

from __future__ import annotations

import shutil
from pathlib import Path

from nodeproof_dev.images import building

_MB = 1_000_000


def run(output: Path) -> None:
    """Build the images into a directory, each with its bill of materials.

    Raises:
        ImageToolMissing: They cannot be built on this machine; the message says why.
        BuildFailed: Building failed.
    """
    print("building the images; the first time their base is made too, about two minutes")
    images = building.obtain()
    output.mkdir(parents=True, exist_ok=True)
    for target, image in images.built.items():
        for path in (images.archive(target).path, images.bill(target)):
            shutil.copyfile(path, output / path.name)
        print(
            f"{image.reference}: {image.bytes_above_base / _MB:.1f} MB"
            f" above a base of {image.bytes_base / _MB:.1f} MB,"
            f" at most {building.BUDGETS[target] / _MB:.0f} MB allowed; {image.digest}"
        )
    print(f"OCI archives and bills of materials are in {output}")
