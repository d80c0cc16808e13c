# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills pg_repack in the middle of its work, over and over, and looks at what the next run makes of what is left.

Run it by hand: ``python3 tests/campaign/repack_kills.py [--kills 20] [--seed 1]``. It needs ansible-core, the programs of a PostgreSQL
server and pg_repack (Debian: apt-get install postgresql postgresql-15-repack), and makes a cluster of its own. Three ways to kill
(SIGKILL) take turns: pg_repack alone; the module alone, which takes pg_repack with it; the module with all that it started. A
pg_repack of somebody else's works beside each next run, on another table: nothing of it may be touched. Ends with 1 when anything was violated.
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
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from module_process import finish, start_module
from pg_cluster import Cluster, binaries

DATABASE = "maintained"
TARGETS = ("pg_repack", "module", "tree")
TABLES = ("plain", '"Sick \'One\'; -- ""%s"""')
LIMIT_SECONDS = 60.0
# Old rows go, large values with them, so that the table and its TOAST table are mostly waste; names are as awkward as they get.
SICK = """
CREATE TABLE {name} (id int PRIMARY KEY, word text NOT NULL, more text);
ALTER TABLE {name} ALTER more SET STORAGE EXTERNAL;
INSERT INTO {name} SELECT g, md5(g::text), CASE WHEN g % 50 = 0 THEN repeat(md5(g::text), 100) END FROM generate_series(1, {rows}) g;
CREATE INDEX ON {name} (word);
DELETE FROM {name} WHERE hashint4(id) % 3 <> 0;
"""
LEFT = """
SELECT json_build_object(
  'triggers', (SELECT count(*) FROM pg_trigger WHERE tgname = 'repack_trigger' AND tgrelid <> {other}),
  'tables', (SELECT count(*) FROM pg_class c WHERE relnamespace = 'repack'::regnamespace AND relkind = 'r'
     AND relname NOT IN ('log_' || {other}, 'table_' || {other})),
  'types', (SELECT count(*) FROM pg_type WHERE typnamespace = 'repack'::regnamespace AND typname ~ '^pk_' AND typname <> 'pk_' || {other}));
"""
OF_OTHER = """
SELECT (SELECT count(*) FROM pg_trigger WHERE tgname = 'repack_trigger' AND tgrelid = {other})
  + (SELECT count(*) FROM pg_class WHERE relnamespace = 'repack'::regnamespace AND relname IN ('log_' || {other}, 'table_' || {other}));
"""
MET = "SELECT count(*) FROM pg_class WHERE relnamespace = 'repack'::regnamespace AND relname ~ '^log_';"
CONTENTS = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {name} t;"


@dataclass
class Tally:
    """What a campaign has seen."""

    targets: Counter[str] = field(default_factory=Counter)
    with_leftovers: int = 0
    violations: list[str] = field(default_factory=list)

    def line(self, seed: int) -> str:
        targets = ", ".join(f"{self.targets[name]} {name}" for name in TARGETS)
        return (
            f"kills: {self.targets.total()} ({targets}); of them with leftovers: {self.with_leftovers};"
            f" violations: {len(self.violations)}; seed: {seed}"
        )


def start(cluster: Cluster, *, check: bool = False, **options: Any) -> subprocess.Popen[str]:
    arguments = {
        "databases": [DATABASE],
        "login_unix_socket": str(cluster.directory),
        "login_port": cluster.port,
        "jobs": 1,
        "_ansible_check_mode": check,
        "_ansible_remote_tmp": str(cluster.directory),
        **options,
    }
    return start_module("pg_repack", arguments)


def renew(cluster: Cluster, rows: int) -> None:
    """Make a fresh database with sick tables, and one of somebody else's."""
    cluster.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    cluster.sql(f"CREATE DATABASE {DATABASE}")
    for name in TABLES:
        cluster.sql(SICK.format(name=name, rows=rows), DATABASE)
    cluster.sql(
        "CREATE TABLE healthy (id int PRIMARY KEY); INSERT INTO healthy SELECT generate_series(1, 1000)", DATABASE
    )
    cluster.sql("CREATE TABLE watched AS SELECT 1 AS id", DATABASE)
    cluster.sql("CREATE EXTENSION pg_repack", DATABASE)
    cluster.sql("VACUUM (ANALYZE)", DATABASE)


def contents(cluster: Cluster) -> list[str]:
    return [cluster.sql(CONTENTS.format(name=name), DATABASE) for name in TABLES]


def wait_until_it_works(cluster: Cluster, process: subprocess.Popen[str]) -> None:
    """Return once a log table is there, or the run is over."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while cluster.sql(MET, DATABASE) == "0" and process.poll() is None:
        if time.monotonic() > deadline:
            raise SystemExit("no run began within a minute")


def family(pid: int) -> list[tuple[int, str]]:
    """Return the processes (pid, name) below ``pid``, whichever of its threads started them."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += [(int(child), Path(f"/proc/{child}/comm").read_text().strip()), *family(int(child))]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended just now
    return found


