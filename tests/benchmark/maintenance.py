# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a maintenance costs and gives, beside the commands of a runbook that do the same to everything.

Run it by hand: ``python3 tests/benchmark/maintenance.py [--rows 200000] [--seed 1]``. Quote ratios, not seconds.
The database has 100 tables: 5 with dead rows, 5 others whose one index is bloated, 90 that need nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from pg_cluster import Cluster
from pg_module import finish, start

TEMPLATE, COPY = "template_of_all", "maintained"
SICK = 5
TABLES = 100
GOALS = {"waste": 90, "blocked_ms": 200, "second_seconds": 5}
# The copies are made with the disk's own speed, so that what they cost does not depend on fsync.
SETTINGS = {"fsync": "on", "synchronous_commit": "on"}

# Every table: an id, a random and a growing column with an index each, and a text of no meaning.
CREATE = """
SELECT setseed({fraction});
CREATE TABLE {name} (id int PRIMARY KEY, grows bigint NOT NULL, rolls int NOT NULL, words text NOT NULL);
INSERT INTO {name} SELECT g, g, random() * 1e9, md5(g::text) FROM generate_series(1, {rows}) g;
CREATE INDEX {name}_grows ON {name} (grows);
CREATE INDEX {name}_rolls ON {name} (rolls);
"""
# Rows go and come back with their old id and a new growing value: the heap and the other indexes find room where it was,
# the index of the growing value is filled at its right end only. Five rounds leave it with mostly empty pages.
BLOAT_INDEX = """
DELETE FROM {name} WHERE hashint4(id + {round}) % 10 <> 0;
VACUUM {name};
INSERT INTO {name} SELECT g, {rows} * {round}::bigint + g, random() * 1e9, md5(g::text)
  FROM generate_series(1, {rows}) g WHERE NOT EXISTS (SELECT FROM {name} t WHERE t.id = g);
"""
REBUILD_OTHERS = "REINDEX INDEX {name}_pkey; REINDEX INDEX {name}_rolls; VACUUM (ANALYZE) {name};"
KILL_ROWS = "DELETE FROM {name} WHERE hashint4(id) % 5 = 0;"

# Physical facts. pgstattuple is borrowed in a transaction that is rolled back: no way may find it there already.
FACTS = """
BEGIN;
CREATE SCHEMA borrowed; CREATE EXTENSION pgstattuple SCHEMA borrowed;
SELECT json_build_object(
  'files', (SELECT json_object_agg(relname, relfilenode) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
  'vacuumed', (SELECT coalesce(json_agg(relname), '[]') FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL),
  'indexes', (SELECT json_object_agg(relname, pg_relation_size(oid)) FROM pg_class
    WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace),
  'dead', (SELECT sum((borrowed.pgstattuple(oid)).dead_tuple_count) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace));
ROLLBACK;
"""
COUNTERS = """
SELECT pg_stat_force_next_flush();
SELECT json_build_object('wal', pg_current_wal_insert_lsn() - '0/0', 'seconds', active_time / 1000.0,
  'blocks', blks_read + blks_hit) FROM pg_stat_database WHERE datname = {name};
"""
# Writers touch bloated and healthy tables alike, one row at a time, as an application does.
WRITE = """
\\set id random(1, {rows})
UPDATE {dead} SET words = words || '.' WHERE id = :id;
UPDATE {bloated} SET words = words || '.' WHERE id = :id;
UPDATE {healthy} SET words = words || '.' WHERE id = :id;
"""


@dataclass(frozen=True)
class Way:
    """One way to maintain a database: how it is done, and what its second run would be."""

    name: str
    act: Callable[[Cluster], None]


@dataclass(frozen=True)
class Sizes:
    rows: int
    healthy_rows: int

    def of(self, number: int) -> int:
        return self.rows if number < 2 * SICK else self.healthy_rows


def names(numbers: range) -> list[str]:
    return [f"t{number:02d}" for number in numbers]


DEAD, BLOATED, HEALTHY = names(range(SICK)), names(range(SICK, 2 * SICK)), names(range(2 * SICK, TABLES))


def build(cluster: Cluster, sizes: Sizes, seed: int) -> None:
    """Make the database that every way gets a copy of."""
    cluster.sql(f"CREATE DATABASE {TEMPLATE}")
    chance = random.Random(seed)
    for number, name in enumerate([*DEAD, *BLOATED, *HEALTHY]):
        rows = sizes.of(number)
        cluster.sql(CREATE.format(name=name, rows=rows, fraction=round(chance.random(), 6)), TEMPLATE)
        for turn in range(1, 6 if name in BLOATED else 1):
            cluster.sql(BLOAT_INDEX.format(name=name, rows=rows, round=turn), TEMPLATE)
        if name in BLOATED:
            cluster.sql(REBUILD_OTHERS.format(name=name), TEMPLATE)
    cluster.sql("VACUUM (ANALYZE)", TEMPLATE)
    for name in DEAD:
        cluster.sql(KILL_ROWS.format(name=name), TEMPLATE)
    cluster.sql("CHECKPOINT")


