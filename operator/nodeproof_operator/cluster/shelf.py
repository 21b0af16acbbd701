"""The newest known state of the objects of one kind, whatever order the news comes in.

Events come from a watch and from repeated lists at the same time: an old list may follow a new
event, and the end of an object may be heard of before its last change. resourceVersions put them in
order: they are integers of one counter (Kubernetes 1.35 made that part of the API).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class Entry(Generic[View]):
    """One object as of one resourceVersion."""

    name: str
    uid: str
    version: int
    view: View


class Shelf(Generic[View]):
    """Objects by name. Newer entries replace older ones; what was deleted stays deleted."""

    def __init__(self, content: Callable[[View], object]) -> None:
        """Prepare an empty shelf.

        Args:
            content: What of a view must differ for a newer entry to count as a change.
        """
        self._content = content
        self._entries: dict[str, Entry[View]] = {}
        self._deleted: dict[str, int] = {}
        self._listed_version = 0

    @property
    def views(self) -> dict[str, View]:
        """All objects by name, in a mapping of the caller's own."""
        return {name: entry.view for name, entry in self._entries.items()}

    def get(self, name: str) -> View | None:
        """Return one object, or None."""
        entry = self._entries.get(name)
        return entry.view if entry else None

    def put(self, entry: Entry[View]) -> bool:
        """Keep an entry unless it is old news; tell whether anything that counts changed."""
        known = self._entries.get(entry.name)
        if entry.uid in self._deleted or entry.version <= self._floor(known):
            return False
        self._entries[entry.name] = entry
        return (
            known is None
            or known.uid != entry.uid
            or self._content(known.view) != self._content(entry.view)
        )

    def remove(self, name: str, uid: str, version: int) -> bool:
        """Forget the object that ended at ``version``; tell whether it was known."""
        self._deleted[uid] = version
        known = self._entries.get(name)
        if known is None or (known.version > version and known.uid != uid):
            return False
        del self._entries[name]
        return True

    def replace(
        self, entries: Iterable[Entry[View]], version: int, unread: Collection[str] = ()
    ) -> set[str]:
        """Take in a complete list made at ``version``; return the names that changed.

        Args:
            entries: The objects in the list.
            version: The list's resourceVersion.
            unread: Names in the list whose objects could not be read: they stay as they were.
        """
        listed = {entry.name: entry for entry in entries}
        gone = {
            name
            for name, entry in self._entries.items()
            if name not in listed and name not in unread and entry.version <= version
        }
        for name in gone:
            del self._entries[name]
        changed = {name for name, entry in listed.items() if self.put(entry)}
        self._listed_version = max(self._listed_version, version)
        self._deleted = {uid: at for uid, at in self._deleted.items() if at > version}
        return gone | changed

    def _floor(self, known: Entry[View] | None) -> int:
        # What the last complete list did not hold had ended by then.
        return known.version if known else self._listed_version