def strike(pid: int, target: str) -> bool:
    """Kill what ``target`` says of the run ``pid``. Return whether there was anything."""
    below = family(pid)
    victims = {
        "module": [pid],
        "tree": [pid, *(child for child, _name in below)],
        "pg_repack": [child for child, name in below if name == "pg_repack"],
    }[target]
    killed = False
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
            killed = True
        except ProcessLookupError:
            continue  # it ended just now
    return killed


class Snapshot:
    """An open snapshot, for whose end each pg_repack has to wait with its trigger, its log and its copy in place."""

    def __init__(self, cluster: Cluster) -> None:
        argv = [*cluster.as_user(str(cluster.binaries / "psql")), *cluster.target(DATABASE), "-X", "-qAt"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM watched;\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.communicate()


class SomebodyElse:
    """A pg_repack of another table that waits in the middle of its work, until ``let_go``."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.snapshot = Snapshot(cluster)
        program = str(cluster.binaries / "pg_repack")
        argv = [*cluster.as_user(program), "-h", str(cluster.directory), "-p", str(cluster.port), "-d", DATABASE]
        self.process = subprocess.Popen(
            [*argv, "--no-order", "--table=public.healthy"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/"
        )
        self.oid = cluster.sql("SELECT 'healthy'::regclass::oid", DATABASE)
        deadline = time.monotonic() + LIMIT_SECONDS
        while self.parts() != "3":
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit("the pg_repack of somebody else did not begin")

    def parts(self) -> str:
        return self.cluster.sql(OF_OTHER.format(other=self.oid), DATABASE)

    def let_go(self) -> int:
        self.snapshot.close()
        self.process.communicate(timeout=LIMIT_SECONDS)
        return self.process.returncode


def judge(cluster: Cluster, before: list[str], tally: Tally) -> list[str]:
    """Run again beside somebody else's pg_repack, and return what is not as it must be."""
    tally.with_leftovers += cluster.sql(MET, DATABASE) != "0"
    other = SomebodyElse(cluster)
    wrong = []
    # With somebody's snapshot open nothing is written anew: what is left over goes all the same.
    again = finish(start(cluster, open_transaction_seconds=0, wait_seconds=2))
    if again.get("failed") or again.get("killed"):
        wrong.append(f"the next run failed: {again['msg']}")
    left = json.loads(cluster.sql(LEFT.format(other=other.oid), DATABASE))
    if any(left.values()):
        wrong.append(f"left over after the next run: {left}")
    if other.parts() != "3":
        wrong.append("what belongs to a pg_repack at work was touched")
    if other.let_go():
        wrong.append("the pg_repack of somebody else failed")
    last = finish(start(cluster))
    if last.get("failed") or last.get("killed"):
        wrong.append(f"the run after it failed: {last['msg']}")
    quiet = finish(start(cluster, check=True))
    if quiet.get("failed") or quiet.get("plan"):
        wrong.append(f"a third run still finds something: {quiet.get('actions') or quiet.get('msg')}")
    if contents(cluster) != before:
        wrong.append("the rows are not what they were")
    return wrong


def campaign(cluster: Cluster, *, kills: int, seed: int, rows: int) -> Tally:
    """Kill ``kills`` runs, one way after the other, each at its own moment."""
    chance, tally = random.Random(seed), Tally()
    while tally.targets.total() < kills:
        target = TARGETS[tally.targets.total() % len(TARGETS)]
        renew(cluster, rows)
        before = contents(cluster)
        snapshot = Snapshot(cluster)
        process = start(cluster)
        wait_until_it_works(cluster, process)
        time.sleep(chance.choice((0, chance.uniform(0, 2))))
        struck = process.poll() is None and strike(process.pid, target)
        snapshot.close()
        result = finish(process)
        if not struck:
            raise SystemExit(f"there was nothing to kill: {result['msg']}")
        tally.targets[target] += 1
        tally.violations += [f"kill {tally.targets.total()} ({target}): {one}" for one in judge(cluster, before, tally)]
    return tally


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many runs to kill (default: 20)")
    parser.add_argument("--seed", type=int, help="for the moments (default: a new one, which is printed)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each sick table (default: 100000)")
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed: {seed}", flush=True)
    programs = binaries(arguments.postgresql)
    if not (programs / "pg_repack").exists():
        version = programs.parent.name
        raise SystemExit(
            f"PostgreSQL {version} has no pg_repack here (Debian: apt-get install postgresql-{version}-repack)"
        )
    with Cluster(version=arguments.postgresql) as cluster:
        tally = campaign(cluster, kills=arguments.kills, seed=seed, rows=arguments.rows)
    for violation in tally.violations:
        print(violation)
    print(tally.line(seed))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
