# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgBackRest on a host, and the server that it saves. Private to this collection."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, installed
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import (
    Lineage,
    PgBackRestError,
    Stanza,
    read_history,
)
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_info import UNREADABLE, read_info
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_segments import Segment, read_segments
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline

# Options that all modules of pgBackRest share, documented in the fragment runbook.ops.pgbackrest.
ARGUMENTS: dict[str, Any] = {
    "stanza": {"type": "str", "required": True},
    "config": {"type": "path"},
    "run_as": {"type": "str", "default": "postgres"},
    "login_port": {"type": "int", "default": 5432, "aliases": ["port"]},
    "login_unix_socket": {"type": "path", "default": "", "aliases": ["unix_socket"]},
}
QUESTION = """
SELECT json_build_object(
  'version', current_setting('server_version'),
  'data_directory', current_setting('data_directory'),
  'config_file', current_setting('config_file'),
  'archive_mode', current_setting('archive_mode'),
  'archive_command', current_setting('archive_command'),
  'archive_timeout_seconds', extract(epoch FROM current_setting('archive_timeout')::interval)::int,
  'wal_level', current_setting('wal_level'),
  'segment_bytes', pg_size_bytes(current_setting('wal_segment_size')),
  'waits_for_restart', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart),
  'in_recovery', pg_is_in_recovery(),
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE datallowconn AND NOT datistemplate),
  'archiver', (SELECT json_build_object('failed', last_failed_wal, 'archived', last_archived_wal,
     'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)) FROM pg_stat_archiver));
"""


class PgBackRest:
    """pgBackRest's own program for one stanza, as the account of the server."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.stanza, self._params = params["stanza"], params
        self.target = PgTarget(
            {key: params[key] for key in ("run_as", "login_port", "login_unix_socket")}, application="runbook.ops"
        )

    def __call__(self, command: str, *options: str, timeout_seconds: float = 120) -> str:
        """Return what a command printed.

        :raises PgBackRestError: it failed; the message is its own first line.
        """
        config = [f"--config={self._params['config']}"] if self._params["config"] else []
        argv = ["pgbackrest", *config, f"--stanza={self.stanza}", "--log-level-console=off", "--log-level-stderr=warn"]
        stage = Stage([*argv, command, *options], {"LC_ALL": "C"}, user=self._params["run_as"], name="pgbackrest")
        try:
            return run_pipeline([stage], timeout_seconds=timeout_seconds).text
        except PipelineError as exc:
            said = reason(exc.stderr) or str(exc)
            raise PgBackRestError(f"pgbackrest {command} of the stanza {self.stanza} failed: {said}") from exc

    def info(self) -> Stanza:
        """Return what the repository tells.

        :raises PgBackRestError: it does not: of another passphrase, for example.
        """
        stanza = read_info(self("info", "--output=json"), self.stanza)
        if stanza.code == UNREADABLE:
            raise PgBackRestError(f"the repository of the stanza {self.stanza} cannot be read: {stanza.message}")
        return stanza

    def segments(self, stanza: Stanza) -> list[Segment]:
        """Return the segments of WAL in the archive of the server as it is now."""
        if not stanza.archive_id:
            return []
        place = f"archive/{stanza.name}/{stanza.archive_id}"
        return read_segments(self("repo-ls", "--recurse", "--output=json", place))

    def server(self) -> dict[str, Any] | None:
        """Return what the live server tells of itself; None where it does not run, or lets nobody in."""
        try:
            return dict(self.target.json("postgres", QUESTION))
        except PgError:
            return None

    def flush(self, *, timeout_seconds: float) -> str | None:
        """Bring the WAL up to now into the archive. Return what is wrong where that does not succeed in time.

        A commit is written first: a recovery to a moment ends at the first commit after it, and without one never.
        """
        asked = "SELECT txid_current(); SELECT pg_walfile_name(pg_switch_wal());"
        done = "SELECT coalesce(max(last_archived_wal), '') || ' ' || coalesce(max(last_failed_wal), '') FROM pg_stat_archiver;"
        try:
            wanted = self.target.sql("postgres", asked)[-1]
            deadline = time.monotonic() + timeout_seconds
            while True:
                archived, _space, failed = self.target.sql("postgres", done)[0].partition(" ")
                if archived[:24] >= wanted:
                    return None
                if time.monotonic() > deadline:
                    return f"{wanted} is not in the archive after {timeout_seconds:g} s" + (
                        f", {failed} failed" if failed else ""
                    )
                time.sleep(0.2)
        except PgError as exc:
            return f"the live server writes nothing into the archive now: {exc}"


def reason(stderr: str) -> str:
    """Return the error among what pgBackRest said: ``ERROR: [055]: …`` without its number."""
    lines = [line.strip() for line in stderr.splitlines()]
    error = next((line for line in lines if line.startswith("ERROR:")), "")
    return error.partition("]: ")[2] or error


def lineage(directory: str) -> Lineage | None:
    """Return which timeline the cluster in ``directory`` is on; None where nobody can tell any more.

    :raises PgBackRestError: PostgreSQL of its version is not installed.
    """
    control, version = Path(directory) / "global" / "pg_control", Path(directory) / "PG_VERSION"
    if not control.exists() or not version.exists():
        return None
    program = installed("pg_controldata").get(int(version.read_text(encoding="ascii").partition(".")[0]))
    if program is None:
        raise PgBackRestError(f"PostgreSQL of the version of {directory} is not installed on this host")
    try:
        told = run_pipeline([Stage([program, directory], {"LC_ALL": "C"})], timeout_seconds=20).text
    except PipelineError:
        return None
    found = re.search(r"^Latest checkpoint's TimeLineID:\s+(\d+)$", told, re.MULTILINE)
    if not found:
        return None
    timeline = int(found[1])
    history = Path(directory) / "pg_wal" / f"{timeline:08X}.history"
    try:
        return read_history(timeline, history.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return Lineage(timeline, {}) if timeline == 1 else None


def tablespaces(directory: str) -> list[str]:
    """Return the tablespaces of a cluster, by where they are."""
    place = Path(directory) / "pg_tblspc"
    return sorted(str(link.resolve()) for link in place.iterdir()) if place.is_dir() else []
