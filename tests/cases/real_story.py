"""Those who take part in a story on real nodes."""

from __future__ import annotations

from dataclasses import dataclass
from subprocess import CalledProcessError
from typing import Any

from cases.asking_workload import AskingWorkload
from cases.real_fleet import OPERATOR, Fleet
from nodeproof_dev.helm import NAMESPACE
from nodeproof_dev.real.release import Release


@dataclass(frozen=True, slots=True)
class Story:
    """Who takes part, and what the release is installed with."""

    fleet: Fleet
    release: Release
    workload: AskingWorkload

    @property
    def values(self) -> dict[str, Any]:
        """What it is installed with; `helm test` does not hope for long."""
        return self.release.values | {"check": {"waitSeconds": 2}}

    def values_with_tags(self, **tags: str) -> dict[str, Any]:
        """Return the values with other images of agent or operator."""
        values = self.values
        for part, tag in tags.items():
            values[part] = values[part] | {"image": {"tag": tag}}
        return values

    def operators_say(self) -> str:
        """Return the operators' logs; nothing while they start."""
        selector = f"--selector=app.kubernetes.io/name={OPERATOR}"
        try:
            return self.fleet.cluster.plane.kubectl("--namespace", NAMESPACE, "logs", selector)
        except CalledProcessError:
            return ""
