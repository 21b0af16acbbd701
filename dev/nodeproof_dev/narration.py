"""How the demo speaks on the terminal."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import urllib3
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

_SHOWN_METRICS = (
    "nodeproof_nodes",
    "nodeproof_attestation_attempts",
    "nodeproof_enforcement_writes",
    "nodeproof_result_expiration_timestamp_seconds",
    "nodeproof_build_info",
)
_ASK_SECONDS = 5.0


class Narrator:
    """Prints chapters, facts and the output of commands; colours only on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._chapter = 0
        self._began = time.monotonic()

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapter += 1
        elapsed = time.monotonic() - self._began
        self.say(f"\n{self._chapter}. {title}  [{elapsed:.0f} s]", style="bold")

    def fact(self, text: str) -> None:
        """State something that was read from the cluster."""
        self.say(f"   {text}")

    def warn(self, text: str) -> None:
        """State something that must not be overlooked."""
        self.say(f"   WARNING: {text}", style="yellow")

    def command(self, command: str, output: str) -> None:
        """Show a command and what it printed."""
        self.say(f"   $ {command}", style="cyan")
        self.say(textwrap.indent(output.rstrip(), "     "))

    def say(self, text: str, style: str | None = None) -> None:
        """Print text as it is: no markup, no wrapping."""
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def summarise_metrics(url: str) -> Iterator[str]:
    """Scrape a metrics page and yield a line for each sample that tells the story."""
    answer = urllib3.request("GET", url, retries=False, timeout=_ASK_SECONDS)
    for family in text_string_to_metric_families(answer.data.decode()):
        if family.name not in _SHOWN_METRICS:
            continue
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                labels = ", ".join(f"{key}={value!r}" for key, value in sample.labels.items())
                yield f"{sample.name}{{{labels}}} {_spoken(sample.name, sample.value)}"
    yield f"the whole page is at {url}"


def _spoken(name: str, value: float) -> str:
    if name.endswith("_timestamp_seconds"):
        return f"{value:.0f} ({datetime.fromtimestamp(value, UTC):%H:%M:%S} UTC)"
    return f"{value:g}"
