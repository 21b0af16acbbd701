"""The benchmark's arithmetic, on a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from timing import Throughput, interleaved, throughputs, timed


class Clock:
    """Seconds that pass only in ``lasting``."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def lasting(self, *seconds: float) -> Callable[[], None]:
        """Return a task that takes so long the first, the second, … time."""
        left: Iterator[float] = iter(seconds)

        def run() -> None:
            self.now += next(left)

        return run


def test_times_in_microseconds() -> None:
    clock = Clock()
    assert timed(clock.lasting(0.25), clock=clock)() == 250_000


def test_preparations_do_not_count() -> None:
    clock = Clock()
    measure = timed(clock.lasting(0.5), prepare=clock.lasting(7), clock=clock)
    assert measure() == 500_000


def test_medians_of_all_rounds() -> None:
    clock = Clock()
    task = timed(clock.lasting(1, 9, 2, 3), clock=clock)
    found = interleaved(lambda: 1_000_000, {"task": task}, rounds=2, block=2)["task"]
    assert (found.time, found.reference, found.ratio) == (2_500_000, 1_000_000, 2.5)


def test_each_task_takes_turns_with_the_reference() -> None:
    order: list[str] = []

    def measurement(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return 1

        return measure

    tasks = {name: measurement(name) for name in ("a", "b")}
    interleaved(measurement("bare"), tasks, rounds=2, block=2)
    assert order == ["bare", "a", "bare", "a", "bare", "b", "bare", "b"] * 2


def test_throughput_is_the_batch_over_its_time() -> None:
    seconds, processor = count(step=2), count(step=3)
    clocks = (lambda: float(next(seconds)), lambda: float(next(processor)))
    found = throughputs(lambda: None, (1, 2), rounds=3, batch=8, clocks=clocks)
    assert found == dict.fromkeys((1, 2), Throughput(per_second=4.0, processors=1.5))


def test_every_number_of_threads_runs_every_batch() -> None:
    ran: list[None] = []
    throughputs(lambda: ran.append(None), (1, 2), rounds=3, batch=8)
    assert len(ran) == 2 * 3 * 8
