# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole cluster brought back to a moment: recovered beside the live one, looked at, put in place by names alone. Private to this collection."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._engine_file import File
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import write
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import go_back, identify, make_item, put_in_place
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import Journal
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import (
    Backup,
    Lineage,
    PgBackRestError,
    Stanza,
    choose,
    for_server,
    iso,
    parse_target,
    promoted,
    usable,
)
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import PgBackRest, lineage, tablespaces
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_segments import gaps, needed_gap
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_server import (
    Beside,
    Live,
    live_rows,
    make_directory,
    postmaster,
    stop,
)
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

OPEN = ("preparing", "prepared", "swapping", "swapped")
UNDER_WAY = ("swapping", "swapped", "reverting")

Entry = dict[str, Any]


class Seen(NamedTuple):
    """What there is before anything is done."""

    entry: Entry | None
    server: dict[str, Any] | None
    stanza: Stanza | None
    old: list[str]  # what is kept and old enough to go


class Restore:
    """The restore of one cluster."""

    def __init__(self, program: PgBackRest, params: Mapping[str, Any]) -> None:
        self.program, self.params = program, params
        self.data = params["data_directory"].rstrip("/")
        self.journal = Journal(Path(params["journal_directory"]), params["stanza"], "point-in-time")
        self.live = Live(self.data, params["unit"], params)
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def observe(self) -> Seen:
        """Return what there is."""
        entry, state = self.journal.read(), self.params["state"]
        stanza = self.program.info() if state == "prepared" else None
        return Seen(entry, self.program.server(), stanza, self._old(entry) if state == "pruned" else [])

    def plan(self, seen: Seen) -> list[str]:
        """Return the steps to the wanted state, keys of :data:`_pgbackrest_words.STEPS`.

        :raises PgBackRestError: it must not be done.
        """
        stage = seen.entry["stage"] if seen.entry else "none"
        if self.params["state"] == "prepared":
            return self._plan_prepared(seen, stage)
        if self.params["state"] == "swapped":
            if stage in ("none", "preparing", "reverted", "finished"):
                raise PgBackRestError(
                    f"nothing is recovered beside the cluster {self.program.stanza}: state prepared comes first"
                )
            return ["exchange", "start"] if stage in ("prepared", "swapping") else []
        drop = ["drop"] if stage in ("preparing", "prepared") else []
        if self.params["state"] == "dropped":
            return drop  # never what was put in place
        if self.params["state"] == "reverted":
            back = stage in UNDER_WAY or self._can_go_back(seen.entry)
            return [*drop, *(["back", "start the old one"] if back else [])]
        if stage in ("swapping", "reverting"):
            raise PgBackRestError(self._open_words(seen.entry or {}))
        finish = {"swapped": ["finish"], "preparing": ["drop"], "prepared": ["drop"]}.get(stage, [])
        return [*finish, *(["delete"] if seen.old else [])]

    def _plan_prepared(self, seen: Seen, stage: str) -> list[str]:
        target = parse_target(self.params["target_time"])
        entry = seen.entry or {}
        if self._is_further(entry, target):
            return []
        if stage in UNDER_WAY:
            raise PgBackRestError(self._open_words(entry))
        if (
            stage == "prepared"
            and entry["target"] == iso(target)
            and identify(entry["item"]["new"]) == entry["item"]["new_id"]
        ):
            return [] if postmaster(entry["item"]["new"]) else ["recover"]  # the host was started again meanwhile
        self._refuse(seen, target)
        return [
            *(["drop"] if stage in OPEN else []),
            *(["flush"] if self._writes(seen) else []),
            "restore",
            "recover",
            "count",
        ]

    def _is_further(self, entry: Mapping[str, Any], target: datetime) -> bool:
        """Return whether what was recovered to ``target`` is being put in place already."""
        return entry.get("stage") in ("swapping", "swapped") and entry["target"] == iso(target)

    def _open_words(self, entry: Mapping[str, Any]) -> str:
        """Return what is to be done first; the words in brackets are those of the role point_in_time."""
        back = "state reverted (-e point_in_time_state=reverted)"
        if entry["stage"] == "reverting":
            return f"going back from the restore to {entry['target']} was interrupted: end it with {back}"
        if entry["stage"] == "swapping":
            again = f"state swapped (point_in_time_state=restored with the same moment, {entry['target']})"
            return f"the exchange was interrupted: finish it with {again}, or go back with {back}"
        finish = "state pruned (-e point_in_time_state=finished)"
        return f"the restore to {entry['target']} is in place and not finished: finish it with {finish}, or go back with {back}"

    def in_place(self, entry: Mapping[str, Any] | None) -> str | None:
        """Return the moment that the live cluster was brought back to; None where it was not, or where that is not finished."""
        placed = (entry or {}).get("placed")
        if not entry or not placed or entry["stage"] in UNDER_WAY:
            return None
        live = identify(placed["item"]["live"])
        return str(placed["target"]) if live is not None and live == placed["item"]["new_id"] else None

    def _can_go_back(self, entry: Entry | None) -> bool:
        """Return whether what was live before the last restore that was put in place is still kept."""
        if not entry or self.in_place(entry) is None:
            return False
        before = identify(entry["placed"]["item"]["before"])
        return before is not None and before == entry["placed"]["item"]["old_id"]

    def _refuse(self, seen: Seen, target: datetime) -> None:
        """Look for all that would make it fail half way.

        :raises PgBackRestError: there is something.
        """
        stanza = seen.stanza or self.program.info()
        backup = self.backup(stanza, target)
        if seen.server and seen.server["system_identifier"] != stanza.system_identifier:
            raise PgBackRestError(
                f"the stanza {stanza.name} is of another cluster (system {stanza.system_identifier}) than the one that runs "
                f"({seen.server['system_identifier']}): correct stanza, port or socket"
            )
        if seen.server and os.path.realpath(seen.server["data_directory"]) != os.path.realpath(self.data):
            raise PgBackRestError(
                f"the server that answers works in {seen.server['data_directory']}, not in {self.data}: correct data_directory or port"
            )
        spaces = tablespaces(self.data) if Path(self.data).is_dir() else []
        if spaces:
            raise PgBackRestError(
                f"the cluster has tablespaces ({', '.join(spaces)}), which are not restored beside: use pgbackrest by hand"
            )
        if os.path.ismount(self.data) or Path(self.data).is_symlink():
            raise PgBackRestError(
                f"{self.data} is a disk of its own, or a link, and cannot be renamed: use pgbackrest by hand"
            )
        missing = needed_gap(
            gaps(self.program.segments(stanza), after=backup.wal_start, **self._segment_size(seen)),
            target,
            lineage=self.lineage,
        )
        if missing:
            raise PgBackRestError(
                f"{missing} is missing in the archive: the cluster can be recovered to {iso(backup.stopped_at)}, the end of "
                f"the backup {backup.label}, and a little further, but not to {iso(target)}"
            )
        self._refuse_small_disk(backup)

    def _segment_size(self, seen: Seen) -> dict[str, int]:
        return {"segment_bytes": seen.server["segment_bytes"]} if seen.server else {}

    def _refuse_small_disk(self, backup: Backup) -> None:
        try:
            disk = shutil.disk_usage(os.path.dirname(self.data))  # noqa: PTH120
        except OSError as exc:
            raise PgBackRestError(f"{self.data}: {exc.strerror}: correct data_directory") from exc
        left = disk.free - backup.size_bytes * 1.1
        least = disk.total * self.params["min_free_percent"] / 100
        if left < least:
            raise PgBackRestError(
                f"the cluster has {human_size(backup.size_bytes)}, and {os.path.dirname(self.data)} has {human_size(disk.free)} free, "  # noqa: PTH120
                f"of which {human_size(least)} are to stay free: make room, or lower min_free_percent"
            )

    @cached_property
    def lineage(self) -> Lineage | None:
        """Which timeline the live cluster is on; None where another one is asked for, or nobody can tell."""
        return None if self.params["timeline"] else lineage(self.data)

    def backup(self, stanza: Stanza, target: datetime) -> Backup:
        """Return the backup that a recovery to ``target`` begins with."""
        return choose(stanza, target, now=datetime.now(timezone.utc), lineage=self.lineage)

    def _writes(self, seen: Seen) -> bool:
        server = seen.server
        return bool(server and not server["in_recovery"] and server["archive_mode"] != "off")

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

    def beside(self, entry: Entry) -> Beside:
        return Beside(entry["item"]["new"], self.params)

    def _drop(self, entry: Entry | None) -> None:
        if entry is None:
            return
        self.beside(entry).drop()
        self.journal.write({**entry, "stage": "reverted"})

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
        self.journal.write({**entry, "stage": "swapped", "placed": placed, "kept": self._kept(entry, item["before"])})

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
        kept = self._kept(entry, item["failed"])
        self.journal.write({**entry, "stage": "reverted", "placed": placed, "kept": kept})

    def _finish(self, entry: Entry) -> None:
        entry["stage"] = "finished"
        self.journal.write(entry)

    def _delete(self, entry: Entry) -> None:
        old = self._old(entry)
        for path in old:
            shutil.rmtree(path)
        self.journal.write({**entry, "kept": [one for one in entry["kept"] if one["path"] not in old]})

    def _kept(self, entry: Entry, path: str) -> list[dict[str, Any]]:
        """Return what is kept now: what is there of it, and only under names that we have given."""
        since = iso(datetime.now(timezone.utc).replace(microsecond=0))
        listed = [one for one in entry["kept"] if one["path"] != path] + [{"path": path, "since": since}]
        return [one for one in listed if Path(one["path"]).is_dir()]

    def _old(self, entry: Entry | None) -> list[str]:
        border = datetime.now(timezone.utc) - timedelta(days=self.params["keep_days"])
        kept = entry["kept"] if entry else []
        return [one["path"] for one in kept if parse_target(one["since"]) <= border and Path(one["path"]).is_dir()]

    def describe(self, seen: Seen) -> dict[str, Any]:
        """Return the plan, for programs."""
        entry = seen.entry or {}
        told = {"cluster": self.program.stanza, "data_directory": self.data, "running": bool(seen.server)}
        if self.params["state"] != "prepared" or self._is_further(entry, parse_target(self.params["target_time"])):
            goes_back = self.params["state"] == "reverted" and self._can_go_back(seen.entry)
            of = entry["placed"] if goes_back else entry
            return {**told, "target_time": of.get("target"), "backup": of.get("backup")}
        target = parse_target(self.params["target_time"])
        stanza = seen.stanza or self.program.info()
        backup = self.backup(stanza, target)
        databases = seen.server["databases"] if seen.server else []
        return {
            **told,
            "target_time": iso(target),
            "backup": backup.label,
            "backup_at": iso(backup.stopped_at),
            "size_bytes": backup.size_bytes,
            "earliest": iso(min(one.stopped_at for one in usable(stanza, self.lineage)) + 1),
            "lost_seconds": round((datetime.now(timezone.utc) - target).total_seconds()),
            "rows_now": {name: live_rows(self.program.target, name) for name in databases},
        }
