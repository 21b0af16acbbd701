"""Proof that no Node lost its label, not even for a moment: every change is seen, by a watch."""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Self
from uuid import uuid4

import urllib3

from nodeproof_dev import objects
from nodeproof_dev.api import Api, Object

_MARK = "test.nodeproof.dev/end-of-watch"
_SECONDS = 600.0


class LabelWatch:
    """Sees every version of every Node while the block runs.

    Attributes:
        lost: The nodes that lost the label, in order, once each time.
        changes: How many changes of Nodes were seen.
    """

    def __init__(self, admin: Api) -> None:
        self.lost: list[str] = []
        self.changes = 0
        self._admin = admin
        self._end = uuid4().hex
        self._labelled: set[str] = set()
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._version = ""

    def __enter__(self) -> Self:
        listed = self._admin.get(objects.NODES)
        self._version = listed["metadata"]["resourceVersion"]
        for node in listed["items"]:
            self._see(node)
        self._marked = listed["items"][0]["metadata"]["name"]
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # All Nodes are one sequence: who sees this change has seen all before it.
        mark = {"metadata": {"annotations": {_MARK: self._end}}}
        self._admin.merge_patch(objects.node(self._marked), mark)
        self._thread.join(timeout=30)
        if error is None and (self._trouble or self._thread.is_alive()):
            raise AssertionError(f"the watch did not see the end: {self._trouble}")

    def _run(self) -> None:
        try:
            self._read()
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
            self._trouble = error

    def _read(self) -> None:
        connection = self._admin.connection
        with urllib3.PoolManager(ssl_context=connection.ssl_context()) as pool:
            answer = pool.request(
                "GET",
                f"{connection.server}{objects.NODES}?watch=true&resourceVersion={self._version}",
                headers=dict(connection.headers()),
                preload_content=False,
                timeout=urllib3.Timeout(connect=5.0, read=_SECONDS),
            )
            try:
                for line in answer:
                    if self._is_end(json.loads(line)):
                        return
            finally:
                answer.close()
        raise ValueError("the API server ended the watch")

    def _is_end(self, event: Object) -> bool:
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            raise ValueError(f"the watch failed: {event}")
        node = event["object"]
        self.changes += 1
        self._see(node)
        return bool(node["metadata"].get("annotations", {}).get(_MARK) == self._end)

    def _see(self, node: Object) -> None:
        name = node["metadata"]["name"]
        if objects.has_label(node):
            self._labelled.add(name)
        elif name in self._labelled:
            self._labelled.discard(name)
            self.lost.append(name)
