# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a backup beside what is live, exchange the two by their names, and go back. Private to this collection.

What is intended stands in a journal before it is done, so the next run finishes or undoes what a killed one began.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _path_swap
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._path_restore_terms import (
    NOTHING,
    Kind,
    source_lines,
    way_back_lines,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import Journal, JournalError
from ansible_collections.runbook.ops.plugins.module_utils._restore_choice import (
    choose,
    is_begun_with,
    refuse_unproven,
)
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import ERRORS, SECTION, StoreError, one_line
from ansible_collections.runbook.ops.plugins.module_utils._writers import Writers, WritersError

STAMP = "%Y%m%dT%H%M%SZ"
FAILED_RESTORE = (*ERRORS, JournalError, WritersError)


class Restore:
    """One run of the module."""

    def __init__(
        self,
        kind: Kind,
        params: Mapping[str, Any],
        *,
        check_mode: bool,
        writers: Writers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare a run.

        :param writers: what stops and starts the services that the options name
        """
        self._writers = writers or Writers(None)
        self._stopped: list[str] = []
        self._served_at = 0.0
        self._kind, self._params, self._check_mode, self._clock = kind, params, check_mode, clock
        self._names = getattr(kind, "names", _path_swap)  # of what is exchanged: paths, where it brings no others
        self._journal = Journal(Path(params["journal_directory"]), kind.name, kind.kind)
        self._entry: dict[str, Any] = {**NOTHING, "items": [], "kept": [], "seconds": {}, "lines": []}
        self._actions: list[str] = []
        self._reason = "a restore is asked for"

    def run(self) -> dict[str, Any]:
        """Bring the restore to the state that is asked for.

        :raises StoreError: it cannot be; after a failed exchange what was live is live again.
        """
        with nullcontext() if self._check_mode else self._journal.locked():
            self._entry = {**self._entry, **(self._journal.read() or {})}
            before = self._entry["stage"]
            trouble = self._reopen()
            closed = self._entry["closed"]
            try:
                getattr(self, f"_{self._params['state']}")()
            except FAILED_RESTORE as exc:
                if not closed or self._params["state"] == "swapped":
                    raise
                raise StoreError(f"{one_line(exc)}; {self._left_stopped()}") from exc
        # Where it does not start, another backup may be what it needs.
        if trouble and self._params["state"] != "prepared":
            raise StoreError(trouble)
        return self._result(before)

    def _prepared(self) -> None:
        if self._entry["stage"] == "reverting":
            raise StoreError(
                f"a restore of {self._kind.name} was cut off on its way back: finish that with state reverted"
            )
        if self._is_under_way():
            return
        backup = choose(self._params, self._kind.kind)
        self._reason = refuse_unproven(backup, self._params["accept_unproven"])
        at = datetime.fromtimestamp(int(self._clock()), timezone.utc)
        plan = self._kind.plan(backup, at.strftime(STAMP))
        while any(self._names.identify(item[name]) for item in plan["items"] for name in ("new", "before", "failed")):
            at += timedelta(seconds=1)  # another one was begun in this second
            plan = self._kind.plan(backup, at.strftime(STAMP))
        self._actions += [f"restore {backup.name} beside {item['live']}" for item in plan["items"]]
        told: dict[str, Any] = {"backup": str(backup.path), "identity": backup.identity, "reason": self._reason}
        told["taken_at"] = f"{backup.taken_at:%Y-%m-%dT%H:%M:%SZ}"
        told["replaces"] = any(self._names.identify(item["live"]) for item in plan["items"])
        told["lines"] = [*source_lines(backup, self._reason, at), *plan["lines"], *way_back_lines(backup)]
        if self._check_mode:
            self._entry = {**self._entry, **plan, **told}
            return
        told.update(asked=self._kind.asked(), open=True, closed=self._entry["closed"], writers=self._entry["writers"])
        self._drop_new()
        kept = self._entry["kept"]
        self._write({**plan, **told, "kept": kept, "seconds": {}, "since": f"{at:%Y-%m-%dT%H:%M:%SZ}"}, "preparing")
        began = self._clock()
        try:
            self._kind.prepare(backup, self._entry)
        except BaseException:
            with suppress(*FAILED_RESTORE):  # of a disk that is full or read-only: the next run deletes it
                self._drop_new()
                self._write({**self._entry, "items": [], "open": False}, "none")
            raise
        for item in self._entry["items"]:
            item["new_id"] = self._names.identify(item["new"])
        self._took("prepare", began)
        self._write(self._entry, "prepared")

    def _is_under_way(self) -> bool:
        """Return whether what is asked for is prepared already, on its way in, or in place and not finished.

        :raises StoreError: something else is.
        """
        entry, stage = self._entry, self._entry["stage"]
        if not entry["open"] or stage not in ("prepared", "swapping", "swapped"):
            return False
        same = entry["asked"] == self._kind.asked()
        if same and (
            is_begun_with(self._params, entry) or choose(self._params, self._kind.kind).identity == entry["identity"]
        ):
            return True
        if stage in ("prepared", "swapping"):
            raise StoreError(
                f"{entry['backup']} is prepared already{'' if same else ', of other things'}: swap or revert it before another one"
            )
        raise StoreError(
            f"the restore of {entry['backup']} is in place and not finished: finish it with state pruned, or go back with state "
            "reverted, before another begins"
        )

    def _reopen(self) -> str:
        """Start what a killed run has stopped, unless this one goes on where that was; return why it does not start."""
        entry, state = self._entry, self._params["state"]
        under_way = entry["stage"] in ("swapping", "reverting") or (entry["stage"], state) == ("prepared", "swapped")
        if not entry["closed"] or under_way:
            return ""
        self._actions, self._reason = [f"start {self._kind.name} again"], "a run that was killed has stopped it"
        if self._check_mode:
            return ""
        try:
            self._open(restored=False)
        except FAILED_RESTORE as exc:
            return one_line(exc)
        self._write(self._entry, entry["stage"])
        return ""

    def _left_stopped(self) -> str:
        names = ", ".join([self._kind.name, *(one["name"] for one in self._entry["writers"])])
        way = "restored" if self._params["state"] == "reverted" else "reverted"
        return f"still stopped by a run that was killed: {names}; restore_state={way} starts them"

    def _close(self) -> None:
        """Stop who uses it, then itself. It is in the journal before the first of them is stopped."""
        services, left = self._params.get("services") or [], self._entry["writers"]
        found = self._writers.look(services, left) if services or left else []
        self._write({**self._entry, "closed": True, "writers": found}, self._entry["stage"])
        self._stopped = [one["name"] for one in found]
        self._writers.stop(found)
        reached("path_restore:quiet")
        self._kind.close(self._entry)
        reached("path_restore:closed")

    def _open(self, *, restored: bool) -> None:
        """Start it, then who uses it. With what was restored each of them has to work; with what was live before each is started."""
        found = self._entry["writers"]
        if restored:
            # Whoever goes on after a kill finds what has been written since as well: it is proven once.
            self._kind.open(self._entry, restored=not self._entry.get("served"))
            self._write({**self._entry, "served": True}, self._entry["stage"])
            self._writers.start(found, self._params["wait_timeout_seconds"])
            self._served_at = self._clock()
            if found:
                self._writers.confirm(found)
        else:
            try:
                self._kind.open(self._entry, restored=False)
            finally:
                wrong = self._writers.start_all(found)
            if wrong:
                raise StoreError("; ".join(wrong))
            self._served_at = self._clock()
        self._entry.update(closed=False, writers=[])

    def _swapped(self) -> None:
        stage = self._entry["stage"]
        if stage == "swapped":
            return
        if stage == "reverting":
            raise StoreError(
                f"a restore of {self._kind.name} was cut off on its way back: finish that with state reverted"
            )
        if stage not in ("prepared", "swapping"):
            raise StoreError(f"nothing of {self._kind.name} is prepared: run with state prepared first")
        self._actions = [f"exchange {item['live']} and {item['new']}" for item in self._entry["items"]]
        if self._check_mode:
            return
        began = self._clock()
        try:
            self._close()
            if stage == "prepared":
                for item in self._entry["items"]:
                    item["old_id"] = self._names.identify(item["live"])
                self._write(self._entry, "swapping")
            for item in self._entry["items"]:
                self._names.put_in_place(item)
                reached("path_restore:one")
            self._open(restored=True)
        except FAILED_RESTORE as exc:
            try:
                self._back()
            except FAILED_RESTORE as second:
                raise StoreError(
                    f"{one_line(exc)}; going back failed as well: {one_line(second)}; run with state reverted"
                ) from exc
            raise StoreError(f"{one_line(exc)}; went back: what was live before is live again") from exc
        self._entry["seconds"]["closed"] = round(self._served_at - began, 3)
        self._keep("before")
        self._write(self._entry, "swapped")

    def _reverted(self) -> None:
        stage = self._entry["stage"]
        if stage in ("none", "reverted"):
            return
        if stage in ("preparing", "prepared"):
            self._actions += [f"delete {item['new']}" for item in self._entry["items"]]
            if not self._check_mode:
                self._drop_new()
                self._write({**self._entry, "open": False}, "reverted")
            return
        gone = [
            item["before"]
            for item in self._entry["items"]
            if stage == "swapped" and item["old_id"] and self._names.identify(item["before"]) != item["old_id"]
        ]
        if gone:
            raise StoreError(f"{gone[0]} is gone, or is another: there is nothing to go back to")
        self._actions = [f"give {item['live']} back to what was there before" for item in self._entry["items"]]
        if not self._check_mode:
            self._back()

    def _back(self) -> None:
        began = self._clock()
        if self._entry["stage"] != "prepared":  # else nothing was exchanged, and what is new stays prepared
            self._write(self._entry, "reverting")
            self._close()
            for item in self._entry["items"]:
                self._names.go_back(item)
                reached("path_restore:back")
            self._entry["kept"] = [one for one in self._entry["kept"] if self._names.identify(one["path"])]
            self._keep("failed")
            self._write({**self._entry, "open": False}, "reverted")
        self._open(restored=False)
        self._took("revert", began)
        self._write(self._entry, self._entry["stage"])

    def _pruned(self) -> None:
        if self._entry["stage"] in ("preparing", "swapping", "reverting"):
            raise StoreError(f"a restore of {self._kind.name} was cut off: finish it with state swapped, or revert it")
        limit = datetime.fromtimestamp(self._clock(), timezone.utc) - timedelta(days=self._params["keep_days"])
        old = [one for one in self._entry["kept"] if one["since"] <= f"{limit:%Y-%m-%dT%H:%M:%SZ}"]
        done = self._entry["stage"] == "swapped" and self._entry["open"]
        finish = [f"finish the restore of {self._kind.name}"] if done else []
        self._actions += [*finish, *(f"delete {one['path']}" for one in old)]
        if self._check_mode:
            return
        if done:  # first: that something kept cannot be deleted leaves no restore open
            self._write({**self._entry, "open": False}, "swapped")
        for one in old:
            self._names.remove(one["path"])
            self._entry["kept"].remove(one)
            self._write(self._entry, self._entry["stage"])

    def _drop_new(self) -> None:
        """Delete what was restored and never put in place."""
        if self._entry["stage"] in ("preparing", "prepared"):
            for item in self._entry["items"]:
                self._names.remove(item["new"])

    def _keep(self, why: str) -> None:
        since = f"{datetime.fromtimestamp(self._clock(), timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        for item in self._entry["items"]:
            if self._names.identify(item[why]):
                self._entry["kept"].append({"path": item[why], "why": why, "since": since})

    def _took(self, what: str, began: float) -> None:
        self._entry["seconds"][what] = round(self._clock() - began, 3)

    def _write(self, entry: Mapping[str, Any], stage: str) -> None:
        written = {**entry, "stage": stage}
        self._journal.write(written)
        self._entry = written  # what is not in the journal was not begun
        reached(f"path_restore:{stage}")

    def _result(self, before: str) -> dict[str, Any]:
        entry, changed = self._entry, bool(self._actions)
        state = self._params["state"]
        change = make_change(
            f"{self._kind.kind} {self._kind.name}",
            action=state,
            section=SECTION,
            reason=self._reason,
            before=before,
            after=state if state != "pruned" else before,
            seconds=entry["seconds"].get({"prepared": "prepare", "swapped": "closed", "reverted": "revert"}.get(state)),
        )
        used = [
            make_change(name, action="stopped and started", section="Services", reason=change["reason"])
            for name in self._stopped
        ]
        after = before if not changed or state == "pruned" else state
        return {
            "changed": changed,
            "actions": self._actions,
            "stage": entry["stage"],
            "open": entry["open"],
            "replaces": entry.get("replaces", True),
            "backup": entry.get("backup"),
            "lines": entry["lines"],
            "kept": entry["kept"],
            "seconds": entry["seconds"],
            "changes": [change, *used] if changed else [],
            "diff": {"before": f"{before}\n", "after": f"{after}\n"},
        }
