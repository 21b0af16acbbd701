"""The chart's archive: made by Helm, then freed of what differs from one build to the next."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.helm import CHART, Helm

_ENVIRONMENT = "SOURCE_DATE_EPOCH"


def package(helm: Helm, output: Path, epoch: int | None = None) -> Path:
    """Write the chart's archive into a directory; the same chart gives the same bytes.

    Args:
        helm: Helm for the chart.
        output: The directory; made if need be.
        epoch: The time that files in it tell, in seconds since 1970; by default that of the last
            commit that changed the chart, or SOURCE_DATE_EPOCH.

    Raises:
        HelmFailed: Helm refuses the chart.
    """
    epoch = source_epoch() if epoch is None else epoch
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        made = helm.package(Path(directory))
        target = output / made.name
        target.write_bytes(_normalised(made.read_bytes(), epoch))
    return target


def source_epoch() -> int:
    """Return the time of the last commit that changed the chart, or SOURCE_DATE_EPOCH."""
    given = os.environ.get(_ENVIRONMENT)
    if given is not None:
        return int(given)
    command = ["git", "-C", str(REPOSITORY), "log", "-1", "--format=%ct", "--", str(CHART)]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    return int(told.strip() or 0)


def _normalised(archive: bytes, epoch: int) -> bytes:
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as found,
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=epoch) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.USTAR_FORMAT) as made,
    ):
        members = {each.name: each for each in found.getmembers()}
        # Helm wants Chart.yaml first to tell a chart quickly; the rest by name.
        for name in sorted(members, key=lambda each: (not each.endswith("/Chart.yaml"), each)):
            made.addfile(_plain(members[name], epoch), found.extractfile(members[name]))
    return packed.getvalue()


def _plain(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(member.name)
    plain.size, plain.mode, plain.mtime = member.size, 0o644, epoch
    return plain
