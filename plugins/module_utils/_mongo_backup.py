# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MongoDB database as something that can be backed up. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._mongo_archive import read_archive
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import (
    ANSWER_SECONDS,
    COUNT_SECONDS,
    Place,
    collections,
    count,
    everything,
    hello,
    place_of,
    statistics,
    version_of,
    writes_between,
)
from ansible_collections.runbook.ops.plugins.module_utils._mongo_tools import dump
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._tap import Tap

MARGIN = 1.2  # more than the last backup needed, for the same data


class MongoStore:
    """One database of a server."""

    kind, payload = "mongodb", "dump.archive"

    def __init__(self, name: str, place: Place, *, timeout_seconds: float = 3600) -> None:
        self.name, self._place, self._timeout_seconds = name, place, timeout_seconds
        self._size = 0
        self._without: list[str] = []
        self._told: dict[str, Any] = {}
        self._content: dict[str, Any] = {}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> MongoStore:
        """Return the database that the options of the module name.

        :raises StoreError: Docker does not tell where its container is.
        """
        return cls(options["database"], place_of(options), timeout_seconds=options.get("timeout_seconds") or 3600)

    def look(self, last: Backup | None) -> int:
        with self._place.connected() as server:
            there = everything(server, self.name)
            mine = collections(server, self.name)
            if not mine:
                raise StoreError(
                    f"there is no database {self.name} at {self._place.title}, or it is empty: correct database, or host and port"
                )
            self._without = [one.name for one in there if one not in mine and not one.name.startswith("system.")]
            self._size = int(statistics(server, self.name).get("dataSize") or 0)
            self._told = {"version": version_of(server), "replica_set": hello(server).get("setName")}
        before = last.manifest["content"].get("data_bytes") if last else None
        if last and before:
            return round(last.manifest["size"] * max(1.0, self._size / before) * MARGIN)
        return self._size

    def pieces(self) -> Iterable[bytes]:
        return self._noted()

    def _noted(self) -> Iterator[bytes]:
        first = self._moment()
        tap = Tap(dump(self._place, self.name, self._without, timeout_seconds=self._timeout_seconds), read_archive)
        yield from tap
        self._content = tap.result
        self._told["writes_meanwhile"] = self._writes(first)
        if self._told["writes_meanwhile"] == 0 and (short := self._short()):
            # Counting takes its time: somebody may have written since.
            self._told["writes_meanwhile"] = self._writes(first)
            if self._told["writes_meanwhile"] == 0:
                raise StoreError(
                    f"{short}: back up once more; if that is so again, see what mongodump says, and the server's log"
                )

    def _short(self) -> str:
        """Hold the dump against the server, and return how the documents differ that are there; nothing where they do not."""
        with self._place.connected(self._timeout_seconds) as server:
            for name, one in self._content["collections"].items():
                there = count(server, self.name, name) if one["type"] == "collection" else one["documents"]
                if there != one["documents"]:
                    return f"mongodump wrote {one['documents']} documents of {self.name}.{name}, {there} are there"
        return ""

    def _moment(self) -> Any:
        """Return the place in the oplog; None where there is none."""
        with self._place.connected() as server:
            return ((hello(server).get("lastWrite") or {}).get("opTime") or {}).get("ts")

    def _writes(self, first: Any) -> int | None:
        """Return how many writes came while it was dumped; None where that is not known."""
        try:
            with self._place.connected(ANSWER_SECONDS + COUNT_SECONDS) as server:
                last = ((hello(server).get("lastWrite") or {}).get("opTime") or {}).get("ts")
                return None if first is None or last is None else writes_between(server, self.name, first, last)
        except StoreError:  # it has gone since: the dump is whole, by its own checksums
            return None

    def content(self) -> dict[str, Any]:
        return {
            **self._content,
            "replica_set": self._told.get("replica_set"),
            "writes_meanwhile": self._told.get("writes_meanwhile"),
        }

    def tools(self) -> dict[str, str]:
        return {
            "mongodb": str(self._told.get("version") or "unknown"),
            "mongodump": str(self._content.get("tool_version") or "unknown"),
        }

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        if not content:
            return []
        return [
            f"{name}: {one['documents']} documents, {len(one['indexes'])} indexes"
            for name, one in content["collections"].items()
        ]


def consistency(content: Mapping[str, Any]) -> str:
    """Return in words what moment a backup shows."""
    writes = content.get("writes_meanwhile")
    if writes is None:
        return "how much was written while it was dumped is not known: there is no oplog that we may read, or it is too long"
    if writes == 0:
        return "nothing was written while it was dumped: it shows one moment"
    return f"{writes} writes came while it was dumped: each document is whole, and they are of different moments"
