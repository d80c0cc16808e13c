# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills restores at their named moments and at random ones, and looks at what the next run makes of what is left.

Run it by hand: ``python3 tests/campaign/restore_kills.py [--kills 40] [--seed 1]``. It needs ansible-core and the programs of a
PostgreSQL server (Debian: apt-get install postgresql), and makes two clusters of its own: one is restored, the other has the same
databases and must stay as it is. Two services write to it, which are stopped and started around the exchange of names. After each kill
the live database is the old one or the new one, whole; the next runs finish what was begun, all services run, and nothing is left over.
Ends with 1 when anything was violated.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from module_process import finish
from pg_cluster import Cluster
from restore_module import make_backup, run, start
from units import Units

NOW, LIVE = "template now", "shop"
# What is killed, the states before it, and the moments at which it can be.
ACTS = {
    "prepared": ((), ("journaled", "created", "loaded", "compared", "analyzed", "prepared")),
    "pruned": (("prepared", "swapped"), ("closed", "dropping", "dropped")),
    "swapped": (("prepared",), ("closing", "stopped", "swapping", "swapped", "started", "serving")),
    "reverted": (("prepared", "swapped"), ("closing", "stopped", "reverting", "reverted", "started", "serving")),
}
API, WORKER = "api.service", "worker.service"
SERVICES = [
    {"name": "api", "manager": "systemd", "unit": API},
    {"name": "worker", "manager": "systemd", "after": ["api"]},
]
POINTS = [(state, point) for state, (_before, points) in ACTS.items() for point in points]
FILL = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE "Task List" (id serial PRIMARY KEY, owner int REFERENCES users, title text);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, {rows}) g;
INSERT INTO "Task List" (owner, title) SELECT g, md5(g::text) FROM generate_series(1, {rows}) g;
CREATE INDEX ON "Task List" (title);
"""
CHANGE = "DELETE FROM \"Task List\" WHERE id % 3 = 0; INSERT INTO users VALUES (0, 'written since');"
PRINT = """
SELECT (SELECT count(*) || ' ' || sum(hashtextextended(t::text, 0)) FROM users t) || ' '
  || (SELECT count(*) || ' ' || sum(hashtextextended(t::text, 0)) FROM "Task List" t) || ' '
  || (SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'public') || ' '
  || (SELECT string_agg(conname || convalidated, ';' ORDER BY conname) FROM pg_constraint WHERE conrelid >= 16384)
