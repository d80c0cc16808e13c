# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clusters exchange their names: the recovered one takes the place of the live one, and gives it back. Private to this collection."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._engine_file import File
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import write
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import go_back, identify, put_in_place
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import Journal
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import iso, promoted
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_entry import UNDER_WAY, Entry, kept_with
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import PgBackRest
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_server import Beside, Live, stop


class Exchange:
    """The live cluster, the one beside it, and the journal that says which is which."""

    def __init__(self, program: PgBackRest, params: Mapping[str, Any]) -> None:
        self.program, self.params = program, params
        self.data = params["data_directory"].rstrip("/")
        self.journal = Journal(Path(params["journal_directory"]), params["stanza"], "point-in-time")
        self.live = Live(self.data, params["unit"], params)
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def beside(self, entry: Entry) -> Beside:
        return Beside(entry["item"]["new"], self.params)

    def _exchange(self, entry: Entry) -> None:
        item = entry["item"]
        if entry["stage"] == "prepared":
            item["old_id"] = identify(item["live"])
            entry["stage"], entry["swapped_at"] = "swapping", iso(datetime.now(timezone.utc).replace(microsecond=0))
            self.journal.write(entry)
        if identify(item["new"]) == item["new_id"]:
            self._let_go_on(item["new"])
        self.live.stop()
        reached("pgbackrest_restore:stopped")
        put_in_place(item)
        reached("pgbackrest_restore:exchanged")

    def _let_go_on(self, directory: str) -> None:
        """Stop the server beside, and write that it goes on from its moment when it is started in its place."""
        beside = Beside(directory, self.params)
        stop(directory)
        path = Path(directory) / "postgresql.auto.conf"
        text = promoted(path.read_text(encoding="utf-8"), directory)
        found = path.stat()
        write(path, File(text.encode(), found.st_mode & 0o777), owner=(found.st_uid, found.st_gid))
        shutil.rmtree(beside.run, ignore_errors=True)

    def _start(self, entry: Entry) -> None:
        self.live.start(timeout_seconds=self.params["start_timeout_seconds"])
        item = entry["item"]
        reached("pgbackrest_restore:started")
        placed = {"target": entry["target"], "item": item}
        self.journal.write({**entry, "stage": "swapped", "placed": placed, "kept": kept_with(entry, item["before"])})

    def _back(self, entry: Entry) -> None:
        if entry["stage"] not in UNDER_WAY:  # others were recovered beside since
            entry.update(entry["placed"])
        entry["stage"] = "reverting"
        self.journal.write(entry)
        stop(entry["item"]["new"])
        self.live.stop()
        reached("pgbackrest_restore:stopped to go back")
        go_back(entry["item"])

    def _start_the_old_one(self, entry: Entry) -> None:
        item, placed = entry["item"], entry.get("placed")
        if identify(item["live"]) is not None:  # there may have been none before
            self.live.start(timeout_seconds=self.params["start_timeout_seconds"])
        shutil.rmtree(self.beside(entry).run, ignore_errors=True)
        if placed and placed["item"]["new"] == item["new"]:
            placed = None
        kept = kept_with(entry, item["failed"])
        self.journal.write({**entry, "stage": "reverted", "placed": placed, "kept": kept})
