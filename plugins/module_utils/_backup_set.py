# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup on disk: a directory that exists only when it is whole. Private to this collection.

::

    <directory>/<set>_<YYYYMMDD>T<HHMMSS>Z/   the set and the moment of the snapshot, in UTC
        <payload>                             what was saved
        manifest.json                         what it is, and what must be in it
        SHA256SUMS                            every payload file and the manifest, as sha256sum writes it; its own
                                              SHA-256 is the identity of the backup
        verified.json                         the last proof; no part of the identity
    <directory>/<set>_<…>Z.partial/           one that is being written, or was when its writer died
    <directory>/<set>_<…>Z.removed/           one that is being deleted, or was when that was cut off
    <directory>/.<set>.lock                   held while one is written or removed

"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._lock_file import HeldError, take
from ansible_collections.runbook.ops.plugins.module_utils._small_file import sync_directory

FORMAT = 1
MANIFEST, SUMS, PROOF = "manifest.json", "SHA256SUMS", "verified.json"
AHEAD_SECONDS = 300  # what is dated further in the future says that a clock was wrong, not that it is new
PARTIAL, REMOVED = ".partial", ".removed"
STAMP = "%Y%m%dT%H%M%SZ"
SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
NAME = re.compile(r"(?P<set>[A-Za-z0-9][A-Za-z0-9._-]*)_(?P<stamp>\d{8}T\d{6}Z)\Z")
LINE = re.compile(r"([0-9a-f]{64})  (?!\.\.?/)([^\0\n\r\\]+)\Z")


class SetError(Exception):
    """A directory that is no whole backup, or one that cannot be worked on; the message is one line that says what to do."""


class Backup(NamedTuple):
    """One whole backup. That its payload is undamaged is not known from this alone."""

    path: Path
    name: str
    set: str
    taken_at: datetime  # in UTC
    manifest: dict[str, Any]
    identity: str  # SHA-256 of its SHA256SUMS
    sums: dict[str, str]  # SHA-256 by path in the backup, the manifest's among them


def set_name(prefix: str, at: datetime) -> str:
    """Return the name of the backup of the set ``prefix`` that holds what was there at ``at``.

    :raises ValueError: ``prefix`` holds what a file name should not, or ``at`` has no time zone.
    """
    if not SET.match(prefix):
        raise ValueError(f"{prefix!r} cannot name a set of backups: use letters, digits, '.', '_' and '-'")
    if at.tzinfo is None:
        raise ValueError("the moment of a backup needs a time zone")
    return f"{prefix}_{at.astimezone(timezone.utc).strftime(STAMP)}"


def list_backups(directory: Path, prefix: str) -> list[Backup]:
    """Return the whole backups of the set ``prefix``, oldest first. Their payload is not read.

    :raises SetError: the directory cannot be read.
    """
    found = []
    for name in names(directory, prefix):
        try:
            found.append(read_backup(directory / name))
        except SetError:
            continue  # not whole: `strays` tells of it
    return found


def strays(directory: Path, prefix: str) -> dict[str, str]:
    """Return what has the name of a backup of the set ``prefix`` and is none: why, by its name.

    :raises SetError: the directory cannot be read.
    """
    told = {}
    for name in names(directory, prefix):
        try:
            read_backup(directory / name)
        except SetError as exc:
            told[name] = str(exc)
    return told


