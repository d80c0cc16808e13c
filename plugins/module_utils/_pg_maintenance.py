# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at databases and carries a plan out, within a time budget. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _pg_sql
from ansible_collections.runbook.ops.plugins.module_utils._pg import (
    CANCELED,
    DEADLOCK,
    DISK_FULL,
    LOCK_NOT_AVAILABLE,
    PgError,
    Psql,
    Session,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_disk import free_here
from ansible_collections.runbook.ops.plugins.module_utils._pg_due import Thresholds
from ansible_collections.runbook.ops.plugins.module_utils._pg_plan import (
    Action,
    candidates,
    index_repairs,
    lack_of_room,
    plan,
    unless,
)

FIRST_RATE = 20_000_000  # bytes a second: what an action is expected to reach before one of its kind was timed
CONNECTION_LOST = ("08000", "57P01", "57P02", "57P03")
EXCLUSIVE_LOCK_SECONDS = 0.1  # VACUUM FULL queues everybody behind it while it waits


@dataclass(frozen=True)
class Budget:
    """How long a run may take and how patient it is. Times are in seconds."""

    total: float
    lock_timeout: float
    lock_attempts: int
    wait_for_others: float
    held_limit: float
    jobs: int
    window: float | None = None  # until the end of the window of VACUUM FULL


class Maintenance:
    """One run over some databases of one server."""

    def __init__(
        self,
        psql: Psql,
        *,
        run: str,
        limits: Thresholds,
        budget: Budget,
        clock: Callable[[], float] = time.monotonic,
        free: Callable[[Mapping[str, str | None]], dict[int, int]] = free_here,
    ) -> None:
        self.psql = psql
        self.free = free
        self.run = run
        self.limits = limits
        self.budget = budget
        self.clock = clock
        self.started = clock()
        self.rates: dict[str, float] = {}
        self.troubles: list[str] = []

    @property
    def seconds_left(self) -> float:
        return self.budget.total - (self.clock() - self.started)

    def left_for(self, action: Action) -> float:
        """Return the seconds that ``action`` may take: VACUUM FULL must end within its window."""
        if action.action != "vacuum_full" or self.budget.window is None:
            return self.seconds_left
        return min(self.seconds_left, self.budget.window - (self.clock() - self.started))

    def session(self, *, lock_timeout: float | None = None, statement_timeout: float = 60) -> Session:
        limit = self.budget.lock_timeout if lock_timeout is None else lock_timeout
        return Session(f"{_pg_sql.APPLICATION} {self.run}", limit, statement_timeout)

    def observe(self, name: str) -> dict[str, Any]:
        """Return what the database ``name`` looks like.

        :raises PgError: it cannot be reached, or is a standby.
        """
        sql = _pg_sql.observe(self.limits.index_waste_min_bytes)
        found: dict[str, Any] = self.psql.json(name, sql, self.session())
        if found["in_recovery"]:
            raise PgError(f"database {name} is on a standby, which takes no maintenance: run this on its primary")
        return found

    def alone(self, name: str) -> dict[str, Any]:
        """Return what ``name`` looks like once no other run is at work there: a killed one ends within a second or so.

        :raises PgError: another run goes on.
        """
        deadline = self.clock() + self.budget.wait_for_others
        while True:
            found = self.observe(name)
            if not found["runs"]:
                return found
            if self.clock() >= deadline:
                other = found["runs"][0]
                raise PgError(
                    f"another maintenance works on database {name} (session {other['pid']}, for {other['seconds']:.0f} s): "
                    f"wait for it, or end it with SELECT pg_terminate_backend({other['pid']})"
                )
            time.sleep(0.5)

    def measure(self, name: str, database: dict[str, Any]) -> dict[int, dict[str, Any]] | None:
        """Return pgstattuple's figures for the candidates, None where it cannot be had. Tables get ``waste_bytes``."""
        indexes = candidates(database, self.limits)
        tables = [
            table["oid"]
            for table in database["tables"]
            if self.limits.full_vacuum and table["kind"] in "rm" and table["bytes"] >= self.limits.full_vacuum_min_bytes
        ]
        if not indexes and not tables:
            return {}
        how = "".join(self.psql(name, _pg_sql.MEASURES, self.session())).strip()
        if not how:
            return None
        schema = _pg_sql.temporary_schema(self.run) if how == "borrow" else how.split(" ", 1)[1]
        sql = _pg_sql.measure(indexes, tables, schema=schema)
        found = self.psql.json(
            name,
            _pg_sql.borrow(sql, schema) if how == "borrow" else sql,
            self.session(statement_timeout=self.seconds_left),
        )
        waste = {row["oid"]: row["waste_bytes"] for row in found["tables"]}
        for table in database["tables"]:
            table["waste_bytes"] = waste.get(table["oid"])
        return {row["oid"]: row for row in found["indexes"]}

    def plan(self, name: str) -> tuple[dict[str, Any], list[Action]]:
        """Return what the database ``name`` looks like and what to do.

        :raises PgError: it cannot be reached, another run is at work, or the disk has no room for a rebuild.
        """
        database = self.alone(name)
        actions = plan(name, database, self.measure(name, database), self.limits)
        free = self.free(database["directories"] or {})
        for missing in filter(None, (lack_of_room(action, free) for action in actions)):
            raise PgError(missing)
        return database, actions

    def carry_out(self, actions: Sequence[Action]) -> list[Action]:
        """Return ``actions`` with what became of each; drops first, vacuums side by side, the rest one by one."""
        done = [self.one(action) for action in actions if action.action in ("drop_index", "vacuum_full")]
        with ThreadPoolExecutor(max_workers=self.budget.jobs) as pool:
            done += pool.map(self.one, [action for action in actions if action.action == "vacuum"])
        for action in actions:
            if action.action in ("analyze", "reindex"):
                done.append(self.skip_after(done, action) or self.one(action))
        return done

    def maintain(
        self, name: str, before: dict[str, Any], actions: Sequence[Action]
    ) -> tuple[dict[str, Any], list[Action]]:
        """Carry ``actions`` out and return what the database looks like then, and what became of each.

        Where nothing can be seen any more that is a trouble to report at the end: what was done by then must not get lost.
        """
        done = self.carry_out(actions)
        try:
            return self.look_again(name, done), done
        except PgError as exc:
            self.troubles.append(f"looking at {name} after the maintenance failed: {exc}")
            return before, done

    def look_again(self, name: str, done: list[Action]) -> dict[str, Any]:
        """Return what the database looks like after ``done``, to which the rebuilds are added that are due only now.

        A vacuum shows how full the indexes really are; where the time is used up the next run sees it.
        """
        after = self.observe(name)
        if self.seconds_left > 0 and any(action.action == "vacuum" and action.status == "done" for action in done):
            known = {(action.action, action.oid) for action in done}
            measures = self.measure(name, after)
            late = [action for action in plan(name, after, measures, self.limits) if action.action == "reindex"]
            free = self.free(after["directories"] or {})
            late = [
                unless(action, lack_of_room(action, free))
                for action in late
                if (action.action, action.oid) not in known
            ]
            if late:
                done += self.carry_out(late)
                after = self.observe(name)
        return after

    @staticmethod
    def skip_after(done: Sequence[Action], action: Action) -> Action | None:
        """Return ``action`` as skipped where one before it found the disk full or lost the server."""
        for before in done:
            if before.code in (DISK_FULL, *CONNECTION_LOST):
                return replace(
                    action, status="skipped", message=f"not tried after {before.action} of {before.relation} failed"
                )
        return None

    def expected_seconds(self, action: Action) -> float:
        return action.bytes_before / self.rates.get(action.action, FIRST_RATE)

    def one(self, action: Action) -> Action:
        """Return ``action`` with what became of it. Does nothing for one that is skipped already."""
        if action.status != "planned":
            return action
        expected, left = self.expected_seconds(action), self.left_for(action)
        if expected > left:
            return replace(
                action,
                status="skipped",
                message=f"expected to take {expected:.0f} s, {max(0, left):.0f} s of the time budget"
                f"{' or the window' if action.action == 'vacuum_full' else ''} are left",
            )
        started = self.clock()
        result = self.attempts(action)
        seconds = self.clock() - started
        if result.status == "done":
            self.rates[action.action] = max(1.0, action.bytes_before / max(seconds, 0.05))
        return replace(result, seconds=round(seconds, 3))

    def attempts(self, action: Action) -> Action:
        """Return ``action`` as done, or as failed once no attempt got its lock."""
        for attempt in range(1, self.budget.lock_attempts + 1):
            try:
                return self.execute(action)
            except PgError as exc:
                left = self.clean_up(action, exc)
                again = exc.code in (LOCK_NOT_AVAILABLE, DEADLOCK) and attempt < self.budget.lock_attempts
                if not again or left or self.seconds_left <= 0:
                    late = " (the time budget was used up)" if exc.code == CANCELED and self.seconds_left <= 0 else ""
                    return replace(action, status="failed", message=f"{exc}{late}{left}", code=exc.code)
        raise AssertionError("there is at least one attempt")

    def execute(self, action: Action) -> Action:
        size = "pg_relation_size" if action.action in ("reindex", "drop_index") else "pg_total_relation_size"
        # A rebuild waits for open transactions once the new index is made, and nobody waits for it: it has their time.
        lock_timeout = {
            "vacuum_full": EXCLUSIVE_LOCK_SECONDS,
            "reindex": max(self.budget.lock_timeout, self.budget.held_limit),
        }.get(action.action)
        session = self.session(lock_timeout=lock_timeout, statement_timeout=max(1.0, self.left_for(action)))
        sql = f"{action.sql};\n" if action.action == "drop_index" else _pg_sql.sized(action.sql, action.relation, size)
        if action.action == "reindex":
            sql = _pg_sql.unless_held(sql, seconds=self.budget.held_limit)
        lines = self.psql(action.database, sql, session)
        if lines and lines[0].startswith("held: "):
            return replace(
                action, status="skipped", message=f"it would wait for {lines[0][6:]}: end it, then run this again"
            )
        if action.action == "drop_index":
            return replace(action, status="done", bytes_after=0)
        return replace(action, status="done", bytes_before=int(lines[0]), bytes_after=int(lines[-1]))

    def clean_up(self, action: Action, cause: PgError) -> str:
        """Drop what a rebuild that broke off left, and return what to add to its message where that failed."""
        if action.action != "reindex" or cause.code in CONNECTION_LOST:
            return ""
        try:
            for repair in index_repairs(action.database, self.observe(action.database)):
                if repair.action == "drop_index" and repair.status == "planned":
                    self.psql(action.database, f"{repair.sql};\n", self.session())
        except PgError as exc:
            return f"; what it left could not be removed ({exc}), the next run will try again"
        return ""


def gave_up(actions: Sequence[Action]) -> str | None:
    """Return one line for the actions that failed, None where none did."""
    failed = [action for action in actions if action.status == "failed"]
    if not failed:
        return None
    first = failed[0]
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{first.action} of {first.relation} in {first.database} failed: {first.message}{others}"
