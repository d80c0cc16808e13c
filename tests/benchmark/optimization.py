# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monthly optimization gives back and costs, beside ``VACUUM FULL`` of the runbook.

Run it by hand: ``python3 tests/benchmark/optimization.py [--rows 200000] [--healthy-rows 100000]``. Quote ratios, not seconds. The database is that of
maintenance.py: 100 tables, 5 with dead rows, 5 others whose one index is bloated, 90 that need nothing. Each way has writers beside it
on a second copy; the wall time is that of the first, which nobody writes to. A writer is blocked while it waits for a lock: how long a
write takes on a busy machine is told beside it. It needs pg_repack (Debian: postgresql-15-repack).
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from typing import Any

from maintenance import (
    BLOATED,
    COPY,
    DEAD,
    HEALTHY,
    SETTINGS,
    TABLES,
    Sizes,
    Way,
    Writers,
    build,
    copy,
    full,
    machine,
    ours,
    quiet,
    quoted,
)
from maintenance import TEMPLATE as WHOLE
from module_process import finish, start_module
from pg_cluster import Cluster

GOALS = {"given_back": 98, "wall": 25, "blocked_ms": 200}
# Tables, TOAST tables and indexes themselves: the maps of free space that VACUUM FULL drops too come back with the next vacuum.
BYTES = """
SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
  OR oid IN (SELECT reltoastrelid FROM pg_class WHERE relnamespace = 'public'::regnamespace);
"""
# A wait for a lock is told from a wait for a busy machine: the server logs each that is longer than twenty milliseconds.
WAITS = {"log_lock_waits": "on", "deadlock_timeout": "20ms", "log_line_prefix": "'%a: '"}
WAITED = re.compile(r"^pgbench: LOG: .* acquired \w+ on .* after ([\d.]+) ms", re.MULTILINE)


def optimize(cluster: Cluster) -> None:
    """Do what the playbook does: bloated tables first, then what pg_maintenance finds."""
    arguments = {
        "databases": [COPY],
        "login_unix_socket": str(cluster.directory),
        "login_port": cluster.port,
        "_ansible_remote_tmp": str(cluster.directory),
    }
    result = finish(start_module("pg_repack", arguments))
    if result.get("failed") or result.get("killed") or not result["ready"][COPY]:
        raise SystemExit(f"the optimization failed: {result['msg'] or result['checks'][0]['remedy']}")
    print(f"  of it pg_repack: {', '.join(str(one['seconds']) for one in result['plan'])} s for each table", flush=True)
    ours(cluster)


WAYS = (Way("runbook.ops", optimize), Way("VACUUM FULL ANALYZE", full))


def size(cluster: Cluster) -> int:
    return int(cluster.sql(BYTES, COPY))


def fresh(cluster: Cluster) -> None:
    copy(cluster)
    cluster.sql("CREATE EXTENSION pg_repack", COPY)


def measure(cluster: Cluster, way: Way, load: Callable[[], Writers]) -> dict[str, Any]:
    """Return what ``way`` gave back and took alone, and the longest write beside it on another copy."""
    fresh(cluster)
    before, began = size(cluster), time.perf_counter()
    way.act(cluster)
    wall, after = time.perf_counter() - began, size(cluster)
    fresh(cluster)
    logged = len(cluster.log.read_text())
    writers = load()
    time.sleep(1)
    way.act(cluster)
    time.sleep(0.5)
    writes = sorted(writers.stop())
    waits = [float(one) for one in WAITED.findall(cluster.log.read_text()[logged:])]
    return {"wall": wall, "given_back": before - after, "writes": writes, "blocked": max(waits, default=20.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of each bloated table (default: 200000)")
    parser.add_argument("--healthy-rows", type=int, help="of each of the 90 others (default: a twentieth)")
    parser.add_argument("--seed", type=int, default=1, help="for the data and the writers (default: 1)")
    parser.add_argument("--clients", type=int, default=4, help="writers (default: 4)")
    parser.add_argument("--rate", type=int, default=100, help="their transactions a second, together (default: 100)")
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args()
    sizes = Sizes(arguments.rows, arguments.healthy_rows or max(1000, arguments.rows // 20))
    with Cluster(version=arguments.postgresql, settings={**SETTINGS, **WAITS}) as cluster:
        build(cluster, sizes, arguments.seed)
        bytes_of = int(cluster.sql(f"SELECT pg_database_size({quoted(WHOLE)})"))
        print(f"machine: {machine(cluster)}")
        tables = f"{len(DEAD)} with dead rows, {len(BLOATED)} with a bloated index, {TABLES - len(DEAD) - len(BLOATED)} others"
        print(f"database: {bytes_of / 1e6:.0f} MB, {tables} (of these {len(HEALTHY)} healthy), seed {arguments.seed}")

        def load() -> Writers:
            return Writers(cluster, sizes, clients=arguments.clients, rate=arguments.rate, seed=arguments.seed)

        alone = quiet(cluster, load)
        print(f"writers alone: {len(alone)} transactions, longest {max(alone):.0f} ms", flush=True)
        mine, theirs = (measure(cluster, way, load) for way in WAYS)
    print(f"| figure | {' | '.join(way.name for way in WAYS)} |\n| --- | ---: | ---: |")
    for label, figure in (
        ("wall, s", lambda one: f"{one['wall']:.2f}"),
        ("given back, MB", lambda one: f"{one['given_back'] / 1e6:.1f}"),
        ("longest wait of a writer for a lock, ms", lambda one: f"{one['blocked']:.0f}"),
        ("longest write beside it, ms", lambda one: f"{one['writes'][-1]:.0f}"),
        ("99th percentile of writes, ms", lambda one: f"{one['writes'][int(len(one['writes']) * 0.99)]:.0f}"),
    ):
        print(f"| {label} | {figure(mine)} | {figure(theirs)} |")
    share, wall = 100 * mine["given_back"] / theirs["given_back"], 100 * mine["wall"] / theirs["wall"]
    print(
        f"goals: given back {share:.1f} % (>= {GOALS['given_back']}), wall {wall:.0f} % (<= {GOALS['wall']}),"
        f" longest blocked writer {mine['blocked']:.0f} ms (< {GOALS['blocked_ms']})"
    )


if __name__ == "__main__":
    main()
