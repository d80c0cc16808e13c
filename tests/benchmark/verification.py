# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to prove a backup, beside the commands of a runbook: sha256sum, and ``gunzip | psql`` into a database of its own.

Run it by hand: ``python3 tests/benchmark/verification.py [--megabytes 300] [--rounds 3]``. It needs ansible-core and the programs
of a PostgreSQL server, and makes a cluster of its own. Medians; quote ratios, not seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
from ansible_collections.runbook.ops.plugins.module_utils import _backup_verify, _pg_backup
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import read_backup
from ansible_collections.runbook.ops.plugins.module_utils._pg_fill import Load, fill
from ansible_collections.runbook.ops.plugins.module_utils._pg_scratch import Scratch
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from pg_cluster import Cluster

# What the database compresses to is a quarter of it, as in applications.
TABLE = """
CREATE TABLE t{number} (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), word text NOT NULL, pair int NOT NULL);
INSERT INTO t{number} (id, word, pair) SELECT g, md5(g::text) || repeat('x', 40), g % 1000 FROM generate_series(1, {rows}) g;
CREATE INDEX ON t{number} (pair, id);
"""
TABLES = 4
ROWS_PER_MEGABYTE = 5300  # with their indexes
# The goal of each ratio: the larger the worse.
GOALS = {"restore": 0.5, "reading": 0.35, "second": 0.05, "share": 0.03}


class Bench:
    """A database, its dump as the runbook makes it, and its backup."""

    def __init__(self, cluster: Cluster, megabytes: int, compression: str) -> None:
        self.cluster = cluster
        self.directory = cluster.directory / "backups"
        self.plain = cluster.directory / "dump.sql.gz"
        self.reach = {"login_unix_socket": str(cluster.directory), "run_as": cluster.user}
        cluster.sql("CREATE DATABASE shop")
        for number in range(TABLES):
            cluster.sql(TABLE.format(number=number, rows=megabytes * ROWS_PER_MEGABYTE // TABLES), "shop")
        cluster.sql("VACUUM ANALYZE", "shop")
        self.bytes = int(cluster.sql("SELECT pg_database_size('shop')"))
        dump = cluster.as_user(str(cluster.binaries / "pg_dump"), *cluster.target("shop"))
        self.pipe(dump, ["gzip", "-c"], self.plain)
        options = {
            "database": "shop",
            "directory": str(self.directory),
            "min_free_percent": 0,
            "compression": compression,
        }
        made = _pg_backup.run({**self.reach, **options})["backup"]
        self.backup, self.seconds = Path(made["path"]), made["seconds"]

    @staticmethod
    def pipe(first: Sequence[str], second: Sequence[str], target: Path) -> None:
        with target.open("wb") as file:
            source = subprocess.Popen(first, stdout=subprocess.PIPE, cwd="/")
            subprocess.run(second, stdin=source.stdout, stdout=file, check=True)
            if source.wait():
                raise SystemExit(f"{first[0]} failed")

    def runbook(self) -> None:
        self.cluster.sql("CREATE DATABASE again TEMPLATE template0")
        psql = self.cluster.as_user(str(self.cluster.binaries / "psql"), *self.cluster.target("again"), "-Xq")
        self.pipe(["gunzip", "-c", str(self.plain)], psql, Path("/dev/null"))
        self.cluster.sql("DROP DATABASE again")

    def sha256sum(self) -> None:
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=self.backup, check=True)

    def verify(self, **options: Any) -> dict[str, Any]:
        result = _backup_verify.run({**self.reach, "directory": str(self.directory), "set": "shop", **options})
        if result["problems"]:
            raise SystemExit(f"the backup must pass: {result['problems']}")
        return result

    def drill(self) -> None:
        self.verify(drill=True, drill_max_age="0s")

    def restore(self) -> None:
        """Restore it as a test restore does, and compare nothing."""
        target, content = PgTarget(self.reach), read_backup(self.backup).manifest["content"]
        jobs = min(4, os.cpu_count() or 1)
        with Scratch(target, content, title="benchmark", now=datetime.now(timezone.utc), jobs=jobs) as scratch:
            fill(target, scratch.name, self.backup / content["dump"], Load(jobs, None, self.directory / ".copy", None))


def measure(bench: Bench, rounds: int) -> dict[str, float]:
    """Return the median of each way, in seconds; the ways take turns."""
    seconds: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        seconds.setdefault(name, []).append(value)

    def timed(name: str, work: Callable[[], Any]) -> Any:
        cpu, began = bench.cluster.processor_seconds(), time.monotonic()
        result = work()
        note(name, time.monotonic() - began)
        time.sleep(0.2)  # until the server's sessions have ended
        note(f"{name}, CPU", bench.cluster.processor_seconds() - cpu)
        return result

    for _round in range(rounds):
        timed("runbook", bench.runbook)
        timed("sha256sum", bench.sha256sum)
        timed("first", lambda: bench.verify(reread_after="0s"))
        timed("second", bench.verify)
        timed("drill", bench.drill)
        timed("restore", bench.restore)
    note("backup", bench.seconds)
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(bench: Bench, seconds: dict[str, float]) -> int:
    size = sum(path.stat().st_size for path in bench.backup.rglob("*") if path.is_file())
    print(
        f"database {bench.bytes / 1e6:.0f} MB, backup {size / 1e6:.0f} MB, dump.sql.gz {bench.plain.stat().st_size / 1e6:.0f} MB"
    )
    rows = (
        ("gunzip | psql, nothing compared", "runbook", "runbook"),
        ("test restore, without the comparison", "restore", "runbook"),
        ("test restore, compared, indexes checked", "drill", "runbook"),
        ("sha256sum --check", "sha256sum", "sha256sum"),
        ("verify, all of it read", "first", "sha256sum"),
        ("verify, beside the backup itself", "first", "backup"),
        ("verify again, nothing written since", "second", "first"),
    )
    for title, name, beside in rows:
        took, other = seconds[name], seconds[beside]
        cpu, other_cpu = seconds[f"{name}, CPU"], seconds.get(f"{beside}, CPU")
        share = f"{cpu / other_cpu:6.2f} x" if other_cpu else ""
        print(f"{title:42} {took:8.3f} s  {took / other:6.2f} x {beside:9}  CPU {cpu:8.3f} s  {share}")
    ratios = {
        "restore": seconds["restore"] / seconds["runbook"],
        "reading": seconds["first"] / seconds["sha256sum"],
        "second": seconds["second"] / seconds["first"],
        "share": seconds["first"] / seconds["backup"],
    }
    missed = [f"{name} {ratio:.2f} > {GOALS[name]}" for name, ratio in ratios.items() if ratio > GOALS[name]]
    print(f"load when it was over: {os.getloadavg()[0]:.1f}")
    print("goals: " + (f"missed {', '.join(missed)}" if missed else "all reached"))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="size of the database (default: 300)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (default: 3)")
    parser.add_argument("--compression", default="auto", help="how the backup is compressed: auto, zstd, gzip or none")
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args(argv)
    with Cluster(version=arguments.postgresql) as cluster:
        bench = Bench(cluster, arguments.megabytes, arguments.compression)
        try:
            return report(bench, measure(bench, arguments.rounds))
        finally:
            shutil.rmtree(bench.directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
