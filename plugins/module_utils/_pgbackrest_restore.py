# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole cluster brought back to a moment: recovered beside the live one, looked at, put in place by names alone. Private to this collection."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._path_swap import identify
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError, iso, parse_target, usable
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_entry import (
    OPEN,
    UNDER_WAY,
    can_go_back,
    is_further,
    old_ones,
    open_words,
)
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_refuse import refuse
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_server import live_rows, postmaster
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_steps import Seen, Steps


class Restore(Steps):
    """The restore of one cluster."""

    def observe(self) -> Seen:
        """Return what there is."""
        entry, state = self.journal.read(), self.params["state"]
        stanza = self.program.info() if state == "prepared" else None
        return Seen(
            entry,
            self.program.server(),
            stanza,
            old_ones(entry, keep_days=self.params["keep_days"]) if state == "pruned" else [],
        )

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
            back = stage in UNDER_WAY or can_go_back(seen.entry)
            return [*drop, *(["back", "start the old one"] if back else [])]
        if stage in ("swapping", "reverting"):
            raise PgBackRestError(open_words(seen.entry or {}))
        finish = {"swapped": ["finish"], "preparing": ["drop"], "prepared": ["drop"]}.get(stage, [])
        return [*finish, *(["delete"] if seen.old else [])]

    def _plan_prepared(self, seen: Seen, stage: str) -> list[str]:
        target = parse_target(self.params["target_time"])
        entry = seen.entry or {}
        if is_further(entry, target):
            return []
        if stage in UNDER_WAY:
            raise PgBackRestError(open_words(entry))
        if (
            stage == "prepared"
            and entry["target"] == iso(target)
            and identify(entry["item"]["new"]) == entry["item"]["new_id"]
        ):
            return [] if postmaster(entry["item"]["new"]) else ["recover"]  # the host was started again meanwhile
        refuse(self, seen.server, seen.stanza or self.program.info(), target)
        return [
            *(["drop"] if stage in OPEN else []),
            *(["flush"] if self._writes(seen) else []),
            "restore",
            "recover",
            "count",
        ]

    def _writes(self, seen: Seen) -> bool:
        server = seen.server
        return bool(server and not server["in_recovery"] and server["archive_mode"] != "off")

    def describe(self, seen: Seen) -> dict[str, Any]:
        """Return the plan, for programs."""
        entry = seen.entry or {}
        told = {"cluster": self.program.stanza, "data_directory": self.data, "running": bool(seen.server)}
        if self.params["state"] != "prepared" or is_further(entry, parse_target(self.params["target_time"])):
            goes_back = self.params["state"] == "reverted" and can_go_back(seen.entry)
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
