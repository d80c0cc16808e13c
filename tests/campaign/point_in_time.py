# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of one's own that pgBackRest archives, and the modules that bring it back, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "benchmark")]
from pg_cluster import Cluster  # noqa: E402

MODULES = "ansible_collections.runbook.ops.plugins.modules."
STANZA = "demo"
PASSPHRASE = "correct horse"
CONFIG = """[demo]
pg1-path={data}
pg1-socket-path={place}
pg1-port={port}
repo1-path={place}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={passphrase}
repo1-retention-full=2
lock-path={place}/lock
spool-path={place}/spool
log-path={place}/log-of-pgbackrest
log-level-file=off
start-fast=y
archive-async=y
compress-type=zst
"""


class Archived:
    """A cluster with an archive and one full backup; it exists inside ``with``."""

    def __init__(self) -> None:
        self.cluster = Cluster()

    def __enter__(self) -> Archived:
        self.cluster.__enter__()
        for name in ("repo", "lock", "spool", "log-of-pgbackrest"):
            self._own(self.place / name, directory=True)
        self.config = self.place / "pgbackrest.conf"
        self.configure(PASSPHRASE)
        command = f"pgbackrest --config={self.config} --stanza={STANZA} archive-push %p"
        self.cluster.sql("ALTER SYSTEM SET archive_mode = on")
        self.cluster.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
        self.cluster.sql("ALTER SYSTEM SET archive_timeout = 60")
        self.cluster.stop()
        self.cluster.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was started again is not the process that the cluster knows, but its directory is the same.
        for beside in self.place.glob("data.*/postmaster.pid"):
            os.kill(int(beside.read_text().split()[0]), 9)
        if not (self.data / "postmaster.pid").exists():
            self.cluster.start()
        self.cluster.__exit__(kind, error, trace)

    @property
    def place(self) -> Path:
        return self.cluster.directory

    @property
    def data(self) -> Path:
        return self.place / "data"

    def _own(self, path: Path, *, directory: bool = False) -> None:
        if directory:
            path.mkdir()
        if os.geteuid() == 0:
            shutil.chown(path, self.cluster.user)

    def configure(self, passphrase: str) -> None:
        """Write pgBackRest's configuration."""
        text = CONFIG.format(data=self.data, place=self.place, port=self.cluster.port, passphrase=passphrase)
        self.config.write_text(text)
        self._own(self.config)

    def run(self, module: str, *, kill_at: str = "", **params: Any) -> dict[str, Any]:
        """Return the result of one module; ``killed`` where it ended without one."""
        given = {
            "stanza": STANZA,
            "config": str(self.config),
            "login_unix_socket": str(self.place),
            "login_port": self.cluster.port,
            "run_as": self.cluster.user,
            **params,
        }
        argv = [sys.executable, "-m", MODULES + module]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections"), "RUNBOOK_OPS_KILL_AT": kill_at}
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": given})
        done = subprocess.run(
            argv, input=arguments, env=environment, capture_output=True, text=True, check=False, cwd="/", timeout=300
        )
        if done.returncode < 0:
            return {"killed": True}
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            raise RuntimeError(f"{module}: {done.stdout}{done.stderr}") from None

    def restore(self, state: str, **params: Any) -> dict[str, Any]:
        """Run pgbackrest_restore."""
        place = {"data_directory": str(self.data), "journal_directory": str(self.place / "journal")}
        return self.run("pgbackrest_restore", **{**place, "state": state, "min_free_percent": 0, **params})

    def now(self) -> str:
        """Return this moment by the server's clock; what is committed next is later."""
        moment = self.cluster.sql(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        )
        time.sleep(0.01)
        return moment
