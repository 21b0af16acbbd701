"""Helm, as an admin would call it; what it says on failure comes with the error."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nodeproof_dev.build import HELM, REPOSITORY, binary_of
from nodeproof_dev.errors import HelmFailed
from nodeproof_dev.process import clean_environment

CHART = REPOSITORY / "charts" / "nodeproof"

RELEASE = "nodeproof"
NAMESPACE = "nodeproof-system"
"""How docs, demo and tests name release and namespace."""

Values = Mapping[str, Any]

_OFFLINE_SECONDS = 60.0
_CLUSTER_SECONDS = 330.0
_SHOWN = 4000


@dataclass(frozen=True, slots=True)
class Helm:
    """Helm for one chart and, with a kubeconfig, for one cluster.

    Attributes:
        binary: Helm itself.
        kubeconfig: The cluster's; what renders and packages needs none.
        chart: The chart's directory or archive.
        namespace: The namespace that releases are installed into.
        release: Their name.
    """

    binary: Path
    kubeconfig: Path | None = None
    chart: Path = CHART
    namespace: str = NAMESPACE
    release: str = RELEASE

    @classmethod
    def built(cls, kubeconfig: Path | None = None, *, fetch_go: bool = True) -> Helm:
        """Return the Helm of dev/helm, building it first if need be.

        Raises:
            GoMissing: It is not built yet, there is no Go, and none is to be fetched.
            BuildFailed: It cannot be built.
        """
        return cls(binary_of(HELM, fetch_go=fetch_go), kubeconfig)

    def template(self, values: Values | None = None, *options: str) -> str:
        """Return the manifests that the chart makes of these values.

        Raises:
            HelmFailed: The values are refused, or a template fails.
        """
        return self._with_values("template", [self.release, str(self.chart)], values, options)

    def lint(self, values: Values | None = None, *options: str) -> str:
        """Return what ``helm lint`` says.

        Raises:
            HelmFailed: It found errors (with ``--strict``: or warnings).
        """
        return self._with_values("lint", [str(self.chart)], values, options)

    def package(self, destination: Path) -> Path:
        """Write the chart's archive into a directory; return its path.

        Raises:
            HelmFailed: It cannot be packaged.
        """
        said = self._run("package", [str(self.chart), "--destination", str(destination)])
        return Path(said.rpartition(": ")[2].strip())

    def install(self, values: Values | None = None, *options: str) -> str:
        """Install the chart, making the namespace if need be; return what Helm says (NOTES).

        Raises:
            HelmFailed: It is refused, or with ``--wait`` not ready in time.
        """
        named = [self.release, str(self.chart), "--create-namespace"]
        return self._with_values("install", named, values, options)

    def upgrade(self, values: Values | None = None, *options: str) -> str:
        """Upgrade the release; return what Helm says.

        Raises:
            HelmFailed: It is refused, or with ``--wait`` not ready in time.
        """
        return self._with_values("upgrade", [self.release, str(self.chart)], values, options)

    def test(self, *options: str) -> str:
        """Run the release's tests; return what Helm and they say.

        Raises:
            HelmFailed: One failed; the message holds its log.
        """
        return self._run("test", [self.release, "--logs", *options])

    def uninstall(self, *options: str) -> str:
        """Uninstall the release, hooks first; return what Helm says.

        Raises:
            HelmFailed: A hook failed, or there is no such release.
        """
        return self._run("uninstall", [self.release, *options])

    def _with_values(
        self, command: str, named: Sequence[str], values: Values | None, options: Sequence[str]
    ) -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(values or {}), file)
            file.flush()
            return self._run(command, [*named, "--values", file.name, *options])

    def _run(self, command: str, arguments: Sequence[str]) -> str:
        line = [str(self.binary), command, *arguments]
        if command != "package":
            line += ["--namespace", self.namespace]
        if self.kubeconfig is not None:
            line += ["--kubeconfig", str(self.kubeconfig)]
        seconds = _OFFLINE_SECONDS if self.kubeconfig is None else _CLUSTER_SECONDS
        try:
            done = subprocess.run(
                line,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
                env=clean_environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise HelmFailed(f"helm {command}: not within {seconds:.0f} s") from error
        if done.returncode:
            said = f"{done.stderr.strip()}\n{done.stdout.strip()}".strip()
            raise HelmFailed(f"helm {command} failed: {said[-_SHOWN:]}")
        return done.stdout