"""
DATABASES = "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE NOT datistemplate"
# Slow enough that a kill can meet each part of the load.
SETTINGS = {"max_wal_size": "1GB", "shared_buffers": "64MB"}


@dataclass
class Tally:
    """What a campaign has seen."""

    kills: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def line(self, seed: int) -> str:
        told = ", ".join(f"{number} {name}" for name, number in sorted(self.kills.items()))
        return f"kills: {self.kills.total()} ({told}); violations: {len(self.violations)}; seed: {seed}"


class Field:
    """A server that is restored, one that must not be touched, and a backup."""

    def __init__(self, cluster: Cluster, other: Cluster, rows: int) -> None:
        self.cluster, self.other = cluster, other
        for server in (cluster, other):
            server.sql(f"CREATE DATABASE {LIVE}")
            server.sql(FILL.format(rows=rows), LIVE)
        self.backup = make_backup(cluster, LIVE, cluster.directory / "backups")
        self.then = cluster.sql(PRINT, LIVE)
        cluster.sql(CHANGE, LIVE)
        self.now = cluster.sql(PRINT, LIVE)
        cluster.sql(f'CREATE DATABASE "{NOW}" TEMPLATE {LIVE} IS_TEMPLATE true')
        self.untouched = self.other_is()
        self.units = Units(cluster.directory / "services", {unit: ["sleep", "3600"] for unit in (API, WORKER)})

    def other_is(self) -> str:
        return self.other.sql(PRINT, LIVE) + self.other.sql(
            "SELECT string_agg(oid || datname, ',' ORDER BY oid) FROM pg_database"
        )

    def renew(self) -> None:
        """Have the live database as it was, and no others."""
        for name in self.databases():
            self.cluster.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        self.cluster.sql(f'CREATE DATABASE {LIVE} TEMPLATE "{NOW}"')
        for path in (self.cluster.directory / "journal").glob("*.json"):
            path.unlink()
        self.units.systemctl("start", API, WORKER)

    def databases(self) -> list[str]:
        return [name for name in self.cluster.sql(DATABASES).split(",") if name != "postgres"]

    def do(self, state: str, **options: object) -> dict[str, object]:
        given = {**self.options(state), **options}
        return run(self.cluster, LIVE, state, environment=self.units.environment, **given)

    def seconds(self, state: str) -> float:
        """Return how long ``state`` takes when nobody kills it."""
        self.renew()
        for before in ACTS[state][0]:
            self.do(before)
        began = time.monotonic()
        self.do(state)
        return time.monotonic() - began

    def options(self, state: str) -> dict[str, object]:
        if state == "prepared":
            return {"backup": str(self.backup.path), "canaries": ["SELECT count(*) FROM users"]}
        return {"keep_days": 0} if state == "pruned" else {"services": SERVICES}

    def is_whole(self, allowed: Sequence[str]) -> str:
        """Return what is wrong with the live database; nothing where it is one of ``allowed``."""
        try:
            found = self.cluster.sql(PRINT, LIVE)
        except RuntimeError as exc:
            return f"the live database cannot be asked: {exc}"
        return "" if found in allowed else "the live database is neither the old nor the new one"


def kill(field_: Field, state: str, point: str, delay: float) -> bool:
    """Start ``state`` and kill it, at ``point`` or after ``delay`` seconds with all that it started. Return whether it was alive."""
    killer = {"RUNBOOK_OPS_KILL_AT": f"pg_restore:{point}"} if point else {}
    environment = {**field_.units.environment, **killer}
    process = start(field_.cluster, LIVE, state, environment=environment, **field_.options(state))
    if not point:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    return bool(finish(process).get("killed"))


def judge(field_: Field, state: str) -> list[str]:
    """Run on after the kill and return what is not as it must be."""
    wrong = [field_.is_whole((field_.then, field_.now))]
    wanted = [*ACTS[state][0], state]
    again = wanted if state in ("prepared", "swapped") else [state]
    for step in again:
        result = field_.do(step)
        if result.get("failed") or result.get("killed"):
            wrong.append(f"the next run, {step}, failed: {result.get('msg')}")
    if field_.units.running() != [API, WORKER]:
        wrong.append(f"of the services there run only {field_.units.running()}")
    expected = field_.then if state in ("swapped", "pruned") else field_.now
    wrong.append(field_.is_whole((expected,)))
    quiet = field_.do(state)
    if quiet.get("changed"):
        wrong.append(f"a further run of {state} still changes something: {quiet.get('actions')}")
    if state == "prepared":
        field_.do("reverted")
    field_.do("pruned")
    if field_.databases() != [LIVE]:
        wrong.append(f"left over: {field_.databases()}")
    journal = field_.cluster.directory / "journal"
    strangers = [path.name for path in journal.iterdir() if path.suffix not in (".json", ".lock", ".partial")]
    if strangers:
        wrong.append(f"left over in the journal's directory: {strangers}")
    if field_.other_is() != field_.untouched:
        wrong.append("the other server was touched")
    return [one for one in wrong if one]


def moments(kills: int, chance: random.Random) -> list[tuple[str, str, float]]:
    """Return what to kill: first each named moment once, then random ones, as a share of the time that the state takes."""
    named = [(state, point, 0.0) for state, point in POINTS][:kills]
    by_chance = []
    while len(named) + len(by_chance) < kills:
        state = chance.choice(("prepared", "prepared", "swapped", "reverted", "pruned"))
        by_chance.append((state, "", chance.uniform(0.35, 1)))
    return named + by_chance


def campaign(field_: Field, *, kills: int, seed: int) -> Tally:
    tally = Tally()
    whole = {state: field_.seconds(state) for state in ACTS}
    for state, point, share in moments(kills, random.Random(seed)):
        field_.renew()
        for before in ACTS[state][0]:
            result = field_.do(before)
            if result.get("failed"):
                raise SystemExit(f"a restore that nobody kills must work: {result['msg']}")
        killed = kill(field_, state, point, share * whole[state])
        if point and not killed:
            tally.violations.append(f"{state} did not pass by {point}")
        tally.kills[f"{state}:{point}" if point else f"{state} by chance" if killed else "over already"] += 1
        tally.violations += [f"{state} {point or share}: {one}" for one in judge(field_, state)]
    return tally


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="how many runs to kill (default: 40)")
    parser.add_argument("--seed", type=int, help="for the moments (default: a new one, which is printed)")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of each table (default: 20000)")
    arguments = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    began = time.monotonic()
    with Cluster(settings=SETTINGS) as cluster, Cluster(settings=SETTINGS) as other:
        field_ = Field(cluster, other, arguments.rows)
        try:
            tally = campaign(field_, kills=arguments.kills, seed=seed)
        finally:
            field_.units.end()
    for violation in tally.violations:
        print(violation)
    print(f"{time.monotonic() - began:.0f} s")
    print(tally.line(seed))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
