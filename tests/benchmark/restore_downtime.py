# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long an application cannot write while its database is restored: as a runbook does it, and as the collection does.

Run it by hand: ``python3 tests/benchmark/restore_downtime.py [--megabytes 100 2000] [--port 38123]``. The application writes without a
pause, and is a unit that is stopped and started; what is told is the longest time between two writes that the server has confirmed,
and how much of it is the application's own start. Both ways restore the same content on the same private cluster. The runbook's: stop
the application, ``dropdb``, ``createdb``, ``gunzip | psql``, start it. Ours: restored, compared and analyzed beside the live
database, then pg_restore with state swapped and the application as its service.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from pg_cluster import Cluster
from restore import FILL, ROW_BYTES
from restore_module import make_backup, run
from units import Units

NAME, UNIT = "shop", "app.service"
WRITER = Path(__file__).resolve().with_name("steady_writer.py")


class Application:
    """The unit that writes."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self.log = cluster.directory / "writes"
        argv = [sys.executable, "-S", str(WRITER), str(cluster.directory), str(port), str(self.log)]
        self.units = Units(cluster.directory / "application", {UNIT: argv})
        self.service = {
            "name": "app",
            "manager": "systemd",
            "unit": UNIT,
            "health": {"url": f"http://127.0.0.1:{port}/"},
        }

    def start(self) -> None:
        self.units.systemctl("start", UNIT)
        self.wait()

    def wait(self) -> None:
        """Wait until it writes again."""
        began = time.monotonic()
        while not any(kind == "wrote" and at > began for kind, at in self.lines()):
            time.sleep(0.02)

    def lines(self) -> list[tuple[str, float]]:
        told = self.log.read_text().splitlines() if self.log.exists() else []
        return [(kind, float(at)) for kind, _blank, at in (line.partition(" ") for line in told)]

    def gap(self) -> tuple[float, float]:
        """Return the longest time without a write, and what of it was the application's own start, in seconds."""
        lines = self.lines()
        writes = [(at, place) for place, (kind, at) in enumerate(lines) if kind == "wrote"]
        length, begin, end = max((b[0] - a[0], a, b) for a, b in zip(writes, writes[1:]))
        starts = [at for kind, at in lines[begin[1] : end[1]] if kind == "start"]
        return length, end[0] - starts[-1] if starts else 0.0


@contextmanager
def observed(application: Application) -> Iterator[None]:
    application.start()
    time.sleep(1)
    application.log.write_text("")
    application.wait()
    try:
        yield
        application.wait()
    finally:
        application.units.systemctl("stop", UNIT)


def by_hand(cluster: Cluster, application: Application, dump: Path) -> None:
    application.units.systemctl("stop", UNIT)
    cluster.run("dropdb", "-h", str(cluster.directory), NAME)
    cluster.run("createdb", "-h", str(cluster.directory), NAME)
    psql = " ".join([*cluster.as_user(str(cluster.binaries / "psql")), *cluster.target(NAME)])
    subprocess.run(f"gunzip -c {dump} | {psql} -q -o /dev/null", shell=True, check=True)  # noqa: S602  # that is the runbook's line
    application.units.systemctl("start", UNIT)


def ours(cluster: Cluster, application: Application, backup: Path) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for state, options in (
        ("prepared", {"backup": str(backup)}),
        ("swapped", {"services": [application.service]}),
        ("pruned", {"keep_days": 0}),
    ):
        result = run(cluster, NAME, state, environment=application.units.environment, **options)
        if result.get("failed") or result.get("killed"):
            raise SystemExit(f"{state} failed: {result['msg']}")
        seconds.update(result["seconds"])
    return seconds


def measure(megabytes: int, port: int) -> None:
    rows = megabytes * 1_000_000 // ROW_BYTES
    with Cluster(settings={"fsync": "on"}) as cluster:
        cluster.sql(f"CREATE DATABASE {NAME}")
        cluster.sql(FILL.format(rows=rows), NAME)
        size = int(cluster.sql("SELECT pg_database_size(current_database())", NAME))
        dump = cluster.directory / "backup.sql.gz"
        pg_dump = " ".join([*cluster.as_user(str(cluster.binaries / "pg_dump")), *cluster.target(NAME)])
        subprocess.run(f"{pg_dump} | gzip -1 >{dump}", shell=True, check=True)  # noqa: S602
        backup = make_backup(cluster, NAME, cluster.directory / "backups")
        print(f"{size / 1e6:.0f} MB, {rows} rows, load {os.getloadavg()[0]:.1f}", flush=True)
        application = Application(cluster, port)
        seconds: dict[str, float] = {}
        ways: list[tuple[str, Callable[[], object]]] = [
            ("pg_restore", lambda: seconds.update(ours(cluster, application, backup.path))),
            ("runbook", lambda: by_hand(cluster, application, dump)),
        ]
        for title, restore in ways:
            with observed(application):
                began = time.monotonic()
                restore()
                took = time.monotonic() - began
            without, own = application.gap()
            print(
                f"{title:<10}  without service {without:7.2f} s, of it the application's own start {own:5.2f} s; "
                f"the whole restore {took:7.2f} s",
                flush=True,
            )
        parts = ("stopping", "closed", "starting", "without_service")
        print(f"{'':<10}  pg_restore tells: {', '.join(f'{part} {seconds[part]:.2f} s' for part in parts)}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100], help="sizes of the database (default: 100)")
    parser.add_argument("--port", type=int, default=38123, help="where the application listens (default: 38123)")
    arguments = parser.parse_args(argv)
    for megabytes in arguments.megabytes:
        measure(megabytes, arguments.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
