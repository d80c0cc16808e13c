# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchanges the names of the live database and of the one beside it, in one transaction. Private to this collection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.runbook.ops.plugins.module_utils import _pg_restore_sql as sql
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import name_of, settle, write_time
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._pg_restore import Restore, Seen

ATTEMPTS = 5  # the server waits for 5 s each time
DISK_SECONDS = 1800  # for what waits for a checkpoint, and so for the slowest disk: to make or to drop a database
AGAIN_SECONDS = 0.2  # how often sessions are ended that came back before the name was locked


class Exchange:
    """The moment at which the restored database becomes the live one, or stops being it."""

    def __init__(self, run: Restore, seen: Seen) -> None:
        self.run, self.seen = run, seen
        self.database = run.options.database

    def swap(self, entry: dict[str, Any]) -> None:
        """Put the restored database in place; the live one is kept under another name."""
        live, restored = self.seen.live, entry["restored"]
        before = {"name": name_of(self.database, "before", entry["stamp"]), "oid": live["oid"]} if live else None
        entry = self.run.write({**entry, "stage": "swapping", "before": before})
        reached("pg_restore:swapping")
        into = (restored["oid"], restored["name"])
        if live and before:
            until = f"live as {self.database} until {write_time(self.run.now())}"
            comment = f"runbook.ops: {until}, when {entry['source']['title']} was put in its place"
            out = (live["oid"], before["name"])
            script = sql.exchange(self.database, out=out, into=into, like=live, comment=comment, carry=True)
        else:
            script = sql.put_in_place(self.database, into)
        self._exchange(script, [self.database, restored["name"]])
        reached("pg_restore:swapped")
        self._settled(entry, "swapped")

    def swap_back(self, entry: dict[str, Any]) -> None:
        """Put back what was live before; the restored one is kept under another name."""
        live, before = self.seen.live, entry["before"]
        if live is None or live["oid"] != entry["restored"]["oid"]:
            raise RestoreError(f"{self.database} is not the database that was restored: somebody else works here")
        entry = self.run.write({**entry, "at": {**entry["at"], "reverting": write_time(self.run.now())}})
        reached("pg_restore:reverting")
        until = f"live as {self.database} until {write_time(self.run.now())}"
        script = sql.exchange(
            self.database,
            out=(live["oid"], entry["failed"]["name"]),
            into=(before["oid"], before["name"]),
            like=live,
            comment=f"runbook.ops: restored from {entry['source']['title']}, {until}, when it was reverted",
            carry=False,
        )
        self._exchange(script, [self.database, before["name"]])
        reached("pg_restore:reverted")
        self._settled(entry, "reverted")

    def put_back(self, entry: dict[str, Any]) -> None:
        """Give what was live before its name again, which no database has: somebody has renamed the restored one by hand."""
        before = entry["before"]
        entry = self.run.write({**entry, "at": {**entry["at"], "reverting": write_time(self.run.now())}})
        self._exchange(
            sql.put_in_place(self.database, (before["oid"], before["name"])), [self.database, before["name"]]
        )
        if self.run.oid_of(self.database) != before["oid"]:
            raise RestoreError(f"{self.database} is not what it should be: look with psql -l, then run this again")
        self.run.write({**entry, "open": False, "at": {**entry["at"], "reverted": write_time(self.run.now())}})

    def _exchange(self, script: str, names: Sequence[str]) -> None:
        began = time.monotonic()
        with _kept_empty(self.run.target, names):
            act(self.run.target, script, self.database)
        self.run.seconds["closed"] = round(time.monotonic() - began, 3)

    def _settled(self, entry: dict[str, Any], stage: str) -> None:
        at = write_time(self.run.now())
        names = self.run.target.json(sql.ADMIN, sql.SERVER)["names"]
        seconds = {**entry["seconds"], stage: self.run.seconds["closed"]}
        settled = settle({**entry, "seconds": seconds, "at": {**entry["at"], stage: at}}, names, at)
        if settled is None or settled["stage"] != stage:
            raise RestoreError(
                f"{self.database} is not what it should be after the exchange: look with psql -l, then run this again"
            )
        self.run.write(settled)


@contextmanager
def _kept_empty(target: PgTarget, names: Sequence[str]) -> Iterator[None]:
    """End the sessions of the databases ``names`` again and again: a pool of connections is back within milliseconds."""
    done = threading.Event()

    def clear() -> None:
        while not done.wait(AGAIN_SECONDS):
            try:
                target.sql(sql.ADMIN, sql.end_sessions(names) + "\n")
            except PgError:
                continue  # the exchange itself says what is wrong

    clearing = threading.Thread(target=clear, daemon=True)
    clearing.start()
    try:
        yield
    finally:
        done.set()
        clearing.join()


def act(target: PgTarget, script: str, name: str, *, timeout_seconds: float = 60) -> None:
    """Run a script that fails while somebody is connected, a few times.

    :param timeout_seconds: of each statement
    :raises RestoreError: somebody still is, or it failed; nothing of it was done.
    """
    for attempt in range(ATTEMPTS):
        try:
            target.sql(sql.ADMIN, script, timeout_seconds=timeout_seconds)
        except PgError as exc:
            if exc.code == sql.IN_USE and attempt < ATTEMPTS - 1:
                continue
            where = f"{name}: " if exc.code == sql.IN_USE else ""
            raise RestoreError(f"{where}{exc}") from exc
        return
