# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup costs and how large it is, beside the lines of a runbook that make one.

Run it by hand: ``python3 tests/benchmark/backup.py [--megabytes 300] [--rounds 3]``. Quote ratios, not seconds. Ours counts rows,
takes checksums, syncs to the disk and reads the dump's table of contents; the others do none of that. The ways take turns, and
the median of the rounds counts. On a machine that works for others too, compare the seconds of CPU, those of the server's sessions among
them: they say what it would be without the others.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
from backup_module import start
from module_process import finish
from pg_cluster import Cluster

DATABASE = "shop"
ROWS_PER_MEGABYTE = 5_300
GOALS = {"wall": 0.20, "size": 1.06, "limit": 1.0, "memory": 50 << 20, "disk": 1.05}
GOALS_ZSTD = {"wall": 0.32, "size": 0.82}
# As an application's tables are: words that repeat, numbers, times, and here and there a text of no meaning.
FILL = """
CREATE TABLE {name} (id int PRIMARY KEY, customer int NOT NULL, at timestamptz NOT NULL, state text NOT NULL, note text, token text);
INSERT INTO {name} SELECT g, g % 5000, '2026-01-01'::timestamptz + g * interval '7 s', (ARRAY['new', 'paid', 'sent', 'back'])[1 + g % 4],
  'Order number ' || g || ' of a customer who came back, in the usual packing', {token} FROM generate_series(1, {rows}) g;
CREATE INDEX ON {name} (customer);
"""
TABLES = ("orders", "events", "mails", "logins")
MEANINGLESS = "md5(g::text)"


@dataclass
class Cost:
    """What one run took."""

    wall: float
    cpu: float  # of all programs, and of the server's sessions
    size: int


@dataclass(frozen=True)
class Way:
    """One way to make a backup in a directory."""

    name: str
    act: Callable[[Cluster, Path], None]


def shell(cluster: Cluster, line: str, place: Path) -> None:
    """Run a line as a runbook has it, where the server's programs are found."""
    environment = {
        **os.environ,
        "PATH": f"{cluster.binaries}:{os.environ['PATH']}",
        "PGHOST": str(cluster.directory),
        "PGPORT": str(cluster.port),
        "PGUSER": cluster.user,
    }
    subprocess.run(["bash", "-c", line], cwd=place, env=environment, check=True)


def by_line(line: str) -> Callable[[Cluster, Path], None]:
    return lambda cluster, place: shell(cluster, line, place)


def ours(cluster: Cluster, place: Path, **options: object) -> None:
    result = finish(start(cluster, DATABASE, place, **options))
    if "backup" not in result:
        raise SystemExit(f"the backup failed: {result.get('msg')}")


def ours_zstd(cluster: Cluster, place: Path) -> None:
    ours(cluster, place, compression="zstd")


PGBACKREST = """[shop]
pg1-path={data}
pg1-socket-path={socket}
pg1-port={port}
repo1-path={place}
repo1-retention-full=1
lock-path={place}/lock
spool-path={place}/spool
log-level-file=off
compress-type=zst
process-max=2
start-fast=y
archive-check=n
"""


def pgbackrest(cluster: Cluster, place: Path) -> None:
    """Save the whole cluster, as nobody archives here without the WAL that goes with it."""
    place.chmod(0o777)
    config = place / "pgbackrest.conf"
    data, socket = cluster.directory / "data", cluster.directory
    config.write_text(PGBACKREST.format(data=data, socket=socket, port=cluster.port, place=place))
    config.chmod(0o644)
    for command in (["stanza-create"], ["backup", "--type=full"]):
        argv = ["pgbackrest", f"--config={config}", "--stanza=shop", "--log-level-console=error", *command]
        subprocess.run(cluster.as_user(*argv), cwd="/", check=True)


def ways() -> list[Way]:
    found = [
        Way("runbook.ops", ours),
        Way("pg_dump | gzip", by_line(f"pg_dump {DATABASE} | gzip > backup.sql.gz")),
        Way("pg_dump -Fd -j2 -Z1", by_line(f"pg_dump -Fd -j2 -Z1 -f backup {DATABASE}")),
        Way("pg_dump >/dev/null", by_line(f"pg_dump {DATABASE} >/dev/null")),
    ]
    if shutil.which("zstd"):
        found.insert(1, Way("runbook.ops, zstd", ours_zstd))
    if shutil.which("pgbackrest"):
        found.append(Way("pgBackRest, zstd", pgbackrest))
    return found


def once(cluster: Cluster, way: Way) -> Cost:
    """Run one way in an empty directory."""
    place = cluster.directory / "backups"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o777)
    os.sync()
    before, began = cluster.processor_seconds(), time.monotonic()
    way.act(cluster, place)
    wall = time.monotonic() - began
    time.sleep(0.2)  # until the server's sessions have ended
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return Cost(wall, cluster.processor_seconds() - before, size)