def copy(cluster: Cluster) -> None:
    """Make a fresh copy. Its statistics of activity are empty, as a copy's are: ANALYZE fills them in."""
    cluster.sql(f"DROP DATABASE IF EXISTS {COPY} WITH (FORCE)")
    cluster.sql(f"CREATE DATABASE {COPY} TEMPLATE {TEMPLATE}")
    cluster.sql("ANALYZE", COPY)
    cluster.sql("CHECKPOINT")


def ours(cluster: Cluster) -> None:
    result = finish(start(cluster, COPY))
    if result.get("failed"):
        raise SystemExit(f"the maintenance failed: {result['msg']}")


def runbook(cluster: Cluster) -> None:
    cluster.sql("VACUUM ANALYZE", COPY)
    cluster.sql(f"REINDEX DATABASE {COPY}", COPY)


def full(cluster: Cluster) -> None:
    cluster.sql("VACUUM (FULL, ANALYZE)", COPY)


WAYS = (
    Way("runbook.ops", ours),
    Way("VACUUM ANALYZE; REINDEX DATABASE", runbook),
    Way("VACUUM FULL ANALYZE", full),
)


class Writers:
    """pgbench beside the maintenance: a few connections, a bounded rate, every transaction's time in a log."""

    def __init__(self, cluster: Cluster, sizes: Sizes, *, clients: int, rate: int, seed: int) -> None:
        self.directory = cluster.directory
        rows = sizes.healthy_rows
        scripts = []
        for number, (dead, bloated) in enumerate(zip(DEAD, BLOATED)):
            script = cluster.directory / f"write{number}.sql"
            script.write_text(WRITE.format(dead=dead, bloated=bloated, healthy=HEALTHY[number], rows=rows))
            scripts += ["-f", str(script)]
        argv = [str(cluster.binaries / "pgbench"), "-n", "-c", str(clients), "-j", "1", "-R", str(rate), "-T", "3600"]
        argv += ["-l", "--log-prefix", str(cluster.directory / "writes"), "--random-seed", str(seed), *scripts]
        argv += ["-h", str(cluster.directory), "-p", str(cluster.port), "-U", cluster.user, COPY]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=cluster.directory)

    def stop(self) -> list[float]:
        """Return the milliseconds of each transaction from its start on, without the time that it waited for its turn."""
        self.process.terminate()
        self.process.communicate()
        times = []
        for log in self.directory.glob("writes.*"):
            for line in log.read_text().splitlines():
                fields = line.split()
                if len(fields) >= 7:  # the last line may be cut
                    times.append((int(fields[2]) - int(fields[6])) / 1000)
            log.unlink()
        return times


def quoted(name: str) -> str:
    return f"'{name}'"


def counters(cluster: Cluster) -> dict[str, float]:
    numbers: dict[str, float] = json.loads(cluster.sql(COUNTERS.format(name=quoted(COPY)), COPY).splitlines()[-1])
    return numbers


def facts(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.sql(FACTS, COPY))
    return found


def timed(cluster: Cluster, way: Way) -> dict[str, float]:
    """Return what one run cost: seconds, seconds in the database, bytes of WAL, blocks touched."""
    before = counters(cluster)
    began = time.perf_counter()
    way.act(cluster)
    seconds = time.perf_counter() - began
    after = counters(cluster)
    return {"wall": seconds, **{key: after[key] - before[key] for key in before}}


def measure(cluster: Cluster, way: Way, load: Callable[[], Writers]) -> dict[str, Any]:
    """Return what ``way`` cost and gave: first alone, then again, then on another copy beside writers."""
    copy(cluster)
    before = facts(cluster)
    first = timed(cluster, way)
    after = facts(cluster)
    second = timed(cluster, way)
    copy(cluster)
    writers = load()
    time.sleep(1)
    way.act(cluster)
    time.sleep(0.5)
    writes = writers.stop()
    return {"before": before, "after": after, "first": first, "second": second, "writes": writes}


def quiet(cluster: Cluster, load: Callable[[], Writers]) -> list[float]:
    copy(cluster)
    writers = load()
    time.sleep(3)
    return writers.stop()


def given_back(result: dict[str, Any], floor: dict[str, int], indexes: list[str]) -> float:
    """Return the part of the waste of ``indexes`` that is gone, in percent; a rewrite of all is the floor."""
    before, after = (sum(result[when]["indexes"][name] for name in indexes) for when in ("before", "after"))
    least = sum(floor[name] for name in indexes)
    return 100 * (before - after) / (before - least)


