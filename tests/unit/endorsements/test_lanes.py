from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.sevsnp.kds import CollateralName, VCEKName
from nodeproof_operator.endorsements.lanes import (
    MAX_NODES,
    MAX_UNASKED,
    Demand,
    Lanes,
    Turn,
)
from unit.endorsements.kds_standins import MILAN_CHAIN, MILAN_CRL, chip

NOW = 1000.0


def newcomer(uid: str) -> Demand:
    return Demand(uid, None)


def attested(uid: str, minutes: float) -> Demand:
    """Return a node whose live result ends in so many minutes."""
    return Demand(uid, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


@pytest.fixture
def lanes() -> Lanes:
    return Lanes()


def serve(lanes: Lanes, now: float = NOW, *, most: int = 10_000) -> list[CollateralName]:
    """Let turns be taken and return what for."""
    served: list[CollateralName] = []
    while len(served) < most and (turn := lanes.next(now)):
        served.append(turn.name)
        lanes.finish(turn)
    return served


def test_an_empty_line_has_no_next(lanes: Lanes) -> None:
    assert lanes.next(NOW) is None
    assert len(lanes) == 0


def test_what_all_need_goes_first(lanes: Lanes) -> None:
    lanes.add(chip(1), attested("a", 1))
    lanes.add(MILAN_CRL, None)
    lanes.add(MILAN_CHAIN, newcomer("b"))
    assert serve(lanes) == [MILAN_CRL, MILAN_CHAIN, chip(1)]


def test_the_result_that_ends_first_goes_first(lanes: Lanes) -> None:
    for number, minutes in enumerate((5, 1, 3)):
        lanes.add(chip(number), attested(str(number), minutes))
    assert serve(lanes) == [chip(1), chip(2), chip(0)]


def test_newcomers_go_in_order_of_arrival(lanes: Lanes) -> None:
    for number in (3, 1, 2):
        lanes.add(chip(number), newcomer(str(number)))
    assert serve(lanes) == [chip(3), chip(1), chip(2)]


def test_what_nobody_waits_for_goes_last(lanes: Lanes) -> None:
    lanes.add(chip(1), None)
    lanes.add(chip(2), newcomer("a"))
    lanes.add(chip(3), attested("b", 1))
    assert serve(lanes) == [chip(3), chip(2), chip(1)]


def test_every_fourth_turn_is_a_newcomers(lanes: Lanes) -> None:
    for number in range(9):
        lanes.add(chip(number), attested(f"result {number}", number))
    for number in range(100, 103):
        lanes.add(chip(number), newcomer(f"newcomer {number}"))
    assert serve(lanes) == [
        *map(chip, (0, 1, 2, 100)),
        *map(chip, (3, 4, 5, 101)),
        *map(chip, (6, 7, 8, 102)),
    ]


def test_a_name_is_asked_for_once_however_many_wait(lanes: Lanes) -> None:
    for number in range(100):
        lanes.add(chip(1), newcomer(str(number)))
    lanes.add(chip(1), None)
    assert len(lanes) == 1
    assert serve(lanes) == [chip(1)]


def test_a_name_goes_with_the_most_urgent_who_waits_for_it(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    lanes.add(chip(2), newcomer("b"))
    lanes.add(chip(2), attested("c", 1))
    assert serve(lanes) == [chip(2), chip(1)]


def test_a_newer_wish_takes_the_place_of_the_older(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    lanes.add(chip(2), newcomer("b"))
    lanes.add(chip(3), newcomer("a"))
    assert serve(lanes) == [chip(3), chip(2)]


def test_an_older_wish_that_others_share_stays(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    lanes.add(chip(1), newcomer("b"))
    lanes.add(chip(3), newcomer("a"))
    assert serve(lanes) == [chip(3), chip(1)]


def test_asking_again_keeps_the_place(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    lanes.add(chip(2), newcomer("b"))
    lanes.add(chip(1), newcomer("a"))
    assert serve(lanes) == [chip(1), chip(2)]


def test_who_waited_until_its_result_ended_is_no_newcomer(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    lanes.add(chip(2), attested("b", 1))
    lanes.add(chip(2), newcomer("b"))
    assert serve(lanes) == [chip(2), chip(1)]


def test_a_node_has_one_turn_and_then_stands_in_the_line_anew(lanes: Lanes) -> None:
    served: list[CollateralName] = []
    lanes.add(chip(1000), newcomer("greedy"))
    for number in range(5):
        lanes.add(chip(number), newcomer(str(number)))
    while len(served) < 7:
        served += serve(lanes, most=1)
        lanes.add(chip(1000 + len(served)), newcomer("greedy"))
    assert [name for name in served if name in {chip(number) for number in range(5)}] == [
        chip(number) for number in range(5)
    ]
    assert served[1:6] == [chip(number) for number in range(5)]


def test_a_wish_made_during_ones_turn_goes_to_the_end(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    lanes.add(chip(2), newcomer("b"))
    turn = lanes.next(NOW)
    assert turn is not None
    lanes.add(chip(3), newcomer("a"))
    lanes.finish(turn, NOW + 30)
    assert serve(lanes) == [chip(2)]
    assert serve(lanes, NOW + 30) == [chip(3)]


def test_a_turn_that_is_not_finished_is_not_lost(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    assert lanes.next(NOW) == lanes.next(NOW) == Turn(chip(1), "a")


def test_others_go_before_a_delayed_turn(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    lanes.add(chip(2), newcomer("b"))
    lanes.delay(Turn(chip(1), "a"), NOW + 60)
    assert serve(lanes, NOW + 59) == [chip(2)]
    assert serve(lanes, NOW + 60) == [chip(1)]


@pytest.mark.parametrize("name", [MILAN_CRL, chip(1)])
def test_what_no_node_stands_for_can_be_delayed_too(lanes: Lanes, name: CollateralName) -> None:
    lanes.add(name, None)
    lanes.delay(Turn(name, name), NOW + 60)
    assert serve(lanes, NOW + 59) == []
    assert serve(lanes, NOW + 60) == [name]


def test_a_node_gets_no_turn_before_its_time_whatever_it_wishes(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"), NOW + 60)
    lanes.add(chip(2), newcomer("a"))
    assert serve(lanes, NOW + 59) == []
    assert serve(lanes, NOW + 60) == [chip(2)]


def test_a_shared_name_does_not_wait_for_one_who_must(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"), NOW + 60)
    lanes.add(chip(1), newcomer("b"))
    assert serve(lanes) == [chip(1)]


def test_nodes_beyond_the_limit_are_not_let_in(lanes: Lanes) -> None:
    assert all(lanes.add(chip(n), newcomer(str(n))) for n in range(MAX_NODES))
    assert not lanes.add(chip(MAX_NODES), newcomer("one more"))
    assert lanes.add(chip(MAX_NODES), newcomer("0"))
    assert len(lanes) == MAX_NODES


def test_what_nobody_waits_for_is_limited(lanes: Lanes) -> None:
    assert all(lanes.add(chip(n), None) for n in range(MAX_UNASKED))
    assert not lanes.add(chip(MAX_UNASKED), None)


def test_tells_how_many_go_before(lanes: Lanes) -> None:
    lanes.add(MILAN_CHAIN, None)
    lanes.add(MILAN_CRL, None)
    for number in range(6):
        lanes.add(chip(number), newcomer(str(number)))
    for number in range(100, 105):
        lanes.add(chip(number), attested(str(number), number))
    lanes.add(chip(200), None)
    lanes.add(chip(201), None)
    wishes: list[tuple[CollateralName, Demand | None]] = [
        (MILAN_CHAIN, None),
        (MILAN_CRL, None),
        *((chip(number), newcomer(str(number))) for number in range(6)),
        *((chip(number), attested(str(number), number)) for number in range(100, 105)),
        (chip(200), None),
        (chip(201), None),
    ]
    told = {name: lanes.ahead(name, demand) for name, demand in wishes}
    served = serve(lanes)
    assert told == {name: served.index(name) for name, _ in wishes}


def test_one_who_is_not_let_in_stands_behind_all(lanes: Lanes) -> None:
    lanes.add(chip(1), newcomer("a"))
    assert lanes.ahead(chip(2), newcomer("b")) == 1


UIDS = st.sampled_from("abcdef")
NAMES = st.one_of(st.sampled_from([MILAN_CHAIN, MILAN_CRL]), st.integers(0, 5).map(chip))
DEMANDS = st.one_of(
    st.none(), UIDS.map(newcomer), st.builds(attested, UIDS, st.integers(0, 9).map(float))
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), NAMES, DEMANDS),
        st.just(("serve", None, None)),
        st.just(("fail", None, None)),
    ),
    max_size=60,
)


class Model:
    """Who should be waiting for what, told without any order."""

    def __init__(self) -> None:
        self.nodes: dict[str, CollateralName] = {}
        self.unowned: set[CollateralName] = set()

    def add(self, name: CollateralName, demand: Demand | None) -> None:
        if demand is None or not isinstance(name, VCEKName):
            self.unowned.add(name)
        else:
            self.nodes[demand.node_uid] = name

    def finish(self, name: CollateralName) -> None:
        self.unowned.discard(name)
        self.nodes = {uid: wish for uid, wish in self.nodes.items() if wish != name}

    @property
    def waiting(self) -> set[CollateralName]:
        return self.unowned | set(self.nodes.values())


@given(steps=STEPS)
def test_nothing_is_lost_and_nothing_comes_twice(
    steps: list[tuple[str, CollateralName, Demand | None]],
) -> None:
    lanes, model = Lanes(), Model()
    for step, name, demand in steps:
        if step == "add":
            assert lanes.add(name, demand)
            model.add(name, demand)
        elif turn := lanes.next(NOW):
            assert turn.name in model.waiting
            if step == "serve":
                lanes.finish(turn)
                model.finish(turn.name)
            else:
                lanes.delay(turn, NOW + 60)
        assert len(lanes) == len(model.waiting)
    left = serve(lanes, NOW + 60)
    assert len(left) == len(set(left))
    assert set(left) == model.waiting
    assert len(lanes) == 0


@given(steps=STEPS)
def test_nobody_who_may_go_is_kept_waiting(
    steps: list[tuple[str, CollateralName, Demand | None]],
) -> None:
    lanes = Lanes()
    for step, name, demand in steps:
        if step == "add":
            lanes.add(name, demand)
    while len(lanes):
        turn = lanes.next(NOW)
        assert turn is not None
        lanes.finish(turn)


@given(results=st.integers(0, 60), newcomers=st.integers(0, 20))
def test_newcomers_get_a_fair_share_and_no_more(results: int, newcomers: int) -> None:
    lanes = Lanes()
    for number in range(results):
        lanes.add(chip(number), attested(f"result {number}", number))
    for number in range(1000, 1000 + newcomers):
        lanes.add(chip(number), newcomer(f"newcomer {number}"))
    new = {chip(number) for number in range(1000, 1000 + newcomers)}
    served = serve(lanes)
    contested = served[: 4 * min(results // 3, newcomers)]
    assert sum(name in new for name in contested) == len(contested) // 4
