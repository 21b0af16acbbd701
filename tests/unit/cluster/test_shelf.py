from __future__ import annotations

from nodeproof_operator.cluster.shelf import Entry, Shelf


def shelf(*entries: Entry[str]) -> Shelf[str]:
    filled: Shelf[str] = Shelf(str)
    for entry in entries:
        filled.put(entry)
    return filled


def entry(version: int, view: str = "", *, name: str = "a", uid: str = "1") -> Entry[str]:
    return Entry(name, uid, version, view or f"at {version}")


def test_replaces_an_object_by_its_newer_state() -> None:
    filled = shelf(entry(5))
    assert filled.put(entry(6))
    assert filled.get("a") == "at 6"


def test_ignores_an_older_state() -> None:
    filled = shelf(entry(5))
    assert not filled.put(entry(4))
    assert filled.get("a") == "at 5"


def test_compares_versions_as_numbers() -> None:
    filled = shelf(entry(9))
    filled.put(entry(10))
    assert filled.get("a") == "at 10"


def test_tells_of_no_change_when_only_the_version_is_new() -> None:
    filled = shelf(entry(5, "same"))
    assert not filled.put(entry(6, "same"))


def test_tells_of_a_change_when_only_the_uid_is_new() -> None:
    filled = shelf(entry(5, "same"))
    assert filled.put(entry(6, "same", uid="2"))


def test_ignores_news_of_an_object_that_has_ended() -> None:
    filled = shelf(entry(5))
    assert filled.remove("a", "1", 7)
    assert not filled.put(entry(6))
    assert filled.get("a") is None


def test_ignores_news_of_an_object_whose_end_came_first() -> None:
    filled = shelf()
    assert not filled.remove("a", "1", 7)
    assert not filled.put(entry(6))


def test_keeps_the_successor_when_the_end_of_its_predecessor_comes_late() -> None:
    filled = shelf(entry(8, uid="2"))
    assert not filled.remove("a", "1", 7)
    assert filled.get("a") == "at 8"


def test_takes_a_successor_of_the_same_name() -> None:
    filled = shelf(entry(5))
    filled.remove("a", "1", 7)
    assert filled.put(entry(8, uid="2"))


def test_drops_what_a_complete_list_does_not_hold() -> None:
    filled = shelf(entry(5), entry(6, name="b"))
    assert filled.replace([entry(5)], 10) == {"b"}
    assert set(filled.views) == {"a"}


def test_keeps_what_is_newer_than_a_complete_list() -> None:
    filled = shelf(entry(11))
    assert filled.replace([], 10) == set()
    assert filled.get("a") == "at 11"


def test_keeps_what_a_complete_list_holds_in_an_unreadable_state() -> None:
    filled = shelf(entry(5))
    assert filled.replace([], 10, unread={"a"}) == set()
    assert filled.get("a") == "at 5"


def test_takes_no_older_state_from_a_list() -> None:
    filled = shelf(entry(9))
    assert filled.replace([entry(7)], 8) == set()
    assert filled.get("a") == "at 9"


def test_takes_nothing_from_a_list_that_has_ended_since() -> None:
    filled = shelf(entry(5))
    filled.remove("a", "1", 9)
    assert filled.replace([entry(5)], 8) == set()
    assert not filled.views


def test_ignores_late_news_of_what_a_complete_list_did_not_hold() -> None:
    filled = shelf(entry(5))
    filled.replace([], 10)
    assert not filled.put(entry(6))
    assert not filled.views


def test_forgets_ends_that_a_complete_list_has_seen() -> None:
    filled = shelf(entry(5))
    filled.remove("a", "1", 7)
    filled.replace([], 10)
    assert not filled._deleted
