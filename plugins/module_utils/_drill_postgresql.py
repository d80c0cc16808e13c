# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore the backup of a PostgreSQL database as a test, and hold it against its manifest. Private to this collection."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import compare, read_content
from ansible_collections.runbook.ops.plugins.module_utils._pg_content_sql import AMCHECK, AMCHECK_CAN
from ansible_collections.runbook.ops.plugins.module_utils._pg_fill import Load, fill
from ansible_collections.runbook.ops.plugins.module_utils._pg_scratch import ADMIN, Scratch, drop_abandoned
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

GROWTH = 1.2  # an index that is built needs room beside the index
PLACE = "SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER') THEN current_setting('data_directory') END;"
KEPT_PERCENT = 5  # of the disk stay free whatever a test needs


def drill(backup: Backup, options: Mapping[str, Any]) -> dict[str, Any]:
    """Restore ``backup`` into a database that is dropped again, and return what came of it.

    :param options: how the server is reached, ``jobs``, ``identity``, ``tables``, ``canaries``, ``amcheck_bytes``,
        ``timeout_seconds``
    :raises PgError: it cannot be restored; so do CodecError and PipelineError.
    """
    target = PgTarget(options, application="runbook.ops backup_verify")
    content = backup.manifest["content"]
    drop_abandoned(target)  # before the room is looked at: they may be what takes it
    check_room(target, content)
    began = time.monotonic()
    now = datetime.now(timezone.utc)
    how = Load(
        jobs=options.get("jobs") or min(4, os.cpu_count() or 1),
        identity=options.get("identity"),
        workplace=backup.path.parent / f".{backup.set}.drill",
        timeout_seconds=options.get("timeout_seconds"),
    )
    with Scratch(target, content, title=backup.name, now=now, jobs=how.jobs) as scratch:
        fill(target, scratch.name, backup.path / content["dump"], how)
        restored = time.monotonic() - began
        reached("backup_verify:restored")
        with ThreadPoolExecutor(max_workers=1) as pool:  # other tables and another processor
            checking = pool.submit(check_indexes, target, scratch.name, options.get("amcheck_bytes"))
            differences = compare(content, read_content(target, scratch.name))
            sound, why = checking.result()
        differences += missing_tables(content, options.get("tables") or [])
        canaries: dict[str, float | None] = {}
        for query in options.get("canaries") or []:
            canaries[query], problem = ask_canary(target, scratch.name, query)
            differences += [problem] if problem else []
        differences += [why] if why and sound is False else []
    version = str(target.json(ADMIN, "SELECT to_json(current_setting('server_version'));"))
    return {
        "kind": "postgresql",
        "target": scratch.name,
        "seconds": round(time.monotonic() - began, 3),
        "restore_seconds": round(restored, 3),
        "server_version": version.split(" ", maxsplit=1)[0],
        "differences": differences,
        "amcheck": sound,
        "amcheck_skipped": why if sound is None else None,
        "canaries": canaries,
        "passed": not differences,
    }


def missing_tables(content: Mapping[str, Any], wanted: list[str]) -> list[str]:
    """Return in words which tables the manifest should tell of, and does not; names with capitals may be written with quotes or without."""
    known = {table.replace('"', "") for table in content["tables"]}
    return [
        f"table {name} must be in every backup, and is not in this one"
        for name in wanted
        if (name if "." in name else f"public.{name}").replace('"', "") not in known
    ]


def ask_canary(target: PgTarget, database: str, query: str) -> tuple[float | None, str | None]:
    """Return the number that a query of the application gives in ``database``, and what is wrong with it."""
    asked = f"RESET search_path;\nBEGIN READ ONLY;\n{query.strip().rstrip(';')};\nROLLBACK;\n"
    try:
        lines = target.sql(database, asked, timeout_seconds=300)
    except PgError as exc:
        return None, f"the canary {query!r} fails: {exc}"
    try:
        number = float(lines[0]) if len(lines) == 1 else None
    except ValueError:
        number = None
    if number is None:
        return None, f"the canary {query!r} must give one number, and gave {len(lines)} lines: correct the query"
    return number, None if number > 0 else f"the canary {query!r} gives {number:g}, and must be above 0"


def check_indexes(target: PgTarget, database: str, most_bytes: int | None) -> tuple[bool | None, str | None]:
    """Check the order of each B-tree, and ``most_bytes`` of them row by row. Return None where that cannot be done, and why."""
    if not most_bytes:
        return None, "not asked for"
    if target.sql(database, AMCHECK_CAN) != ["t"]:
        return None, "the extension amcheck is not installed, or only a superuser may use it"
    try:
        target.sql(database, AMCHECK.format(most_bytes=int(most_bytes)), timeout_seconds=0)
    except PgError as exc:
        return False, f"amcheck found a damaged index: {exc}"
    return True, None


def check_room(target: PgTarget, content: Mapping[str, Any]) -> None:
    """Refuse a test that would fill the disk of a server that works.

    :raises PgError: it has no room. Where it cannot be told, it is taken to have.
    """
    free, total = _room(target, target.sql(ADMIN, PLACE)[0])
    needed = round(content.get("size_bytes", 0) * GROWTH)
    if total and free - needed < total * KEPT_PERCENT / 100:
        raise PgError(
            f"the test restore needs {human_size(needed)}, and the server's disk has {human_size(free)} free, of which "
            f"{KEPT_PERCENT} % must stay free: make room, or name another server for the test"
        )


def _room(target: PgTarget, directory: str) -> tuple[int, int]:
    """Return the bytes that are free where the server's files are, and all of them; 0 where that cannot be told."""
    if not directory or not (target.inside or target.local):
        return 0, 0
    if target.inside:
        try:
            said = run_pipeline([target.stage("df", "-Pk", directory)], timeout_seconds=20).text
        except PipelineError:
            return 0, 0
        found = re.search(r"\s(\d+)\s+\d+\s+(\d+)\s+\d+%", said)
        return (int(found[2]) * 1024, int(found[1]) * 1024) if found else (0, 0)
    try:
        found_disk = os.statvfs(Path(directory))
    except OSError:
        return 0, 0
    return found_disk.f_bavail * found_disk.f_frsize, found_disk.f_blocks * found_disk.f_frsize
