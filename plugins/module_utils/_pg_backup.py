# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one backup of one PostgreSQL database: everything in it is of one moment. Private to this collection."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft, wait_for_a_name
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    AHEAD_SECONDS,
    Backup,
    SetError,
    clean_up,
    is_locked,
    leftovers,
    list_backups,
    locked,
    reclaimable,
    set_name,
)
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._codec import (
    ENCRYPTION,
    CodecError,
    encoding,
    installed,
    prove,
)
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._given import with_defaults
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._pg_archive import missing
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_plan import (
    BackupError,
    Recipe,
    choose_recipe,
    expected_bytes,
    refuse_too_small,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_result import now, reason, result
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import read_content
from ansible_collections.runbook.ops.plugins.module_utils._pg_dump import Dump, read_dump, write_dump
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as TARGET
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, tool_error
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size, parse_duration

ARGUMENTS: dict[str, Any] = {
    **TARGET,
    "database": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "set": {"type": "str"},
    "jobs": {"type": "int"},
    "compression": {"type": "str", "default": "auto", "choices": ["auto", "zstd", "gzip", "none"]},
    "encryption": ENCRYPTION,
    "min_free_percent": {"type": "float", "default": 5},
    "unless_younger_than": {"type": "str"},
    "timeout_seconds": {"type": "int", "default": 21600},
    "lock_timeout_seconds": {"type": "int", "default": 60},
}
MOST_JOBS = 4
END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = {} AND pid <> pg_backend_pid() AND pg_has_role(usesysid, 'MEMBER');
"""
# None of the limits that a server may have for sessions that wait may end the one that holds the snapshot.
HOLD = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout', 'idle_session_timeout', 'statement_timeout');
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
"""
First = TypeVar("First")
Second = TypeVar("Second")


def run(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """Return the result of the module: it makes a backup, or says what a run would make.

    Independent of Ansible. What ``params`` lacks has its default.

    :raises BackupError: it cannot be made; the backups that there are stay as they are.
    """
    given = with_defaults(params, ARGUMENTS)
    with _explained(given):
        return Job(given).run(check_mode=check_mode)


class Job:
    """One backup that is asked for."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Refuse what cannot be done.

        :raises ValueError: an option is none.
        """
        self.database: str = params["database"]
        self.directory = Path(params["directory"])
        self.set: str = params["set"] or self.database
        set_name(self.set, now())
        if not self.directory.is_absolute():
            raise ValueError(f"directory is {self.directory}: give its whole path")
        for name in ("timeout_seconds", "lock_timeout_seconds", "jobs"):
            if params[name] is not None and params[name] < 1:
                raise ValueError(f"{name} is {params[name]}: it must be at least 1")
        if not 0 <= params["min_free_percent"] < 100:
            raise ValueError(f"min_free_percent is {params['min_free_percent']:g}: a share is between 0 and 100")
        self.young_seconds = parse_duration(params["unless_younger_than"]) if params["unless_younger_than"] else 0.0
        self.params = params
        self.encryption = params["encryption"]
        # By this name the sessions of a run that was killed are known.
        place = f"{socket.gethostname()}:{self.directory}:{self.set}"
        self.application = f"runbook.ops pg_backup {hashlib.sha256(place.encode()).hexdigest()[:12]}"
        self.target = PgTarget.from_params(params, application=self.application)

    def run(self, *, check_mode: bool) -> dict[str, Any]:
        last = self.last()
        if last and self.is_young(last):
            return result(last, last, changed=False)
        recipe, needed = self.plan(last)
        if check_mode:
            if is_locked(self.directory, self.set):
                raise BackupError(
                    f"another process works on the backups {self.set} in {self.directory}: wait for its end"
                )
            return self.predicted(last, recipe, needed)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.directory, self.set):
            last = self.last()
            if last and self.is_young(last):  # another run has made it while this one looked
                return result(last, last, changed=False)
            self.end_sessions()
            removed = clean_up(self.directory, self.set)
            return result(self.make(recipe), last, changed=True, removed=removed)

    def last(self) -> Backup | None:
        found = list_backups(self.directory, self.set)
        return found[-1] if found else None

    def is_young(self, backup: Backup) -> bool:
        age = (now() - backup.taken_at).total_seconds()
        return self.young_seconds > 0 and -AHEAD_SECONDS < age < self.young_seconds

    def plan(self, last: Backup | None) -> tuple[Recipe, int]:
        """Return how the backup is made, and how many bytes it may take.

        :raises BackupError: there is no room for it.
        """
        if self.encryption:
            prove(self.encryption)
        size = int(self.target.sql(self.database, "SELECT pg_database_size(current_database());")[0])
        recipe = choose_recipe(
            self.params["compression"],
            encrypted=bool(self.encryption),
            inside=self.target.inside,
            pg_dump=self.target.program_major("pg_dump"),
            jobs=self.params["jobs"] or min(MOST_JOBS, os.cpu_count() or 1),
            has_zstd=installed("zstd"),
        )
        encoding(recipe.outer, self.encryption)
        needed = expected_bytes(size, last.manifest if last else None)
        there = next(path for path in (self.directory, *self.directory.parents) if path.exists())
        disk = os.statvfs(there)
        refuse_too_small(
            str(self.directory),
            needed=needed,
            free=disk.f_bavail * disk.f_frsize + reclaimable(self.directory, self.set),
            total=disk.f_blocks * disk.f_frsize,
            min_free_percent=self.params["min_free_percent"],
        )
        return recipe, needed

    def make(self, recipe: Recipe) -> Backup:
        """Make the backup, while one session holds the snapshot that all others use."""
        began = time.monotonic()
        reached("pg_backup:locked")
        wait_for_a_name(self.directory, self.set)
        with self.target.session(self.database) as holder:
            holder(HOLD)
            snapshot = holder("SELECT pg_export_snapshot();")[-1]
            at = now()
            with Draft.begin(self.directory, self.set, at) as draft:
                reached("pg_backup:begun")
                dump, content = self.side_by_side(
                    lambda: self.dump(draft, recipe, snapshot),
                    lambda: read_content(
                        self.target, self.database, snapshot=snapshot, timeout_seconds=self.params["timeout_seconds"]
                    ),
                )
                reached("pg_backup:dumped")
                if recipe.format == "directory":
                    draft.adopt(dump.relative)
                reached("pg_backup:adopted")
                self.prove(draft, dump, content)
                reached("pg_backup:proven")
                content = {**content, "format": recipe.format, "dump": dump.relative}
                return draft.seal(self.manifest(recipe, content, at, time.monotonic() - began))

    def dump(self, draft: Draft, recipe: Recipe, snapshot: str) -> Dump:
        return write_dump(
            self.target,
            draft,
            self.database,
            recipe,
            snapshot=snapshot,
            encryption=self.encryption,
            timeout_seconds=self.params["timeout_seconds"],
            lock_timeout_seconds=self.params["lock_timeout_seconds"],
        )

    def side_by_side(self, first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
        """Return what both return; where one fails, the other is ended, and the failure raised that came first."""
        failures: list[BaseException] = []

        def guarded(work: Callable[[], Any]) -> Any:
            try:
                return work()
            except BaseException as exc:
                failures.append(exc)
                if len(failures) == 1:
                    with suppress(PgError, PipelineError):
                        self.end_sessions()
                return None

        with ThreadPoolExecutor(max_workers=1) as pool:
            other = pool.submit(guarded, second)
            mine = guarded(first)
            theirs = other.result()
        if failures:
            raise failures[0]
        return mine, theirs

    def prove(self, draft: Draft, dump: Dump, content: dict[str, Any]) -> None:
        """Make sure that the dump holds what was counted, and note the sequences as they stand in it.

        :raises BackupError: it does not.
        """
        held = read_dump(self.target, draft, dump)
        if held is None:
            content.pop("sequences", None)  # those of the server may have moved on since
            return
        lost = missing(content["tables"], held.tables()) or missing(content["sequences"], held.sequences())
        if lost:
            raise BackupError(f"the dump of {self.database} lacks what was counted beside it: {lost}: run this again")
        content["sequences"] = {name: value for name, value in held.sequences().items() if name in content["sequences"]}

    def manifest(self, recipe: Recipe, content: Mapping[str, Any], at: datetime, seconds: float) -> dict[str, Any]:
        return {
            "kind": "postgresql",
            "database": self.database,
            "host": socket.gethostname(),
            "taken_at": iso(at),
            "finished_at": iso(now()),
            "seconds": round(seconds, 3),
            "tools": {"pg_dump": self.target.program_version("pg_dump")},
            "compression": recipe.compression,
            "encryption": dict(self.encryption) if self.encryption else None,
            "content": dict(content),
        }

    def end_sessions(self) -> None:
        """End the sessions that an earlier run of this set has left, or that wait for nobody."""
        self.target.sql(self.database, END_SESSIONS.format(quote_literal(self.application)))

    def predicted(self, last: Backup | None, recipe: Recipe, needed: int) -> dict[str, Any]:
        kind = f"{recipe.format} format, {recipe.compression}"
        kind += f", {self.encryption['method']}" if self.encryption else ""
        words = f"back up {self.database} to {self.directory}/{self.set}_<time> ({kind}, up to {human_size(needed)})"
        left = leftovers(self.directory, self.set) if self.directory.is_dir() else []
        return {
            **result(None, last, changed=True, removed=left),
            "actions": [*(f"delete {name}, left by a run that was killed" for name in left), words],
            "changes": [
                make_change(
                    self.set, action="back up", section="Backups", reason=reason(last), after=needed, unit="bytes"
                )
            ],
            "diff": {"before": "", "after": f"{words}\n"},
            "expected_bytes": needed,
        }


@contextmanager
def _explained(params: Mapping[str, Any]) -> Iterator[None]:
    """Turn what may go wrong into one line.

    :raises BackupError: something went wrong.
    """
    try:
        yield
    except PipelineError as exc:
        if "No space left on device" in exc.stderr or ("could not write" in exc.stderr and _is_full(params)):
            raise BackupError(full(params)) from exc
        if "statement timeout" in exc.stderr and "LOCK TABLE" in exc.stderr:
            raise BackupError(
                f"a table of {params['database']} is being changed, and was locked for {params['lock_timeout_seconds']} s: "
                "run this again later, or raise lock_timeout_seconds"
            ) from exc
        raise BackupError(str(tool_error(exc, params["database"]) if exc.name.startswith("pg_") else exc)) from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BackupError(full(params)) from exc
        raise BackupError(f"cannot write the backup: {exc.strerror}: {exc.filename or params['directory']}") from exc
    except (PgError, SetError, CodecError, ValueError) as exc:
        raise BackupError(str(exc)) from exc


def _is_full(params: Mapping[str, Any]) -> bool:
    return os.statvfs(params["directory"]).f_bavail == 0


def full(params: Mapping[str, Any]) -> str:
    return (
        f"the disk of {params['directory']} is full: nothing of this backup was kept, and the earlier ones are as they were: "
        "make room, then run this again"
    )


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
