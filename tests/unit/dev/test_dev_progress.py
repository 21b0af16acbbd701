from __future__ import annotations

import io

from rich.console import Console

from nodeproof_dev.progress import BarMeter, LineMeter, estimate, meter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_no_estimate_while_it_is_too_early() -> None:
    assert not estimate(30, 1, 1000)
    assert not estimate(30, 0, 0)


def test_the_rest_takes_as_long_as_the_first_half() -> None:
    assert estimate(90, 50, 100) == "about 1 min 30 s left"
    assert estimate(20, 50, 100) == "about 20 s left"


def test_lines_come_at_most_every_fifteen_seconds() -> None:
    lines: list[str] = []
    clock = Clock()
    with LineMeter(lines.append, clock) as shown:
        for clock.now in (0, 5, 14, 15, 29):
            shown.show("compiling", 50, 100)
    assert lines == [
        "compiling (0 s, 50 of 100, about 0 s left)",
        "compiling (15 s, 50 of 100, about 15 s left)",
    ]


def test_a_new_stage_is_told_at_once() -> None:
    lines: list[str] = []
    with LineMeter(lines.append, Clock()) as shown:
        shown.show("downloading", 0, 0)
        shown.show("compiling", 0, 10)
    assert [line.split()[0] for line in lines] == ["downloading", "compiling"]


def test_a_terminal_gets_a_bar_and_a_file_gets_lines() -> None:
    assert isinstance(meter(Console(force_terminal=True, file=io.StringIO())), BarMeter)
    assert isinstance(meter(Console(force_terminal=False, file=io.StringIO())), LineMeter)


def test_the_bar_shows_stage_and_count() -> None:
    screen = io.StringIO()
    with BarMeter(Console(force_terminal=True, file=screen, width=100), Clock()) as shown:
        shown.show("compiling", 50, 100)
    assert "compiling" in screen.getvalue()
    assert "50/100" in screen.getvalue()