def names(directory: Path, prefix: str) -> list[str]:
    """Return the names in ``directory`` that a backup of the set ``prefix`` would have, oldest first; none where it does not exist.

    :raises SetError: the directory cannot be read.
    """
    try:
        entries = [entry.name for entry in directory.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise SetError(
            f"cannot read {directory} ({exc.strerror}): is it a directory, and may this account read it?"
        ) from exc
    matches = ((entry, NAME.match(entry)) for entry in entries)
    return sorted(entry for entry, match in matches if match and match["set"] == prefix)


def read_backup(path: Path) -> Backup:
    """Return the backup that ``path`` is.

    :raises SetError: it is none, or what describes it is damaged.
    """
    match = NAME.match(path.name)
    if match is None:
        raise SetError(f"{path} has not the name of a backup, <set>_<YYYYMMDD>T<HHMMSS>Z")
    written, described = _read(path / SUMS), _read(path / MANIFEST)
    sums = parse_sums(written, str(path / SUMS))
    if sums.get(MANIFEST) != hashlib.sha256(described).hexdigest():
        raise SetError(
            f"{path / MANIFEST} is not the one that {SUMS} was written for: this backup is damaged, take another"
        )
    manifest = json.loads(described)  # it is as it was written
    if manifest["format"] != FORMAT:
        raise SetError(f"{path} has format {manifest['format']}: read it with a newer version of this collection")
    if manifest["name"] != path.name or manifest["set"] != match["set"]:
        raise SetError(f"{path} holds the backup {manifest['name']}: give it its name back")
    if {entry["path"]: entry["sha256"] for entry in manifest["files"]} != {
        p: s for p, s in sums.items() if p != MANIFEST
    }:
        raise SetError(f"{path}: {MANIFEST} and {SUMS} name different files: this backup is damaged, take another")
    taken_at = datetime.strptime(match["stamp"], STAMP).replace(tzinfo=timezone.utc)
    return Backup(path, path.name, match["set"], taken_at, manifest, hashlib.sha256(written).hexdigest(), sums)


def parse_sums(written: bytes, name: str) -> dict[str, str]:
    """Return SHA-256 by path. What ``sha256sum`` would forgive is refused: every byte of it counts for the identity.

    :raises SetError: it is not what was written.
    """
    sums: dict[str, str] = {}
    damaged = SetError(f"{name} is damaged: take another backup")
    try:
        text = written.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise damaged from exc
    if not text.endswith("\n"):
        raise damaged
    for line in text[:-1].split("\n"):
        match = LINE.match(line)
        if match is None or not is_inside(match[2]) or match[2] in sums:
            raise damaged
        sums[match[2]] = match[1]
    if list(sums) != sorted(sums):
        raise damaged
    return sums


def is_inside(relative: str) -> bool:
    """Return whether a path of a manifest stays in the directory of its backup, and is none of those that describe it."""
    path = PurePosixPath(relative)
    return (
        not path.is_absolute()
        and ".." not in path.parts
        and str(path) == relative
        and relative not in (".", SUMS, PROOF)
    )


@contextmanager
def locked(directory: Path, prefix: str) -> Iterator[None]:
    """Hold the lock of the set ``prefix``: one at a time writes or removes its backups. A process that dies lets go of it.

    :raises SetError: another process holds it, or the directory cannot be written to.
    """
    path = directory / f".{prefix}.lock"
    try:
        handle = take(path)
    except HeldError as exc:
        raise SetError(f"{exc} works on the backups {prefix} in {directory}: wait until it has ended") from exc
    except OSError as exc:
        raise SetError(
            f"cannot write {path} ({exc.strerror}): nothing was done; make room, or let this account write there"
        ) from exc
    try:
        yield
    finally:
        os.close(handle)


def is_locked(directory: Path, prefix: str) -> bool:
    """Return whether somebody writes or removes backups of the set ``prefix`` at this moment; nothing is written for it."""
    try:
        handle = os.open(directory / f".{prefix}.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def leftovers(directory: Path, prefix: str) -> list[str]:
    """Return the names of what dead processes left of backups of the set ``prefix``."""
    found = []
    for suffix in (PARTIAL, REMOVED):
        entries = (entry.name for entry in directory.iterdir() if entry.name.endswith(suffix))
        matches = ((entry, NAME.match(entry[: -len(suffix)])) for entry in entries)
        found += [entry for entry, match in matches if match and match["set"] == prefix]
    return sorted(found)


def reclaimable(directory: Path, prefix: str) -> int:
    """Return the bytes that :func:`clean_up` will free, as far as they can be told; none while somebody is at work on them."""
    if not directory.is_dir() or is_locked(directory, prefix):
        return 0
    total = 0
    for name in leftovers(directory, prefix):
        for place, _names, files in os.walk(directory / name):
            for file in files:
                with suppress(OSError):  # it may vanish meanwhile
                    total += Path(place, file).lstat().st_blocks * 512
    return total


def clean_up(directory: Path, prefix: str) -> list[str]:
    """Delete what dead processes left, and return the names. Call it inside the lock: then nobody is at work on them.

    :raises SetError: something cannot be deleted.
    """
    gone = leftovers(directory, prefix)
    for name in gone:
        try:
            shutil.rmtree(directory / name)
        except OSError as exc:
            raise SetError(
                f"cannot delete {exc.filename or directory / name} ({exc.strerror}): it is left of a killed run"
            ) from exc
    if gone:
        sync_directory(directory)
    return gone


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise SetError(f"{path} is missing: this is no whole backup, take another") from exc
    except OSError as exc:
        raise SetError(f"cannot read {path} ({exc.strerror})") from exc