def peaks(cluster: Cluster) -> tuple[int, float]:
    """Return the most memory that the module's own process had, in bytes, and the most room on the disk, in sizes of the backup."""
    place = cluster.directory / "backups"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o777)
    process = start(cluster, DATABASE, place)
    memory = disk = 0
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            memory = max([memory, *(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))])
        except (FileNotFoundError, ProcessLookupError):
            break
        disk = max(disk, room(place))
        time.sleep(0.02)
    finish(process)
    return memory, max(disk, room(place)) / room(place)


def room(place: Path) -> int:
    total = 0
    for path in place.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # it gets its name just now
            total += path.lstat().st_blocks * 512
    return total


def checksums(cluster: Cluster) -> tuple[float, float]:
    """Return how long the checksum of what was dumped takes, by us and by sha256sum."""
    place = cluster.directory / "backups"
    files = [path for path in place.rglob("*") if path.is_file()]
    began = time.monotonic()
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    ours_seconds, began = time.monotonic() - began, time.monotonic()
    subprocess.run(["sha256sum", *map(str, files)], stdout=subprocess.DEVNULL, check=True)
    return ours_seconds, time.monotonic() - began


def table(costs: dict[str, Cost], base: str) -> None:
    print("| way | wall, s | ÷ runbook | CPU, s | ÷ runbook | size, MB | ÷ runbook |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, cost in costs.items():
        size = f"{cost.size / 1e6:.1f} | {cost.size / costs[base].size:.2f}" if cost.size else " | "
        shown = name.replace("|", "\\|")
        ratios = cost.wall / costs[base].wall, cost.cpu / costs[base].cpu
        print(f"| {shown} | {cost.wall:.2f} | {ratios[0]:.2f} | {cost.cpu:.2f} | {ratios[1]:.2f} | {size} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="size of the database (default: 300)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is run (default: 3)")
    parser.add_argument(
        "--tokens", action="store_true", help="let every row hold a text of no meaning, not every fourth only"
    )
    parser.add_argument("--postgresql", help="version of the server, such as 15 (default: the newest installed)")
    arguments = parser.parse_args()
    with Cluster(version=arguments.postgresql) as cluster:
        cluster.sql(f"CREATE DATABASE {DATABASE}")
        for name in TABLES:
            rows = arguments.megabytes * ROWS_PER_MEGABYTE // len(TABLES)
            token = MEANINGLESS if arguments.tokens or name == TABLES[-1] else "NULL"
            cluster.sql(FILL.format(name=name, rows=rows, token=token), DATABASE)
        cluster.sql("VACUUM ANALYZE", DATABASE)
        size = int(cluster.sql(f"SELECT pg_database_size('{DATABASE}')"))
        print(f"database: {size / 1e6:.0f} MB, {os.cpu_count()} cores, {cluster.run('postgres', '--version').strip()}")
        found = ways()
        runs: dict[str, list[Cost]] = {way.name: [] for way in found}
        for _round in range(arguments.rounds):
            for way in found:
                runs[way.name].append(once(cluster, way))
        costs = {
            name: Cost(median(one.wall for one in all_), median(one.cpu for one in all_), all_[0].size)
            for name, all_ in runs.items()
        }
        table(costs, "pg_dump | gzip")
        memory, disk = peaks(cluster)
        hashed = checksums(cluster)
    print(f"load when it was over: {os.getloadavg()[0]:.1f}")
    mine, runbook = costs["runbook.ops"], costs["pg_dump | gzip"]
    print(
        f"goals: wall ÷ runbook {mine.wall / runbook.wall:.2f} (<= {GOALS['wall']}), size ÷ runbook "
        f"{mine.size / runbook.size:.2f} (<= {GOALS['size']}), wall ÷ pg_dump >/dev/null "
        f"{mine.wall / costs['pg_dump >/dev/null'].wall:.2f} (<= {GOALS['limit']}), memory {memory / 1e6:.0f} MB "
        f"(<= {GOALS['memory'] / 1e6:.0f}), disk ÷ backup {disk:.2f} (<= {GOALS['disk']}), checksum ÷ sha256sum {hashed[0] / hashed[1]:.2f} (<= 0.35)"
    )
    if small := costs.get("runbook.ops, zstd"):
        print(
            f"with zstd: wall ÷ runbook {small.wall / runbook.wall:.2f} (<= {GOALS_ZSTD['wall']}), size ÷ runbook "
            f"{small.size / runbook.size:.2f} (<= {GOALS_ZSTD['size']})"
        )
    print(json.dumps({name: [round(one.wall, 2) for one in all_] for name, all_ in runs.items()}))


if __name__ == "__main__":
    main()
