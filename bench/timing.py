"""Times taken in turn, so that what slows one task slows the others of the same round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import TypeAlias

MICROSECONDS = 1_000_000

Clock: TypeAlias = Callable[[], float]
Measurement: TypeAlias = Callable[[], float]
"""Does something once and returns how many µs it took."""


def timed(
    run: Callable[[], object],
    prepare: Callable[[], object] = lambda: None,
    clock: Clock = perf_counter,
) -> Measurement:
    """Return the measurement of a task; what prepares it does not count."""

    def measure() -> float:
        prepare()
        begin = clock()
        run()
        return (clock() - begin) * MICROSECONDS

    return measure


@dataclass(frozen=True, slots=True)
class Paired:
    """Medians in µs of a task and of the reference that it took turns with."""

    time: float
    reference: float

    @property
    def ratio(self) -> float:
        """How many references the task takes."""
        return self.time / self.reference


def interleaved(
    reference: Measurement, others: Mapping[str, Measurement], rounds: int, block: int
) -> dict[str, Paired]:
    """Return what each of the others takes, by its name, beside the reference.

    In each round every one of them takes turns with the reference, a block of times. So each finds
    the processor's caches as it leaves them itself, and none is far from the others in time.
    """
    times: dict[str, list[float]] = {name: [] for name in others}
    references: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(rounds):
        for name, measure in others.items():
            for _ in range(block):
                references[name].append(reference())
                times[name].append(measure())
    return {name: Paired(median(times[name]), median(references[name])) for name in others}


@dataclass(frozen=True, slots=True)
class Throughput:
    """How often a task runs."""

    per_second: float
    processors: float
    """How many processors the process had on average; fewer than threads where others need them."""


def throughputs(
    run: Callable[[], object],
    threads: tuple[int, ...],
    rounds: int,
    batch: int,
    clocks: tuple[Clock, Clock] = (perf_counter, process_time),
) -> dict[int, Throughput]:
    """Return how often a task runs in so many threads at once: medians of the rounds.

    In each round every number of threads gets a batch of as many runs, one after the other. The
    clocks tell the time, and the processor time of all threads together.
    """
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in threads}
    for _ in range(rounds):
        for count in threads:
            wall, processor = _elapsed(run, count, batch // count, clocks)
            found[count].append((batch // count * count / wall, processor / wall))
    return {
        count: Throughput(*(median(each) for each in zip(*pairs, strict=True)))
        for count, pairs in found.items()
    }


def _elapsed(
    run: Callable[[], object], threads: int, times: int, clocks: tuple[Clock, Clock]
) -> tuple[float, ...]:
    """Return how far the clocks go while each thread runs a task so many times."""

    def work(_: int) -> None:
        for _ in range(times):
            run()

    with ThreadPoolExecutor(threads) as pool:
        begin = [clock() for clock in clocks]
        list(pool.map(work, range(threads)))
        return tuple(clock() - start for clock, start in zip(clocks, begin, strict=True))
