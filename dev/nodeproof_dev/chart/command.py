"""``make chart`` and ``make manifests``."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.chart import manifests, packaging
from nodeproof_dev.helm import Helm


def package(output: Path) -> None:
    """Write the chart's archive into a directory and say what it is.

    Raises:
        BuildFailed: Helm cannot be built.
        HelmFailed: Helm refuses the chart.
    """
    made = packaging.package(Helm.built(), output)
    print(f"{made}: sha256 {hashlib.sha256(made.read_bytes()).hexdigest()}")


def renew_manifests() -> None:
    """Write deploy/ and the chart's copies of the CRDs anew, and say what changed.

    Raises:
        BuildFailed: Helm cannot be built.
        HelmFailed: The chart cannot be rendered.
    """
    changed = [path.relative_to(REPOSITORY) for path in manifests.renew()]
    print("\n".join(f"written anew: {path}" for path in changed) or "all are current")
