# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an application is without its database while that is restored: by the runbook's lines, and by pg_restore.

Run it by hand: ``python3 tests/benchmark/restore.py [--megabytes 100]``. A client asks for a row of the backup and writes one, over and over;
what is measured is the longest time between two answers. Both ways restore the same backup, on the same private cluster, one after
the other. The runbook's: DROP DATABASE, CREATE DATABASE, ``psql <`` of a plain dump. The client stands for an application that is not
stopped: the time to stop and start one is its own, and the same for both.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from pg_cluster import Cluster
from restore_module import make_backup, run

NAME = "shop"
ROW_BYTES = 210  # of a row with its part of two indexes, about
FILL = """
CREATE TABLE orders (id bigint PRIMARY KEY, customer int, note text);
CREATE TABLE beats (at timestamptz DEFAULT clock_timestamp());
INSERT INTO orders SELECT g, g % 1000, md5(g::text) || md5((g + 1)::text) || md5((g + 2)::text) FROM generate_series(1, {rows}) g;
CREATE INDEX ON orders (customer);
"""
BEAT = "INSERT INTO beats DEFAULT VALUES; SELECT id FROM orders WHERE id ="


class Client(threading.Thread):
    """Asks and writes until it is told to stop; ``longest`` is the longest time without an answer, in seconds."""

    def __init__(self, cluster: Cluster, rows: int) -> None:
        super().__init__(daemon=True)
        self._cluster, self._rows = cluster, rows
        self._ended = threading.Event()
        self.longest, self.answers = 0.0, 0

    def run(self) -> None:
        last = time.monotonic()
        while not self._ended.is_set():
            try:
                found = self._cluster.sql(f"{BEAT} {self._rows}", NAME)
            except RuntimeError:
                continue
            if found == str(self._rows):
                now = time.monotonic()
                self.longest, last, self.answers = max(self.longest, now - last), now, self.answers + 1

    def end(self) -> None:
        self._ended.set()
        self.join()


def measured(cluster: Cluster, rows: int, restore: Callable[[], None]) -> tuple[float, float]:
    """Return the longest time without an answer while ``restore`` runs, and how long that took, in seconds."""
    client = Client(cluster, rows)
    client.start()
    time.sleep(1)
    began = time.monotonic()
    restore()
    took = time.monotonic() - began
    time.sleep(1)
    client.end()
    return client.longest, took


def by_hand(cluster: Cluster, dump: Path) -> None:
    """Do as the runbook says. Its application is stopped: here its sessions are ended, for DROP DATABASE fails otherwise."""
    cluster.sql(f"DROP DATABASE {NAME} WITH (FORCE)")
    cluster.sql(f"CREATE DATABASE {NAME}")
    cluster.run("psql", *cluster.target(NAME), "-q", "-o", "/dev/null", "-f", str(dump))


def beside(cluster: Cluster, backup: Path) -> None:
    for state, options in (("prepared", {"backup": str(backup)}), ("swapped", {}), ("pruned", {"keep_days": 0})):
        result = run(cluster, NAME, state, **options)
        if result.get("failed") or result.get("killed"):
            raise SystemExit(f"{state} failed: {result['msg']}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the database (default: 100)")
    arguments = parser.parse_args(argv)
    rows = arguments.megabytes * 1_000_000 // ROW_BYTES
    with Cluster() as cluster:
        cluster.sql(f"CREATE DATABASE {NAME}")
        cluster.sql(FILL.format(rows=rows), NAME)
        size = int(cluster.sql("SELECT pg_database_size(current_database())", NAME))
        dump = cluster.directory / "backup.sql"
        cluster.run("pg_dump", *cluster.target(NAME), "-f", str(dump))
        backup = make_backup(cluster, NAME, cluster.directory / "backups")
        print(f"{size / 1e6:.0f} MB, {rows} rows")
        for title, restore in (
            ("runbook", lambda: by_hand(cluster, dump)),
            ("pg_restore", lambda: beside(cluster, backup.path)),
        ):
            longest, took = measured(cluster, rows, restore)
            print(f"{title:<10}  without service {longest:6.2f} s   the whole restore {took:6.2f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