def touched(result: dict[str, Any]) -> tuple[int, int]:
    """Return how many tables were vacuumed or rewritten, and how many indexes rebuilt."""
    before, after = result["before"], result["after"]
    changed = {name for name, file in before["files"].items() if after["files"].get(name) != file}
    indexes = changed & set(before["indexes"])
    return len((changed - indexes) | (set(after["vacuumed"]) - set(before["vacuumed"]))), len(indexes)


def table(results: dict[str, dict[str, Any]]) -> None:
    """Print one line a figure, one column a way, and behind each way of others how many times ours it is."""
    floor = results[WAYS[-1].name]["after"]["indexes"]
    every = list(floor)
    sick = [f"{name}_grows" for name in BLOATED]

    def dead_gone(result: dict[str, Any]) -> float:
        return 100 * (1 - result["after"]["dead"] / result["before"]["dead"])

    figures: list[tuple[str, str, Callable[[dict[str, Any]], float]]] = [
        ("wall, s", ".2f", lambda r: r["first"]["wall"]),
        ("in the database, s", ".2f", lambda r: r["first"]["seconds"]),
        ("WAL written, MB", ".1f", lambda r: r["first"]["wal"] / 1e6),
        ("blocks touched, MB", ".0f", lambda r: r["first"]["blocks"] * 8192 / 1e6),
        ("longest write beside it, ms", ".0f", lambda r: max(r["writes"])),
        ("waste of the bloated indexes given back, %", ".1f", lambda r: given_back(r, floor, sick)),
        ("waste of all indexes given back, %", ".1f", lambda r: given_back(r, floor, every)),
        ("dead rows removed, %", ".1f", dead_gone),
        ("tables touched", ".0f", lambda r: touched(r)[0]),
        ("indexes rebuilt", ".0f", lambda r: touched(r)[1]),
        ("second run: wall, s", ".2f", lambda r: r["second"]["wall"]),
        ("second run: in the database, s", ".3f", lambda r: r["second"]["seconds"]),
        ("second run: WAL written, MB", ".3f", lambda r: r["second"]["wal"] / 1e6),
    ]
    print("| figure |", " | ".join(way.name for way in WAYS), "|")
    print("| --- |", " | ".join("---:" for _ in WAYS), "|")
    for label, form, figure in figures:
        first, *others = (figure(results[way.name]) for way in WAYS)
        cells = [f"{first:{form}}"]
        cells += [f"{one:{form}} ({one / first:.1f} x)" if first > 0.0005 else f"{one:{form}}" for one in others]
        print(f"| {label} |", " | ".join(cells), "|")


def goals(result: dict[str, Any], floor: dict[str, int]) -> None:
    """Say how the goals stand. Nothing depends on it."""
    waste = given_back(result, floor, [f"{name}_grows" for name in BLOATED])
    blocked, second = max(result["writes"]), result["second"]["wall"]
    print(
        f"goals: waste {waste:.1f} % (>= {GOALS['waste']}), longest write {blocked:.0f} ms (< {GOALS['blocked_ms']}), "
        f"second run {second:.2f} s (< {GOALS['second_seconds']}), touched {touched(result)} (= ({SICK}, {SICK}))"
    )


def machine(cluster: Cluster) -> str:
    system = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores, {system['PRETTY_NAME'].strip(chr(34))}, {cluster.run('postgres', '--version').strip()}, Python {python}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of each bloated table (default: 200000)")
    parser.add_argument("--seed", type=int, default=1, help="for the data and the writers (default: 1)")
    parser.add_argument("--clients", type=int, default=4, help="writers (default: 4)")
    parser.add_argument(
        "--rate", type=int, default=100, help="their transactions a second, all together (default: 100)"
    )
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args()
    sizes = Sizes(arguments.rows, max(1000, arguments.rows // 20))
    with Cluster(version=arguments.postgresql, settings=SETTINGS) as cluster:
        build(cluster, sizes, arguments.seed)
        size = int(cluster.sql(f"SELECT pg_database_size({quoted(TEMPLATE)})"))
        print(f"machine: {machine(cluster)}")
        print(
            f"database: {TABLES} tables, {size / 1e6:.0f} MB, seed {arguments.seed}, {arguments.clients} writers at {arguments.rate}/s"
        )

        def load() -> Writers:
            return Writers(cluster, sizes, clients=arguments.clients, rate=arguments.rate, seed=arguments.seed)

        writes = quiet(cluster, load)
        print(f"writers alone: {len(writes)} transactions, longest {max(writes):.0f} ms")
        results = {way.name: measure(cluster, way, load) for way in WAYS}
    table(results)
    goals(results[WAYS[0].name], results[WAYS[-1].name]["after"]["indexes"])


if __name__ == "__main__":
    main()
