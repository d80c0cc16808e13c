# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills a maintenance run at random moments, over and over, and looks at what the next run makes of what is left.

Run it by hand: ``python3 tests/campaign/maintenance_kills.py [--kills 20] [--seed 1]``. It needs ansible-core and the
programs of a PostgreSQL server (Debian: apt-get install postgresql), and makes a cluster of its own. Three ways to kill
(SIGKILL) take turns: the module's process alone, so that psql goes on without it; the module with all that it started;
psql alone. Ends with 1 when anything was violated.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from pg_cluster import Cluster
from pg_module import finish, start

TEMPLATE, DATABASE, OTHER = "pristine", "maintained", "untouched"
NOTICED_SECONDS = 1.5  # a server looks every second whether its client still lives
TARGETS = ("module", "tree", "psql")
# Slow enough that a kill can meet every statement at work.
SETTINGS = {"vacuum_cost_delay": "1ms", "vacuum_cost_limit": "200", "maintenance_work_mem": "1MB"}
# Old rows go, so that the table wants a vacuum and each index a rebuild; names are as awkward as they get.
SICK = """
CREATE TABLE {name} (id int PRIMARY KEY, word text NOT NULL, pair int NOT NULL);
INSERT INTO {name} SELECT g, md5(g::text), g / 2 FROM generate_series(1, {rows}) g;
CREATE UNIQUE INDEX {word} ON {name} (word);
CREATE INDEX {pair} ON {name} (pair, word) WHERE id > 0;
DELETE FROM {name} WHERE hashint4(id) % 10 BETWEEN -8 AND 8;
"""
NAMES = (
    ("plain", "plain_word", "plain_pair"),
    ('"Sick One"', "\"Sick 'One' Word\"", '"Sick; -- ""Pair"""'),
)
HEALTHY = "CREATE TABLE healthy AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, 5000) g; CREATE INDEX ON healthy (word);"

# The phase that the sessions of a run are in; vacuum and reindex say more than the question beside them.
PHASE = """
SELECT coalesce(string_agg(DISTINCT CASE WHEN query ~ 'REINDEX' THEN 'reindex' WHEN query ~ 'VACUUM|ANALYZE' THEN 'vacuum'
  WHEN query ~ 'DROP INDEX' THEN 'drop' ELSE 'observe' END, ','), 'between')
FROM pg_stat_activity WHERE application_name LIKE 'runbook.ops pg_maintenance %' AND state = 'active';
"""
LEFT = """
SELECT coalesce(json_agg(DISTINCT c.relname), '[]') FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relname ~ '_cc(new|old)[0-9]*$' OR NOT coalesce(i.indisvalid, true);
"""
BORROWED = """
SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'runbook%')
  + (SELECT count(*) FROM pg_extension WHERE extname = 'pgstattuple');
"""
FILES = """
SELECT json_object_agg(c.relname, json_build_array(c.relfilenode, s.last_vacuum, s.last_analyze))
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE c.relnamespace = 'public'::regnamespace;
"""
# Every B-tree is compared with its table, row by row. The extension is borrowed like pgstattuple.
CHECK_INDEXES = """
BEGIN;
CREATE EXTENSION amcheck;
SELECT bt_index_parent_check(indexrelid, true) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND indisvalid;
ROLLBACK;
"""
ROWS = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {name} t"
INDEXES = "SELECT json_agg(indexdef ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'public';"


@dataclass
class Tally:
    """What a campaign has seen."""

    moments: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    leftovers: int = 0
    removed: int = 0
    violations: list[str] = field(default_factory=list)

    def line(self, seed: int) -> str:
        moments = ", ".join(f"{number} {name}" for name, number in sorted(self.moments.items()))
        targets = ", ".join(f"{self.targets[name]} {name}" for name in TARGETS)
        return (
            f"kills: {self.targets.total()} ({targets}); during: {moments}; leftovers: {self.leftovers} found, "
            f"{self.removed} removed; violations: {len(self.violations)}; seed: {seed}"
        )


