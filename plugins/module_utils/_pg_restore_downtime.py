# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time without service: the writers are stopped, the names exchanged, the writers started and proven. Private to this collection.

That the writers are stopped is in the journal before the first of them is. So whatever is killed, the next run starts them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_exchange import Exchange
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import JournalError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.module_utils._writers import WritersError

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._pg_restore import Restore, Seen

FAILED = (WritersError, RestoreError, JournalError, PgError)


class Downtime:
    """What is done while nobody writes."""

    def __init__(self, run: Restore, seen: Seen) -> None:
        self.run, self.seen = run, seen
        self.writers = seen.writers
        self.patience = run.options.wait_seconds
        self.began = time.monotonic()

    def exchange(self, action: str, entry: dict[str, Any]) -> None:
        """Exchange the names, with nobody writing.

        :param action: swap, swap_back or put_back
        :raises RestoreError: it failed, or a writer does not work with what was put in place, which is not in place any more then.
        """
        act = getattr(Exchange(self.run, self.seen), action)
        if not self.writers:
            act(entry)
            return
        entry = self.run.write({**entry, "writers": self.writers})
        reached("pg_restore:closing")
        self.began = time.monotonic()
        try:
            self._timed("stopping", lambda: self.run.writers.stop(self.writers))
            reached("pg_restore:stopped")
            act(entry)
        except BaseException as exc:
            wrong = self._start_all()
            if isinstance(exc, FAILED):
                told = "; ".join([str(exc), "the writers were started again" if not wrong else "", *wrong])
                raise RestoreError(told.replace("; ;", ";")) from exc
            raise
        self._prove(back=action == "swap")

    def finish(self, *, judge: bool) -> None:
        """Start what a killed run has left stopped.

        :param judge: whether what was put in place is taken away again where a writer does not work with it
        :raises RestoreError: a writer does not work.
        """
        if judge:
            self._prove(back=True)
            return
        wrong = self._start_all()
        if wrong:
            raise RestoreError(f"a run that was killed had stopped the writers: {'; '.join(wrong)}")

    def _prove(self, *, back: bool) -> None:
        """Start the writers. Where they do not work, go back."""
        try:
            self._timed("starting", lambda: self.run.writers.start(self.writers, self.patience))
            self.run.seconds["without_service"] = round(time.monotonic() - self.began, 3)
            self.run.writers.confirm(self.writers)
        except WritersError as exc:
            database = self.run.options.database
            if not back:
                raise RestoreError(f"{database} is what it was before, and yet: {exc}") from exc
            raise RestoreError(f"with the restored {database}, {exc}; {self._go_back()}") from exc
        reached("pg_restore:started")
        self._done()

    def _go_back(self) -> str:
        """Put back what was live before, with its writers; return what came of it."""
        try:
            seen = self.run.observe()
            entry = seen.entry
            if entry is None or entry["before"] is None or entry["stage"] != "swapped":
                return "there is nothing to go back to: " + (
                    "; ".join(self._start_all()) or "the writers were left running"
                )
            self.run.writers.stop(self.writers)
            Exchange(self.run, seen).swap_back(entry)
        except FAILED as exc:
            wrong = self._start_all()
            return "; ".join([f"it was not put back ({exc}): run this again with state reverted", *wrong])
        reached("pg_restore:put_back")
        try:
            self.run.writers.start(self.writers, self.patience)
            self._done()
        except (WritersError, JournalError) as exc:
            return f"the one before was put back, and yet: {exc}"
        return "the one before was put back, and its writers run again"

    def _start_all(self) -> list[str]:
        wrong: list[str] = self.run.writers.start_all(self.writers)
        if not wrong:
            try:
                self._done()
            except JournalError as exc:
                return [str(exc)]
        return wrong

    def _done(self) -> None:
        """Note that the writers run."""
        entry = self.run.journal.read()
        if entry is not None:
            self.run.write({**entry, "writers": None})
        reached("pg_restore:serving")

    def _timed(self, what: str, act: Callable[[], Any]) -> None:
        began = time.monotonic()
        act()
        self.run.seconds[what] = round(time.monotonic() - began, 3)


def named(entry: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the writers that a killed run has left stopped."""
    return list((entry or {}).get("writers") or [])
