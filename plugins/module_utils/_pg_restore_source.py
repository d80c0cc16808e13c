# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is restored, and whether it is what it was when it was made. Private to this collection."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, SetError, list_backups, read_backup
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source, parse_time, write_time
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_scan import DumpError, Scan
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline

LATEST = "latest"
CUSTOM = b"PGDMP"
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BLOCK = 1 << 20
UNZSTD = Stage(["zstd", "-dcq"])


def choose(params: Mapping[str, Any], entry: Mapping[str, Any] | None) -> Source:
    """Return what is to be restored. Where a restore is under way, ``latest`` is the backup that it began with.

    :raises RestoreError: there is no such backup.
    """
    before = parse_time(params["taken_before"]) if params["taken_before"] else None
    if params["backup"] == LATEST and entry and entry["open"] and entry["stage"] in ("prepared", "swapped"):
        begun = find_path(entry["source"])
        if before is None or (begun.taken_at and parse_time(begun.taken_at) < before):
            return begun
    return find(
        params["backup"],
        directory=params["directory"],
        prefix=params["set"],
        proven_only=not params["accept_unproven"].strip(),
        before=before,
    )


def find(
    backup: str, *, directory: str | None, prefix: str | None, proven_only: bool, before: datetime | None = None
) -> Source:
    """Return what ``backup`` names: a path, the name of a set in ``directory``, or ``latest``.

    :param proven_only: whether ``latest`` is the newest that has been restored in a test, or the newest at all
    :param before: ``latest`` shows what was there before this moment
    :raises RestoreError: there is no such backup.
    """
    try:
        if backup == LATEST:
            return of_set(_latest(directory, prefix, proven_only=proven_only, before=before))
        path = Path(backup) if backup.startswith("/") else Path(_needed(directory, "backup is a name")) / backup
    except SetError as exc:
        raise RestoreError(str(exc)) from exc
    return find_path({"path": str(path)})


def newest_proven(params: Mapping[str, Any]) -> datetime | None:
    """Return when the newest backup of the database itself was taken that has passed a test restore; None: there is none."""
    if not (params["directory"] and params["set"]):
        return None
    try:
        found = list_backups(Path(params["directory"]), params["set"])
    except SetError:
        return None
    return max((one.taken_at for one in found if _proven_of(one, params["database"])), default=None)


def _proven_of(backup: Backup, database: str) -> bool:
    try:
        source = of_set(backup)
    except RestoreError:
        return False
    return bool(source.drill) and source.database == database


def find_path(begun: Mapping[str, Any]) -> Source:
    """Return the backup that a journal names.

    :raises RestoreError: it is not there any more.
    """
    path = Path(begun["path"])
    try:
        return of_set(read_backup(path)) if path.is_dir() else of_file(path)
    except SetError as exc:
        raise RestoreError(str(exc)) from exc


def _needed(directory: str | None, why: str) -> str:
    if not directory:
        raise RestoreError(f"{why}, so the directory of the backups is needed: set directory")
    return directory


def _latest(directory: str | None, prefix: str | None, *, proven_only: bool, before: datetime | None) -> Backup:
    if not directory or not prefix:
        raise RestoreError("backup is latest, so it must be known of which backups: set directory and set")
    found = [one for one in list_backups(Path(directory), prefix) if before is None or one.taken_at < before]
    fit = [one for one in found if not proven_only or of_set(one).drill]
    if fit:
        return fit[-1]
    when = f" made before {write_time(before)}" if before else ""
    if found:
        raise RestoreError(
            f"none of the {len(found)} backups {prefix} in {directory}{when} has passed a test restore: prove one with backup_verify "
            "and drill, or set accept_unproven to the reason why the newest is restored all the same"
        )
    raise RestoreError(
        f"there is no whole backup {prefix} in {directory}{when}: correct directory and set, or give the path of one"
    )


def of_set(backup: Backup) -> Source:
    """Return a backup of this collection.

    :raises RestoreError: it holds no database of PostgreSQL.
    """
    manifest, proof = backup.manifest, read_proof(backup) or {}
    if manifest.get("kind") != "postgresql":
        raise RestoreError(
            f"{backup.path} is a backup of the kind {manifest.get('kind')}: pg_restore restores postgresql only"
        )
    drill = None if proof.get("failed_drill") else proof.get("drill") or None
    return Source(
        kind="set",
        title=backup.name,
        path=str(backup.path),
        identity=backup.identity,
        size=manifest["size"],
        taken_at=write_time(backup.taken_at),
        database=manifest.get("database"),
        content=manifest.get("content") or {},
        drill=drill if drill and drill.get("passed") else None,
        undamaged=bool(proof.get("checked_at")),
        encryption=(manifest.get("encryption") or {}).get("method"),
    )


def of_file(path: Path) -> Source:
    """Return a dump that somebody made with pg_dump.

    :raises RestoreError: it cannot be read.
    """
    try:
        told = path.stat()
        with path.open("rb") as file:
            head = file.read(len(CUSTOM))
    except OSError as exc:
        raise RestoreError(f"cannot read the backup {path} ({exc.strerror}): is this its path?") from exc
    return Source(
        kind="custom" if head == CUSTOM else "plain",
        title=path.name,
        path=str(path),
        identity=f"file:{path}:{told.st_size}:{told.st_mtime_ns}",
        size=told.st_size,
        taken_at=write_time(datetime.fromtimestamp(told.st_mtime, tz=timezone.utc)),
        database=None,
        content=None,
        drill=None,
        undamaged=False,
    )


def prove_undamaged(source: Source, *, all_of_it: bool) -> None:
    """Compare the payload of a set with its checksums, and look for the end of a file.

    :param all_of_it: whether what was compared when it was proven, and was not written to since, is read again
    :raises RestoreError: it is damaged.
    """
    if source.kind == "set":
        try:
            backup = read_backup(Path(source.path))
        except SetError as exc:
            raise RestoreError(str(exc)) from exc
        known: Mapping[str, Any] = {} if all_of_it else (read_proof(backup) or {}).get("files") or {}
        problems = check(backup, known=known).problems
        if problems:
            raise RestoreError(f"{source.title} is damaged, take another: {'; '.join(problems[:3])}")
    elif source.kind == "plain":
        look_through(source)


def look_through(source: Source) -> Scan:
    """Return what a plain dump holds.

    :raises RestoreError: it is damaged or cut off, or would leave the database that is restored.
    """
    path, seen = Path(source.path), Scan()
    try:
        if compression_of(path) == "zstd":
            run_pipeline([UNZSTD], source=path, sink=seen.feed)
        else:
            for piece in pieces_of(path):
                seen.feed(piece)
        return seen.finish()
    except DumpError as exc:
        raise RestoreError(f"{path} must not be loaded: {exc}") from exc
    except PipelineError as exc:
        raise RestoreError(f"{path} is damaged, or cannot be unpacked: {exc}") from exc


def compression_of(path: Path) -> str | None:
    """Return gzip, zstd or None, by the first bytes of the file."""
    with path.open("rb") as file:
        head = file.read(4)
    return "zstd" if head == ZSTD else "gzip" if head[:2] == GZIP else None


def pieces_of(path: Path) -> Iterator[bytes]:
    """Yield what is in a file that is not compressed, or by gzip.

    :raises RestoreError: it cannot be read, or is damaged.
    """
    try:
        with gzip.open(path, "rb") if compression_of(path) == "gzip" else path.open("rb") as file:
            while piece := file.read(BLOCK):
                yield piece
    except (OSError, EOFError, zlib.error) as exc:
        raise RestoreError(f"{path} is damaged ({exc}): take another") from exc