@dataclass(frozen=True)
class Moment:
    """When to kill: ``delay`` seconds after the start, or after ``phase`` was seen first."""

    delay: float
    phase: str = ""
    held: bool = False  # a snapshot is opened then, so that a rebuild is met half way

    @classmethod
    def draw(cls, chance: random.Random, whole: float) -> Moment:
        """Return a moment of a run that takes ``whole`` seconds: any, or near the statements that change something."""
        phase, held = chance.choice((("", False), ("vacuum", False), ("reindex", False), ("reindex", True)))
        reach = {"": whole, "vacuum": 0.2 * whole, "reindex": 0.4 * whole}[phase]
        return cls(chance.uniform(0.05 * whole if not phase else 0, reach), phase, held)


class Watcher:
    """One open session that answers at once what the sessions of a run are doing."""

    def __init__(self, cluster: Cluster) -> None:
        argv = [*cluster.as_user(str(cluster.binaries / "psql")), *cluster.target("postgres"), "-X", "-qAt"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")

    def phase(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(PHASE.strip() + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.communicate()


def build(cluster: Cluster, rows: int) -> None:
    """Make the sick database that each round gets a copy of, and one that nobody may touch."""
    cluster.sql(f"CREATE DATABASE {TEMPLATE}")
    cluster.sql(HEALTHY, TEMPLATE)
    for name, word, pair in NAMES:
        cluster.sql(SICK.format(name=name, word=word, pair=pair, rows=rows), TEMPLATE)
    cluster.sql(f"CREATE DATABASE {OTHER} TEMPLATE {TEMPLATE}")
    cluster.sql("ANALYZE", OTHER)


def renew(cluster: Cluster) -> None:
    """Make a fresh sick copy. Its statistics of activity are empty: ANALYZE fills them in."""
    cluster.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    cluster.sql(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")
    cluster.sql("ANALYZE", DATABASE)


def contents(cluster: Cluster, database: str) -> str:
    """Return the number of rows and a checksum of the data of each table, and the definitions of the indexes."""
    tables = ["healthy", *(name for name, _word, _pair in NAMES)]
    rows = " UNION ALL ".join(ROWS.format(name=name) for name in tables)
    return cluster.sql(f"SET enable_indexscan = off; {rows}; {INDEXES}", database)


def family(pid: int) -> list[tuple[int, str]]:
    """Return the processes (pid, name) below ``pid``, parents first."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            found += [(int(child), Path(f"/proc/{child}/comm").read_text().strip()), *family(int(child))]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended just now
    return found


def strike(pid: int, target: str) -> int:
    """Kill what ``target`` says of the run ``pid`` and return how many processes that were."""
    below = family(pid)
    victims = {
        "module": [pid],
        "tree": [pid, *(child for child, _name in below)],
        "psql": [child for child, name in below if name == "psql"],
    }[target]
    killed = 0
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue  # it ended just now
    return killed


class Holder:
    """An open snapshot. A rebuild has to wait for its end, with the new index half made."""

    def __init__(self, cluster: Cluster) -> None:
        argv = [*cluster.as_user(str(cluster.binaries / "psql")), *cluster.target(DATABASE), "-X", "-qAt"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM healthy;\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.communicate()


def wait_for(process: subprocess.Popen[str], watcher: Watcher, phase: str) -> None:
    """Return once the run is in ``phase``, or has ended."""
    while process.poll() is None and phase not in watcher.phase():
        time.sleep(0.001)


def kill_at(cluster: Cluster, watcher: Watcher, target: str, moment: Moment) -> str | None:
    """Start a run and kill it at ``moment``. Return the phase it was in, None where there was nothing to kill."""
    process, holder = start(cluster, DATABASE), None
    try:
        if moment.phase:
            wait_for(process, watcher, moment.phase)
        if moment.held:
            holder = Holder(cluster)
        time.sleep(moment.delay)
        phase = watcher.phase()
        killed = strike(process.pid, target) if process.poll() is None else 0
        process.communicate()
        if holder:
            time.sleep(NOTICED_SECONDS)
    finally:
        if holder:
            holder.close()
    return phase if killed else None


def left_over(cluster: Cluster) -> list[str]:
    found: list[str] = json.loads(cluster.sql(LEFT, DATABASE))
    return found


def judge(cluster: Cluster, before: dict[str, str], tally: Tally) -> list[str]:
    """Run again and return what is not as it must be."""
    wrong = []
    again = finish(start(cluster, DATABASE))
    drops = [one for one in again.get("plan", []) if one["action"] == "drop_index"]
    tally.leftovers += len(drops)
    tally.removed += sum(one["status"] == "done" for one in drops)
    if again.get("failed"):
        wrong.append(f"the next run failed: {again['msg']}")
    if left_over(cluster):
        wrong.append(f"left over after the next run: {left_over(cluster)}")
    if cluster.sql(BORROWED, DATABASE) != "0":
        wrong.append("pgstattuple or its schema was not given back")
    quiet = finish(start(cluster, DATABASE, check=True))
    if quiet.get("failed") or quiet.get("plan"):
        wrong.append(f"the run after it still finds something: {quiet.get('actions') or quiet.get('msg')}")
    return wrong + damages(cluster, before)


def damages(cluster: Cluster, before: dict[str, str]) -> list[str]:
    """Return what is wrong with the data, the indexes, or the database beside them."""
    wrong = []
    if contents(cluster, DATABASE) != before["contents"]:
        wrong.append("data or indexes are not what they were")
    try:
        cluster.sql(CHECK_INDEXES, DATABASE)
    except RuntimeError as exc:
        wrong.append(f"an index does not match its table: {exc}")
    if cluster.sql(FILES, OTHER) != before["other"]:
        wrong.append("the other database was touched")
    return wrong


def typical_seconds(cluster: Cluster) -> float:
    """Return how long a run takes that nobody kills; the kills are spread over that time."""
    renew(cluster)
    began = time.monotonic()
    result = finish(start(cluster, DATABASE))
    if result.get("failed") or not result["actions"]:
        raise SystemExit(f"a run that nobody kills must work: {result.get('msg') or 'it found nothing to do'}")
    return time.monotonic() - began


def campaign(cluster: Cluster, *, kills: int, seed: int) -> Tally:
    """Kill ``kills`` runs, one way after the other, each at its own moment."""
    chance, tally, watcher = random.Random(seed), Tally(), Watcher(cluster)
    before = {"contents": contents(cluster, TEMPLATE), "other": cluster.sql(FILES, OTHER)}
    whole = typical_seconds(cluster)
    while tally.targets.total() < kills:
        target, moment = TARGETS[tally.targets.total() % len(TARGETS)], Moment.draw(chance, whole)
        renew(cluster)
        phase = kill_at(cluster, watcher, target, moment)
        if phase is None:
            continue  # the run was over, or had no psql just then: another moment
        tally.targets[target] += 1
        tally.moments[phase] += 1
        wrong = judge(cluster, before, tally)
        tally.violations += [f"kill {tally.targets.total()} ({target}, {phase}, {moment}): {one}" for one in wrong]
    watcher.close()
    return tally


def report(tally: Tally, seed: int) -> int:
    for violation in tally.violations:
        print(violation)
    print(tally.line(seed))
    return 1 if tally.violations else 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many runs to kill (default: 20)")
    parser.add_argument("--seed", type=int, help="for the moments (default: a new one, which is printed)")
    parser.add_argument(
        "--rows", type=int, default=100_000, help="rows of each sick table before most go (default: 100000)"
    )
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed: {seed}", flush=True)
    with Cluster(version=arguments.postgresql, settings=SETTINGS) as cluster:
        build(cluster, arguments.rows)
        tally = campaign(cluster, kills=arguments.kills, seed=seed)
    return report(tally, seed)


if __name__ == "__main__":
    sys.exit(main())
