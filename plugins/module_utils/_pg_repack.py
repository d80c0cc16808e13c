# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes bloated tables anew with pg_repack, and clears up behind one that died. Private to this collection."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _pg_repack_sql, _pg_sql
from ansible_collections.runbook.ops.plugins.module_utils._pg import DEADLOCK, LOCK_NOT_AVAILABLE, PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_repack_plan import (
    Limits,
    Step,
    budgeted,
    not_installed,
    plan,
    unless,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline

APPLICATION = "pg_repack"  # by this name the runs beside each other know that they need not wait for each other
FIRST_RATE = 10_000_000  # bytes a second: what the first table is expected to reach
LOCK_MILLISECONDS = 100  # everybody queues behind who waits for a table
LOCK_ATTEMPTS, LOCK_PAUSE_SECONDS = 50, 0.2
# What a role or a database sets must not end a session that waits for the copy of its table.
OPTIONS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
NOTICES_DEATH = " -c client_connection_check_interval=1000"  # a killed client is noticed within a second, from 14 on
VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")
SAID = re.compile(r"^(?:WARNING|ERROR|FATAL|DETAIL|HINT):\s*", re.MULTILINE)


@dataclass(frozen=True)
class Pace:
    """How long a run may take and how patient it is. Times are in seconds."""

    total: float
    wait_timeout: float
    wait_for_others: float
    jobs: int
    window_left: float | None = None  # until the end of the window; None where there is none, or it is not open
    closed: str | None = None  # why nothing may be written anew now


class Repacker:
    """One run over some databases of one server."""

    def __init__(
        self,
        target: PgTarget,
        *,
        run: str,
        limits: Limits,
        pace: Pace,
        free: Callable[[Mapping[str, str | None]], dict[int, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target, self.run, self.limits, self.pace, self.free, self.clock = target, run, limits, pace, free, clock
        self.started = clock()
        self.rate = float(FIRST_RATE)

    @property
    def seconds_left(self) -> float:
        whole = self.pace.total if self.pace.window_left is None else min(self.pace.total, self.pace.window_left)
        return whole - (self.clock() - self.started)

    def observe(self, name: str) -> dict[str, Any]:
        """Return what the database ``name`` looks like.

        :raises PgError: it cannot be reached, or is a standby.
        """
        least = max(1, self.limits.waste_min_bytes)
        found: dict[str, Any] = self.target.json(name, _pg_repack_sql.observe(least))
        self.target.server_version_num = found["version"]  # so that nobody asks again: each session takes its time
        if found["in_recovery"]:
            raise PgError(f"database {name} is on a standby, which takes no maintenance: run this on its primary")
        return found

    def settled(self, name: str) -> dict[str, Any]:
        """Return what ``name`` looks like once no pg_repack is at work: one that was killed ends within a second or so."""
        deadline = self.clock() + self.pace.wait_for_others
        while True:
            found = self.observe(name)
            if not found["runs"] or self.clock() >= deadline:
                return found
            time.sleep(0.5)

    def client(self) -> str | None:
        """Return the version of the program; None where there is none."""
        try:
            said = run_pipeline([self.target.stage("pg_repack", "--version")], timeout_seconds=20).text
        except (PgError, PipelineError):
            return None
        found = VERSION.search(said)
        return found[0] if found else None

    def measure(self, name: str, database: Mapping[str, Any]) -> dict[int, dict[str, Any]] | None:
        """Return pgstattuple's figures of the tables that are large enough; None where they cannot be had."""
        oids = [one for table in database["tables"] for one in (table["oid"], table["toast"]) if one]
        if not oids:
            return {}
        how = database["pgstattuple"]  # schema NAME, borrow, or nothing
        if not how:
            return None
        schema = _pg_sql.temporary_schema(self.run) if how == "borrow" else how.split(" ", 1)[1]
        sql = _pg_repack_sql.measure(oids, schema=schema)
        rows = self.target.json(
            name,
            _pg_sql.borrow(sql, schema) if how == "borrow" else sql,
            timeout_seconds=max(60.0, self.seconds_left),
        )
        return {row["oid"]: row for row in rows}

    def plan(self, name: str) -> tuple[dict[str, Any], list[Step], str | None]:
        """Return what ``name`` looks like, what to do, and how pg_repack gets installed where it is not.

        :raises PgError: it cannot be reached, or is a standby.
        """
        database = self.settled(name)
        steps = plan(name, database, self.measure(name, database), self.limits)
        lacking = not_installed(database, self.client(), name, inside=self.target.inside)
        return database, self.allowed(database, steps, lacking), lacking

    def allowed(self, database: Mapping[str, Any], steps: Sequence[Step], lacking: str | None) -> list[Step]:
        """Return ``steps`` with those left out that nothing can be done about now."""
        holder, oldest = database["holder"], self.limits.open_transaction_seconds
        reason = lacking and f"pg_repack is not ready: {lacking}"
        if not reason and self.pace.closed:
            reason = self.pace.closed
        if not reason and holder and holder["seconds"] > oldest:
            reason = (
                f"it would wait for session {holder['pid']} of {holder['user']} ({holder['state']},"
                f" open for {holder['seconds']:.0f} s): end it, then run this again"
            )
        held = [unless(step, reason) if step.action == "repack" else step for step in steps]
        free = self.free(database["directories"] or {})
        return budgeted(held, self.limits, free, database["wal_tablespace"], self.pace.jobs)

    def carry_out(self, database: Mapping[str, Any], steps: Sequence[Step]) -> list[Step]:
        """Return ``steps`` with what became of each: first what was left over goes, then tables, some side by side."""
        done = [self.clean(step) for step in steps if step.action == "clean"]
        kept = {step.oid: step for step in done if step.status == "failed"}
        with ThreadPoolExecutor(max_workers=self.pace.jobs) as pool:
            waiting = [
                unless(step, f"what is left over of it could not be removed: {kept[step.oid].message}")
                if step.oid in kept
                else step
                for step in steps
                if step.action == "repack"
            ]
            done += pool.map(lambda step: self.repack(database, step), waiting)
        return done

    def clean(self, step: Step) -> Step:
        """Return ``step`` with what became of it: what a dead pg_repack left of a table is removed."""
        began = self.clock()
        message = self.remove(step.database, step.leftover or {"oid": step.oid, "relation": None, "parts": []})
        status = "failed" if message else "done"
        return replace(
            step,
            status=status,
            message=message,
            bytes_after=None if message else 0,
            seconds=round(self.clock() - began, 3),
        )

    def remove(self, name: str, leftover: Mapping[str, Any]) -> str | None:
        """Remove what is left over of one table; return why that could not be."""
        sql = _pg_repack_sql.remove(leftover, lock_milliseconds=LOCK_MILLISECONDS)
        for attempt in range(1, LOCK_ATTEMPTS + 1):
            try:
                if "busy" in self.target.sql(name, sql):
                    return "somebody repacks it now: run this again when that is over"
                return None
            except PgError as exc:
                if exc.code not in (LOCK_NOT_AVAILABLE, DEADLOCK) or attempt == LOCK_ATTEMPTS:
                    return str(exc)
                time.sleep(LOCK_PAUSE_SECONDS)
        return None

    def repack(self, database: Mapping[str, Any], step: Step) -> Step:
        """Return ``step`` with what became of it."""
        if step.status != "planned":
            return step
        expected, left = step.bytes_before / self.rate, self.seconds_left
        if expected > left:
            message = (
                f"expected to take {expected:.0f} s, {max(0.0, left):.0f} s of the time budget or the window are left"
            )
            return replace(step, status="skipped", message=message)
        try:
            held = self.target.sql(step.database, _pg_repack_sql.conflicts(step.oid, seconds=self.pace.wait_timeout))
            if held:
                return replace(step, status="skipped", message=f"it is held by {held[0]}: end it, then run this again")
            began = self.clock()
            trouble = self.run_client(database, step, max(1.0, left))
            seconds = self.clock() - began
            return self.judge(step, trouble, seconds)
        except PgError as exc:
            return replace(step, status="failed", message=str(exc))

    def judge(self, step: Step, trouble: str | None, seconds: float) -> Step:
        """Return what became of ``step``: what counts is whether the table lies in another file now."""
        left = (
            self.clear_up(step) if trouble else ""
        )  # waits for its sessions: they may change the files until they end
        found = "".join(self.target.sql(step.database, _pg_repack_sql.size_of(step.oid)))
        now = json.loads(found) if found else {"file": step.file, "total_bytes": 0}
        anew = now["file"] != step.file
        if anew and not trouble:
            self.rate = max(1.0, step.bytes_before / max(seconds, 0.05))
            return replace(step, status="done", bytes_after=now["total_bytes"], seconds=round(seconds, 3))
        if not trouble:
            message = "pg_repack left it as it was: somebody held it for longer than wait_timeout_seconds"
            return replace(step, status="skipped", message=message + self.clear_up(step), seconds=round(seconds, 3))
        became = "the table was written anew all the same" if anew else "the table is as it was"
        return replace(
            step,
            status="failed",
            message=f"{trouble}; {became}{left}",
            bytes_after=now["total_bytes"] if anew else None,
            seconds=round(seconds, 3),
        )

    def run_client(self, database: Mapping[str, Any], step: Step, limit: float) -> str | None:
        """Run pg_repack over one table; return what went wrong."""
        stage = self.stage(database, step)
        try:
            run_pipeline([stage], timeout_seconds=limit)
        except PipelineError as exc:
            if exc.code is None:
                self.target.sql(step.database, _pg_repack_sql.end_sessions(step.oid))
                return f"it was not done within {limit:.0f} s and was stopped"
            lines = [line.strip() for line in exc.stderr.splitlines() if line.strip() and not line.startswith("INFO")]
            # What went wrong comes first; the statement and what may be guessed about it come after.
            wrong = next((place for place, line in enumerate(lines) if line.startswith(("ERROR", "FATAL"))), -2)
            words = "; ".join(SAID.sub("", line) for line in lines[wrong:][:2])
            return f"pg_repack failed ({exc.code}): {words or 'it said nothing'}"
        return None

    def stage(self, database: Mapping[str, Any], step: Step) -> Stage:
        """Return pg_repack with all that keeps it from being in the way of others."""
        options = ["--no-order", "--no-kill-backend", f"--wait-timeout={max(1, round(self.pace.wait_timeout))}"]
        options += [f"--table={step.relation}", *([] if database["superuser"] else ["--no-superuser-check"])]
        stage = self.target.stage(
            "pg_repack", *options, f"--dbname={step.database}"
        )  # it takes a name only, no conninfo
        extra = {"PGOPTIONS": OPTIONS + (NOTICES_DEATH if database["version"] >= 140000 else "")}
        argv = list(stage.argv)
        if self.target.inside:
            argv[2:2] = [f"--env={key}" for key in extra]
        return stage._replace(argv=argv, environment={**stage.environment, **extra})

    def clear_up(self, step: Step) -> str:
        """Remove what a run of ours that broke off left; return what to add to its message where that failed."""
        try:
            for _attempt in range(20):
                found = self.observe(step.database)
                if not any(run["oid"] == step.oid for run in found["runs"]):
                    break
                time.sleep(0.25)
            left = [one for one in found["leftovers"] if one["oid"] == step.oid]
            trouble = self.remove(step.database, left[0]) if left else None
        except PgError as exc:
            trouble = str(exc)
        return f"; what it left could not be removed ({trouble}), the next run will try again" if trouble else ""


def gave_up(steps: Sequence[Step]) -> str | None:
    """Return one line for the steps that failed, None where none did."""
    failed = [step for step in steps if step.status == "failed"]
    if not failed:
        return None
    first = failed[0]
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{first.what} in {first.database} failed: {first.message}{others}"
