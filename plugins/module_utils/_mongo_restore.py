# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MongoDB database as something that can be restored. Private to this collection.

What is restored gets names beside the live ones in the same database: only within one does a rename copy nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._mongo_archive import expires, is_as_many
from ansible_collections.runbook.ops.plugins.module_utils._mongo_backup import consistency
from ansible_collections.runbook.ops.plugins.module_utils._mongo_names import Names
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import (
    Collection,
    collections,
    count,
    estimate,
    hello,
    index_names,
    place_of,
    refuse_secondary,
    statistics,
)
from ansible_collections.runbook.ops.plugins.module_utils._mongo_tools import load
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import make_item
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

LONGEST = 255  # bytes of a namespace
ROOM = 1.5  # what is restored may need, for each byte of its documents
PLAIN = "collection"


class MongoRestore:
    """One database."""

    kind = "mongodb"

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Prepare to reach it.

        :raises StoreError: Docker does not tell where its container is.
        """
        self.name, self._params = params["database"], params
        self._place = place_of(params)
        self.names = Names(self._place)

    def asked(self) -> dict[str, Any]:
        return {}

    def plan(self, backup: Backup, stamp: str) -> dict[str, Any]:
        saved_as, expected = backup.manifest.get("database"), self._params["from_database"] or self.name
        if saved_as != expected:
            raise StoreError(
                f"{backup.path} is a backup of the database {saved_as}, not of {expected}: take another, or set from_database to {saved_as}"
            )
        content = backup.manifest["content"]
        saved = {name: one for name, one in content["collections"].items() if one["type"] == PLAIN}
        left = self._left_out(content)
        with self._place.connected() as server:
            refuse_secondary(hello(server), self._place, "restore")
            there = collections(server, self.name)
            live = [one.name for one in there if one.kind == PLAIN]
            counts = {name: estimate(server, self.name, name) for name in live}
            self._refuse_full(statistics(server, self.name), content["data_bytes"])
        self._refuse_others([one for one in there if one.kind != PLAIN and one.name in saved])
        items = [make_item(f"{self.name}.{name}", stamp) for name in sorted({*saved, *live})]
        longest = max((item["new"] for item in items), key=lambda name: len(name.encode()), default="")
        if len(longest.encode()) > LONGEST:
            raise StoreError(f"{longest} is longer than the {LONGEST} bytes that a name may have: restore it by hand")
        gone = sorted(set(live) - set(saved))
        brief = sorted(name for name, one in saved.items() if expires(one))
        lines = [
            f"target       database {self.name} at {self._place.title}, which goes on running",
            f"documents    {content['documents']} in {len(saved)} collections were saved, about {sum(counts.values())} in {len(live)} are there now",
            f"moment       {consistency(content)}",
            f"replaces     {', '.join(sorted(set(live) & set(saved))) or 'nothing'}; each kept as <collection>.before-{stamp}",
            *([f"puts away    {', '.join(gone)}: there now, and not when it was saved"] if gone else []),
            *([f"left out     {', '.join(left)}: a view stays as it is"] if left else []),
            *(
                [f"expires      {', '.join(brief)}: what has expired since is deleted by the server (TTL)"]
                if brief
                else []
            ),
            "exchange     collection by collection, each at once: who reads meanwhile could see old and new side by side",
            *([f"saved as     {saved_as}, this is {self.name}"] if saved_as != self.name else []),
        ]
        return {"items": items, "lines": lines, "stamp": stamp, "left": left}

    def _left_out(self, content: Mapping[str, Any]) -> list[str]:
        """Return the views that were saved.

        :raises StoreError: there is something that cannot be renamed.
        """
        series = [name for name, one in content["collections"].items() if one["type"] == "timeseries"]
        if series:
            raise StoreError(
                f"{series[0]} is a time series, which a server cannot rename: restore this backup with mongorestore into an empty database"
            )
        return sorted(name for name, one in content["collections"].items() if one["type"] != PLAIN)

    def _refuse_others(self, in_the_way: Sequence[Collection]) -> None:
        if in_the_way:
            one = in_the_way[0]
            raise StoreError(
                f"{self.name}.{one.name} was a collection when it was saved and is a {one.kind} now, which a server cannot rename: drop it, "
                "then restore"
            )

    def _refuse_full(self, disk: Mapping[str, Any], size: int) -> None:
        total = int(disk.get("fsTotalSize") or 0)
        free = total * (1 - self._params["min_free_percent"] / 100) - int(disk.get("fsUsedSize") or 0)
        if total and free < size * ROOM:
            raise StoreError(
                f"no room on the server's disk: it may need {human_size(round(size * ROOM))}, {human_size(round(max(free, 0)))} can be had; "
                "make room, or lower min_free_percent"
            )

    def prepare(self, backup: Backup, entry: Mapping[str, Any]) -> None:
        saved_as = backup.manifest["database"]
        names = (f"{saved_as}.$c$", f"{self.name}.$c$.restored-{entry['stamp']}")
        load(
            backup,
            self._place,
            names,
            [f"{saved_as}.{view}" for view in entry["left"]],
            identity=self._params["identity"],
            timeout_seconds=self._params["timeout_seconds"],
        )
        reached("mongodb_restore:loaded")
        self._compare(backup, f".restored-{entry['stamp']}")

    def _compare(self, backup: Backup, suffix: str) -> None:
        """Hold what was restored against the manifest.

        :raises StoreError: it is not what was saved.
        """
        saved = {name: one for name, one in backup.manifest["content"]["collections"].items() if one["type"] == PLAIN}
        wrong = []
        with self._place.connected(self._params["timeout_seconds"]) as server:
            for name, one in saved.items():
                found = count(server, self.name, f"{name}{suffix}")
                if not is_as_many(one, found):
                    wrong.append(f"{name} has {found} documents instead of {one['documents']}")
                elif index_names(server, self.name, f"{name}{suffix}") != sorted(one["indexes"]):
                    wrong.append(f"{name} has other indexes than were saved")
        if wrong:
            raise StoreError(f"what was restored is not what was saved: {'; '.join(wrong)}; nothing was replaced")

    def close(self, _entry: Mapping[str, Any]) -> None:
        """Do nothing: the server goes on running, only who uses it is stopped."""

    def open(self, entry: Mapping[str, Any], *, restored: bool) -> None:
        """See that each live name leads to what was restored.

        Its documents were counted before. Now somebody who could not be stopped may write to it, and every second is downtime.

        :raises StoreError: one does not.
        """
        for item in entry["items"] if restored else []:
            if item["new_id"] and self.names.identify(item["live"]) != item["new_id"]:
                raise StoreError(f"{item['live']} is not what was restored: somebody has made it anew or dropped it")
