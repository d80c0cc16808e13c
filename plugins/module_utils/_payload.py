# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that holds a backup: what is to be in it, and whether it is there by its size. Private to this collection.

Two kinds are known: a backup of a set of this collection, and a directory that a script has filled, with the checksums of
its files in ``manifest.json`` (``checksums``) or in ``SHA256SUMS``. That the content is undamaged is not looked at here.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    MANIFEST,
    NAME,
    PROOF,
    SUMS,
    Backup,
    SetError,
    is_inside,
    parse_sums,
    read_backup,
)

DESCRIBING = frozenset((MANIFEST, SUMS, PROOF, f"{PROOF}.partial"))
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
LARGEST_MANIFEST = 64 << 20

# Bytes by path; None where only a checksum tells of them, of a file that is not empty.
Files = Mapping[str, "int | None"]


def read_set(path: Path) -> Backup | None:
    """Return the whole backup of a set that ``path`` is, None where it is none."""
    try:
        return read_backup(path)
    except (SetError, ValueError, KeyError, TypeError):
        return None


def files_of(backup: Backup) -> dict[str, int | None]:
    """Return what a backup of a set has to hold."""
    return {entry["path"]: entry["size"] for entry in backup.manifest["files"]}


def read_copy(path: Path) -> dict[str, int | None] | None:
    """Return what a directory that a script has filled has to hold; None where nothing says so, or it is a set's."""
    try:
        manifest, sums = path / MANIFEST, path / SUMS
        if manifest.is_file() and manifest.stat().st_size <= LARGEST_MANIFEST:
            return parse_copy(json.loads(manifest.read_bytes()))
        # Without its manifest a backup of another set is damaged, and none of ours.
        if not NAME.match(path.name) and sums.is_file() and sums.stat().st_size <= LARGEST_MANIFEST:
            return parse_copy({"checksums": parse_sums(sums.read_bytes(), str(sums))})
    except (OSError, ValueError, SetError):
        return None
    return None


def parse_copy(manifest: Any) -> dict[str, int | None] | None:
    """Return the files that a manifest names in ``checksums``: text, or mappings that hold their size; None for another."""
    checksums = manifest.get("checksums") if isinstance(manifest, dict) else None
    if not isinstance(checksums, dict) or not checksums:
        return None
    files: dict[str, int | None] = {}
    for name, said in checksums.items():
        relative = name[2:] if name.startswith("./") else name
        size = said.get("size") if isinstance(said, dict) else None
        if not is_inside(relative) or relative in files:
            return None
        files[relative] = size if isinstance(size, int) else 0 if said == EMPTY_SHA256 else None
    return files


def fault(root: Path, files: Files) -> str | None:
    """Return the first of ``files`` that is not there in its size, in words; None where all are."""
    for relative, size in files.items():
        try:
            found = os.lstat(root / relative)
        except OSError:
            return f"{relative} is missing"
        if not stat.S_ISREG(found.st_mode):
            return f"{relative} is no file"
        if found.st_size != size and (size is not None or found.st_size == 0):
            return f"{relative} has {found.st_size} bytes" + (f" instead of {size}" if size is not None else "")
    return None


def size_of(root: Path, files: Files) -> int:
    """Return the bytes that ``files`` hold now."""
    return sum(path.lstat().st_size for path in map(root.joinpath, files) if path.exists())


def is_as_proven(backup: Backup, proof: Mapping[str, Any]) -> bool:
    """Return whether no file of ``backup`` has been written to since it was verified."""
    for relative, seen in (proof.get("files") or {}).items():
        try:
            found = os.lstat(backup.path / relative)
        except OSError:
            return False
        if list(seen) != [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]:
            return False
    return set(proof.get("files") or {}) == set(files_of(backup))


def stranger(root: Path, files: Files) -> str | None:
    """Return something below ``root`` that belongs neither to ``files`` nor to what describes them; None without any."""
    for directory, names, entries in os.walk(root):
        links = [name for name in names if Path(directory, name).is_symlink()]
        for name in (*entries, *links):
            relative = Path(directory, name).relative_to(root).as_posix()
            if relative not in files and relative not in DESCRIBING:
                return relative
    return None
