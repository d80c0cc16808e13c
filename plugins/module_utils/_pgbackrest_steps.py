# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a restore of a whole cluster: beside the live one, in its place, and back. Private to this collection."""

from __future__ import annotations

import shutil
import time
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import identify, make_item
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import (
    Backup,
    Lineage,
    PgBackRestError,
    Stanza,
    choose,
    for_server,
    iso,
    parse_target,
)
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_entry import Entry, old_ones
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_exchange import Exchange
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import lineage
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_server import make_directory


class Seen(NamedTuple):
    """What there is before anything is done."""

    entry: Entry | None
    server: dict[str, Any] | None
    stanza: Stanza | None
    old: list[str]  # what is kept and old enough to go


class Steps(Exchange):
    """All that is done for the restore of one cluster, each step after what it would be is in the journal."""

    @cached_property
    def lineage(self) -> Lineage | None:
        """Which timeline the live cluster is on; None where another one is asked for, or nobody can tell."""
        return None if self.params["timeline"] else lineage(self.data)

    def backup(self, stanza: Stanza, target: datetime) -> Backup:
        """Return the backup that a recovery to ``target`` begins with."""
        return choose(stanza, target, now=datetime.now(timezone.utc), lineage=self.lineage)

    def apply(self, steps: list[str], seen: Seen) -> None:
        """Do ``steps``."""
        if "restore" in steps and "drop" in steps:
            self._drop(seen.entry)
        entry = seen.entry
        for step in steps:
            began = time.monotonic()
            if step == "restore":
                entry = self._restore(seen)
            elif step == "flush":
                problem = self.program.flush(timeout_seconds=self.params["archive_timeout_seconds"])
                self.warnings += [problem] if problem else []
            elif step == "drop" and "restore" not in steps:
                self._drop(entry)
            elif step != "drop" and entry is not None:
                getattr(self, f"_{step.replace(' ', '_')}")(entry)
            self.seconds[step] = round(time.monotonic() - began, 2)

    def _restore(self, seen: Seen) -> Entry:
        target = parse_target(self.params["target_time"])
        backup = self.backup(seen.stanza or self.program.info(), target)
        now = datetime.now(timezone.utc)
        item = make_item(self.data, now.strftime("%Y%m%dT%H%M%SZ"))
        kept = seen.entry["kept"] if seen.entry else []
        entry: Entry = {
            "stage": "preparing",
            "target": iso(target),
            "backup": backup.label,
            "begun_at": iso(now),
            "item": item,
            "rows": {},
            "kept": kept,
            "placed": (seen.entry or {}).get("placed"),  # the last one that was put in place
            "recovered_at": (seen.entry or {}).get("recovered_at"),  # when this was last seen to succeed
        }
        self.journal.write(entry)
        make_directory(item["new"], self.params["run_as"])
        try:
            self._run_restore(item["new"], backup, target)
        except PgBackRestError:
            self._drop(entry)
            raise
        reached("pgbackrest_restore:restored")
        return entry

    def _run_restore(self, directory: str, backup: Backup, target: datetime) -> None:
        timeline = self.params["timeline"] or (self.lineage.timeline if self.lineage else "latest")
        self.program(
            "restore",
            f"--pg1-path={directory}",
            f"--set={backup.label}",
            "--type=time",
            f"--target={for_server(target)}",
            "--target-action=pause",
            f"--target-timeline={timeline}",
            f"--process-max={self.params['jobs']}",
            timeout_seconds=self.params["timeout_seconds"],
        )

    def _recover(self, entry: Entry) -> None:
        beside = self.beside(entry)
        beside.start()
        try:
            beside.wait(timeout_seconds=self.params["timeout_seconds"])
        except PgBackRestError:
            beside.drop()
            self.journal.write({**entry, "stage": "reverted"})
            raise
        reached("pgbackrest_restore:recovered")

    def _count(self, entry: Entry) -> None:
        beside = self.beside(entry)
        entry["rows"] = beside.rows(beside.databases())
        entry["item"]["new_id"] = identify(entry["item"]["new"])
        entry["stage"], entry["recovered_at"] = "prepared", iso(datetime.now(timezone.utc).replace(microsecond=0))
        self.journal.write(entry)

    def _drop(self, entry: Entry | None) -> None:
        if entry is None:
            return
        self.beside(entry).drop()
        self.journal.write({**entry, "stage": "reverted"})

    def _finish(self, entry: Entry) -> None:
        entry["stage"] = "finished"
        self.journal.write(entry)

    def _delete(self, entry: Entry) -> None:
        old = old_ones(entry, keep_days=self.params["keep_days"])
        for path in old:
            shutil.rmtree(path)
        self.journal.write({**entry, "kept": [one for one in entry["kept"] if one["path"] not in old]})
