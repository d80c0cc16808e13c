# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about a backup since it was made: that it is undamaged, and that it has been restored. Private to this collection.

A proof is bound to the identity of its backup. Bound to another, damaged or missing, it proves nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import MANIFEST, PROOF, SUMS, Backup
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

BLOCK = 1 << 20
READERS = 4
# What tells that a file has been written to: size in bytes, mtime and ctime in ns, inode.
Seen = dict[str, list[int]]


class Checked(NamedTuple):
    """What reading a backup again found."""

    problems: list[str]  # in words; none: it is undamaged
    files: Seen
    bytes_read: int


def check(backup: Backup, *, known: Mapping[str, Any] | None = None) -> Checked:
    """Compare the payload with its checksums.

    :param known: ``files`` of an earlier proof: what has not been written to since is not read again
    """
    found = _payload(backup.path)
    expected = {path for path in backup.sums if path != MANIFEST}
    problems = [f"{path} is missing" for path in sorted(expected - set(found))]
    problems += [f"{path} does not belong to it" for path in sorted(set(found) - expected)]
    files: Seen = {}
    due = []
    for path in sorted(expected & set(found)):
        try:
            files[path] = _seen(found[path])
        except OSError as exc:
            problems.append(f"{path} cannot be read ({exc.strerror})")
            continue
        if not known or list(known.get(path) or ()) != files[path]:
            due.append(path)
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        for path, (size, said) in zip(due, pool.map(_digest, [found[path] for path in due])):
            if said == backup.sums[path]:
                continue
            entry = next(entry for entry in backup.manifest["files"] if entry["path"] == path)
            if size is None:
                problems.append(f"{path} cannot be read ({said})")
            elif size != entry["size"]:
                problems.append(f"{path} has {size} bytes instead of {entry['size']}")
            else:
                problems.append(f"{path} is damaged: its SHA-256 is not the one that was written")
    return Checked(problems, files, sum(files[path][0] for path in due))


def read_proof(backup: Backup) -> dict[str, Any] | None:
    """Return the proof of ``backup``; None where there is none that is bound to it and can be read."""
    try:
        proof = json.loads((backup.path / PROOF).read_bytes())
        return proof if isinstance(proof, dict) and proof["identity"] == backup.identity else None
    except (OSError, ValueError, KeyError):
        return None


def write_proof(backup: Backup, proof: Mapping[str, Any]) -> None:
    """Replace the proof of ``backup``, bound to its identity."""
    text = json.dumps({**proof, "identity": backup.identity}, indent=1, sort_keys=True) + "\n"
    replace_file(backup.path / PROOF, text.encode(), aside=f"{PROOF}.partial")


def _payload(root: Path) -> dict[str, Path]:
    """Return what stands in a backup beside what describes it, by its path there; links are not followed."""
    own = {MANIFEST, SUMS, PROOF, f"{PROOF}.partial"}
    found = {}
    for directory, names, files in os.walk(root):
        links = [name for name in names if Path(directory, name).is_symlink()]
        for name in [*files, *links]:
            path = Path(directory, name)
            relative = path.relative_to(root).as_posix()
            if relative not in own:
                found[relative] = path
    return found


def _seen(path: Path) -> list[int]:
    told = path.lstat()
    return [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]


def _digest(path: Path) -> tuple[int | None, str]:
    """Return size and SHA-256 of a file; where it cannot be read, no size and why."""
    digest, size = hashlib.sha256(), 0
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as exc:
        return None, exc.strerror or str(exc)
    return size, digest.hexdigest()
