# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL cluster of one's own on a socket in a temporary directory, for benchmarks and campaigns."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

ACCOUNT = "postgres"
SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "autovacuum": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}


def binaries(wanted: str | None = None) -> Path:
    """Return the directory of the server's programs: version ``wanted``, or the newest installed.

    :raises SystemExit: there is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob(f"{wanted or '*'}/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise SystemExit("No PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    return found[-1]


class Cluster:
    """A cluster that exists inside ``with``; superuser is the account that runs it."""

    def __init__(self, *, version: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.binaries = binaries(version)
        self.settings = {**SETTINGS, **(settings or {})}
        self.user = ACCOUNT if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.directory = Path()
        self.port = 5432

    def as_user(self, *argv: str) -> list[str]:
        return ["runuser", "-u", self.user, "--", *argv] if os.geteuid() == 0 else list(argv)

    def run(self, program: str, *arguments: str, stdin: str | None = None) -> str:
        """Return what one of the server's programs printed."""
        argv = self.as_user(str(self.binaries / program), *arguments)
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def __enter__(self) -> Cluster:
        self.directory = Path(tempfile.mkdtemp(prefix="runbook-ops-pg-"))
        if os.geteuid() == 0:
            shutil.chown(self.directory, self.user)
        self.directory.chmod(0o755)
        data = str(self.directory / "data")
        self.run("initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        lines = {**self.settings, "unix_socket_directories": f"'{self.directory}'", "port": str(self.port)}
        with (self.directory / "data" / "postgresql.conf").open("a", encoding="utf-8") as config:
            config.writelines(f"{name} = {value}\n" for name, value in lines.items())
        self.start()
        return self

    def start(self) -> None:
        data, log = str(self.directory / "data"), str(self.directory / "log")
        self.run("pg_ctl", "-D", data, "-l", log, "-w", "-s", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.directory / "data"), "-m", "immediate", "-w", "-s", "stop")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory)

    def sql(self, sql: str, database: str = "postgres") -> str:
        """Return what ``sql`` printed, without blanks at its ends."""
        return self.run("psql", *self.target(database), "-X", "-qAt", "-v", "ON_ERROR_STOP=1", stdin=sql).strip()

    def target(self, database: str) -> list[str]:
        return ["-h", str(self.directory), "-p", str(self.port), "-d", database]

    def processor_seconds(self) -> float:
        """Return what the server with its sessions that have ended, and all that this process has started, took until now."""
        server = int((self.directory / "data" / "postmaster.pid").read_text().splitlines()[0])
        fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        times = os.times()
        mine = times.user + times.system + times.children_user + times.children_system
        return mine + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    @property
    def log(self) -> Path:
        return self.directory / "log"
