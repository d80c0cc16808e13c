# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server by its data directory: the one beside, which only we talk to, and the live one. Private to this collection."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, installed
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import PATH, account_of

STOP_SECONDS = 300
PORT = 5432  # a part of the socket's name only
TABLES = """
SELECT format('SELECT %L || count(*) FROM %I.%I', quote_ident(n.nspname) || '.' || quote_ident(c.relname) || E'\\t', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
ORDER BY 1;
"""
LIVE_ROWS = """
SELECT quote_ident(schemaname) || '.' || quote_ident(relname) || E'\\t' || n_live_tup FROM pg_stat_user_tables ORDER BY 1;
"""


def postmaster(directory: str) -> int | None:
    """Return the process of the server that works in ``directory``, None where none does."""
    try:
        pid = int((Path(directory) / "postmaster.pid").read_text(encoding="ascii").split()[0])
        same = Path(f"/proc/{pid}/cwd").samefile(directory)
    except (OSError, ValueError, IndexError):
        return None
    return pid if same else None


def stop(directory: str) -> None:
    """End the server that works in ``directory``: its sessions first, then itself with all on the disk.

    :raises PgBackRestError: it goes on.
    """
    pid, deadline = postmaster(directory), time.monotonic() + STOP_SECONDS
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    while postmaster(directory) == pid:
        if time.monotonic() > deadline:
            raise PgBackRestError(
                f"the server in {directory} (process {pid}) does not end within {STOP_SECONDS} s: see its log"
            )
        time.sleep(0.05)


