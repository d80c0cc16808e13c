# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a copy of a backup back from a bucket: beside first, proven, then by its name. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import HashingFile
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, read_proof, write_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    MANIFEST,
    PARTIAL,
    SUMS,
    Backup,
    SetError,
    parse_sums,
    read_backup,
    sync_directory,
)
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import Copy, OffsiteError, place
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import read_object, side_by_side
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import Storage
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

ROOM = 1.02  # of the size: directories and metadata need some too


def find_copy(copies: Mapping[str, Copy], name: str, *, where: str) -> Copy:
    """Return the copy of that ``name``, or the newest one for ``latest``.

    :raises OffsiteError: there is none that is complete.
    """
    complete = {one.name: one for one in copies.values() if one.fault is None}
    if name == "latest" and complete:
        return complete[max(complete)]
    if name in complete:
        return complete[name]
    if name in copies:
        raise OffsiteError(f"the copy {name} in {where} is not complete: {copies[name].fault}; fetch another")
    there = (
        f"; there are {len(complete)}, the newest is {max(complete)}" if complete else ", nor any other complete one"
    )
    raise OffsiteError(f"there is no copy {name} in {where}{there}")


def local_one(directory: Path, copy: Copy) -> Backup | None:
    """Return the backup that a copy is of where it is here already.

    :raises OffsiteError: something else has its name here.
    """
    path = directory / copy.name
    if not os.path.lexists(path):
        return None
    marker = copy.marker or {}
    try:
        backup = read_backup(path)
        problems = check(backup, known=(read_proof(backup) or {}).get("files")).problems
    except SetError as exc:
        raise OffsiteError(f"{exc}; move {path} away, then fetch it again") from exc
    if problems:
        raise OffsiteError(f"{path} is damaged ({problems[0]}): move it away, then fetch it again")
    if backup.identity != marker.get("identity"):
        raise OffsiteError(f"{path} is another backup of the same name: move it away, or fetch into another directory")
    return backup


def refuse_full(directory: Path, copy: Copy, *, reclaimable: int = 0) -> None:
    """Return where there is room for a copy.

    :param reclaimable: bytes that are freed before it comes, because a killed run left them
    :raises OffsiteError: there is none.
    """
    try:
        free = shutil.disk_usage(directory).free + reclaimable
    except OSError as exc:
        raise OffsiteError(f"cannot fetch into {directory} ({exc.strerror}): make it, or correct directory") from exc
    if free < copy.size * ROOM:
        raise OffsiteError(
            f"{copy.name} needs {human_size(copy.size)}, {directory} has {human_size(free)} free: make room, or fetch into another directory"
        )


def fetch(storage: Storage, copy: Copy, directory: Path, *, prefix: str, jobs: int, checked_at: str) -> Backup:
    """Bring a copy into ``directory``. Hold the set's lock, and have cleaned up before.

    :raises OffsiteError: what came is not that backup, or cannot be written.
    :raises S3Error: it cannot be read.
    """
    draft = directory / f"{copy.name}{PARTIAL}"
    files = {entry["path"]: entry for entry in (copy.marker or {})["files"]}
    try:
        draft.mkdir(mode=0o700)
        for parent in sorted({(draft / path).parent for path in files}):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = [partial(_fetch_file, storage, copy, draft, prefix, entry) for entry in files.values()]
        side_by_side(storage, jobs, work)
        reached("backup_offsite:fetched")
        _prove(_read(draft, copy), checked_at, (copy.marker or {}).get("drill"))
        for place_, _names, _files in os.walk(draft):
            sync_directory(Path(place_))
        draft.rename(directory / copy.name)
        reached("backup_offsite:named")
        sync_directory(directory)
    except OSError as exc:
        raise OffsiteError(f"cannot write {exc.filename or draft} ({exc.strerror}): nothing was left behind") from exc
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return read_backup(directory / copy.name)


def _fetch_file(storage: Storage, copy: Copy, draft: Path, prefix: str, entry: Mapping[str, Any]) -> None:
    path = entry["path"]
    try:
        file = HashingFile(draft / path)
    except OSError as exc:
        raise OffsiteError(f"cannot write {draft / path} ({exc.strerror})") from exc

    def write(block: bytes) -> None:
        try:
            file.write(block)
        except OSError as exc:  # no trouble of the network: it is not tried again
            raise OffsiteError(f"cannot write {draft / path} ({exc.strerror}): nothing was left behind") from exc

    try:
        read_object(storage, place(prefix, copy.name, path), int(entry["size"]), write)
    finally:
        try:
            file.close()
        except OSError as exc:
            raise OffsiteError(f"cannot write {draft / path} ({exc.strerror}): nothing was left behind") from exc
    if file.sha256 != entry["sha256"]:
        raise OffsiteError(f"{path} of the copy {copy.name} is damaged: its SHA-256 is another; fetch another copy")


def _read(draft: Path, copy: Copy) -> Backup:
    """Return the backup that the draft is to become.

    :raises OffsiteError: it is not the one whose identity the marker tells.
    """
    written = (draft / SUMS).read_bytes()
    marker = copy.marker or {}
    said = {entry["path"]: entry["sha256"] for entry in marker["files"] if entry["path"] != SUMS}
    identity = hashlib.sha256(written).hexdigest()
    try:
        sums = parse_sums(written, SUMS)
        manifest = json.loads((draft / MANIFEST).read_bytes())
        is_same = identity == marker["identity"] and sums == said and manifest["name"] == copy.name
    except (SetError, ValueError, KeyError, TypeError):
        is_same = False
    if not is_same:
        raise OffsiteError(
            f"the copy {copy.name} does not hold together: its SHA256SUMS names other files; fetch another"
        )
    return Backup(draft, copy.name, manifest["set"], copy.taken_at, manifest, identity, sums)


def _prove(backup: Backup, checked_at: str, drill: dict[str, Any] | None) -> None:
    """Note that every byte has just been compared, and the drill that this very backup has passed elsewhere."""
    seen = {}
    for path in sorted(set(backup.sums) - {MANIFEST}):
        told = (backup.path / path).lstat()
        seen[path] = [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]
    write_proof(backup, {"checked_at": checked_at, "files": seen, "drill": drill})