class Beside:
    """A server that stands still at a moment of the past: it can be read, on a socket in a directory that only it may enter."""

    def __init__(self, directory: str, params: Mapping[str, Any]) -> None:
        self.directory, self.run, self._params = directory, f"{directory}.run", params
        self._process: subprocess.Popen[bytes] | None = None
        self.target = PgTarget(
            {"run_as": params["run_as"], "login_port": PORT, "login_unix_socket": self.run}, application="runbook.ops"
        )

    @property
    def log(self) -> Path:
        return Path(self.run) / "log"

    def start(self) -> None:
        """Start it. It goes on when we end.

        :raises PgBackRestError: PostgreSQL of its version is not installed, or its account does not exist.
        """
        make_directory(self.run, self._params["run_as"])
        version = (Path(self.directory) / "PG_VERSION").read_text(encoding="ascii").strip()
        program = installed("postgres").get(int(version.partition(".")[0]))
        if program is None:
            raise PgBackRestError(f"PostgreSQL {version} is not installed on this host: install postgresql-{version}")
        access, who = Path(self.run) / "pg_hba.conf", self._params["run_as"]
        access.write_text("local all all trust\n", encoding="ascii")  # the directory lets only the account in
        access.chmod(0o644)  # whatever the umask of whom we run as
        config = self._params["config_file"]
        settings = {
            **({"config_file": config, "data_directory": self.directory} if config else {}),
            "hba_file": str(access),
            "unix_socket_directories": self.run,
            "listen_addresses": "",
            "port": str(PORT),
            "external_pid_file": "",
            "archive_mode": "off",
            "hot_standby": "on",
            "recovery_target_action": "pause",
            "logging_collector": "off",
            "log_destination": "stderr",
            "lc_messages": "C",  # whatever the server says otherwise: its log is read
            "ssl": "off",
            "synchronous_standby_names": "",
            "shared_buffers": "128MB",  # the live server has taken its share of the memory
            "huge_pages": "off",
        }
        argv = [program, "-D", self.directory]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                env={"PATH": PATH, "LC_ALL": "C", "HOME": "/"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_account(who),
            )

    def wait(self, *, timeout_seconds: float) -> None:
        """Wait until it stands still at its moment.

        :raises PgBackRestError: it never comes there; the message says why, as far as its log tells.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            with contextlib.suppress(PgError):
                if self.target.sql("postgres", "SELECT pg_is_in_recovery() AND pg_is_wal_replay_paused();") == ["t"]:
                    return
            if self._has_ended():
                raise PgBackRestError(f"the recovery ended before its moment: {self._said()}")
            if time.monotonic() > deadline:
                raise PgBackRestError(
                    f"the recovery takes longer than {timeout_seconds:g} s: raise timeout_seconds; {self._said()}"
                )
            time.sleep(0.1)

    def _has_ended(self) -> bool:
        """Return whether the server is no more; by its own process where we have started it."""
        if self._process is not None:
            return self._process.poll() is not None
        return postmaster(self.directory) is None

    def _text(self) -> str:
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _said(self) -> str:
        lines = [line for line in self._text().splitlines() if "FATAL:" in line or "PANIC:" in line or "ERROR:" in line]
        if not lines:
            return f"its log is {self.log}"
        words = lines[-1].partition("FATAL:")[2] or lines[-1]
        if "before configured recovery target" in words:
            return "no commit after that moment is in the archive, or not on this timeline: choose an earlier moment, or set timeline"
        return words.strip()

    def rows(self, databases: list[str]) -> dict[str, dict[str, int]]:
        """Return the rows of each table of ``databases``, counted."""
        return {name: count_rows(self.target, name) for name in databases}

    def databases(self) -> list[str]:
        """Return the databases that it has."""
        asked = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1;"
        return self.target.sql("postgres", asked)

    def drop(self) -> None:
        """End it and delete all of it."""
        stop(self.directory)
        for path in (self.directory, self.run):
            shutil.rmtree(path, ignore_errors=not os.path.isdir(path))  # noqa: PTH112


def count_rows(target: PgTarget, database: str) -> dict[str, int]:
    """Return the rows of each table of a database, counted."""
    asked = " UNION ALL ".join(target.sql(database, TABLES))
    return _numbers(target.sql(database, f"{asked};", timeout_seconds=0)) if asked else {}


def live_rows(target: PgTarget, database: str) -> dict[str, int]:
    """Return the rows of each table as the server estimates them; nothing where the database is not there."""
    try:
        return _numbers(target.sql(database, LIVE_ROWS))
    except PgError:
        return {}


def _numbers(lines: list[str]) -> dict[str, int]:
    parts = [line.rpartition("\t") for line in lines]
    return {name: int(number) for name, _tab, number in parts}


class Live:
    """The server that people use, started and stopped by what starts it at boot, or by pg_ctl where nothing does."""

    def __init__(self, directory: str, unit: str | None, params: Mapping[str, Any]) -> None:
        self.directory, self.unit, self._params = directory, unit, params

    def stop(self) -> None:
        """Stop it.

        :raises PgBackRestError: it goes on.
        """
        if self.unit:
            _run(["systemctl", "stop", self.unit])
        stop(self.directory)

    def start(self, *, timeout_seconds: float) -> None:
        """Start it and wait until it takes writes.

        :raises PgBackRestError: it does not come up; the message names its log.
        """
        if postmaster(self.directory) is None:
            self._start(timeout_seconds)
        target = PgTarget({key: self._params[key] for key in ("run_as", "login_port", "login_unix_socket")})
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                if target.sql("postgres", "SELECT pg_is_in_recovery();") == ["f"]:
                    return
                said = "it is still recovering"
            except PgError as exc:
                said = str(exc)
            if time.monotonic() > deadline:
                raise PgBackRestError(
                    f"the server in {self.directory} takes no writes after {timeout_seconds:g} s: {said}"
                )
            time.sleep(0.05)

    def _start(self, timeout_seconds: float) -> None:
        if self.unit:
            with contextlib.suppress(PgBackRestError):  # it has not failed, so there is nothing to forget
                _run(["systemctl", "reset-failed", self.unit])
            _run(["systemctl", "start", self.unit], timeout_seconds=timeout_seconds)
            return
        version = (Path(self.directory) / "PG_VERSION").read_text(encoding="ascii").strip()
        program = installed("pg_ctl").get(int(version.partition(".")[0]))
        if program is None:
            raise PgBackRestError(f"PostgreSQL {version} is not installed on this host: install postgresql-{version}")
        log = f"{self.directory}.log"
        argv = [program, "-D", self.directory, "-l", log, "-s", "-W", "start"]
        _run(argv, user=self._params["run_as"], timeout_seconds=timeout_seconds)


def make_directory(path: str, user: str) -> None:
    """Make a directory that only ``user`` may enter, where there is none."""
    with contextlib.suppress(FileExistsError):
        Path(path).mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(path, user)


def _account(user: str) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    try:
        return {key: value for key, value in account_of(user).items() if key != "home"}
    except ProbeError as exc:
        raise PgBackRestError(str(exc)) from exc


def _run(argv: list[str], *, user: str | None = None, timeout_seconds: float = STOP_SECONDS) -> None:
    try:
        run_pipeline([Stage(argv, {}, user=user)], timeout_seconds=timeout_seconds)
    except PipelineError as exc:
        raise PgBackRestError(str(exc)) from exc
