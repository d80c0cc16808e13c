# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One open directory of backups: what is a good one there. Private to this collection."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import NAME as SET_NAME
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, locked
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import (
    CHUNK,
    NAME,
    REMOVED,
    SIDECARS,
    STAMP,
    Dated,
)
from ansible_collections.runbook.ops.plugins.module_utils._payload import (
    Files,
    fault,
    files_of,
    read_copy,
    read_set,
    size_of,
    stranger,
)
from ansible_collections.runbook.ops.plugins.module_utils._rotation import RotationError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size


class Folder:
    """One open directory: whatever is renamed around it, files are looked at, and deleted, in this one."""

    def __init__(self, path: str, *, min_size: int) -> None:
        self.path, self.min_size = Path(path), min_size
        self.sidecars: set[str] = set()
        self.before_sidecars: set[str] = set()  # backups from before the first that came with a checksum file
        self.sets: set[str] = set()  # names of the whole backups of the set
        self.strays: list[str] = []  # what is named like one, and is none
        self.strangers: dict[str, str] = {}  # backup that was to go: what stands in it and belongs to somebody else
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as exc:
            raise RotationError(f"cannot open the directory {path} ({exc.strerror}): correct directory") from exc
        self.device = os.fstat(self.descriptor).st_dev

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self.descriptor)

    def hold(self, set_name: str | None, *, check_mode: bool) -> AbstractContextManager[None]:
        """Return the lock of the set; nothing where there is none, or nothing will be done.

        :raises RotationError: entering it, where somebody else holds it.
        """
        return contextlib.nullcontext() if set_name is None or check_mode else _held(self.path, set_name)

    def names(self) -> Iterator[str]:
        names = os.listdir(self.descriptor)  # noqa: PTH208  # pathlib cannot list an open directory
        while names:  # given away bit by bit: two full lists of 200 000 names are all the memory we allow
            some = names[-CHUNK:]
            del names[-CHUNK:]
            yield from some

    def learn(self, dated: Dated) -> None:
        """Take over what the names tell, and add the whole backups of the set to ``dated.backups``."""
        self.sidecars = dated.sidecars
        if dated.sidecars:
            first = next((index for index, key in enumerate(dated.backups) if self.beside(key[NAME])), 0)
            self.before_sidecars = {key[NAME] for key in dated.backups[:first]}
        last = ""
        for name in sorted(dated.sets):
            backup = read_set(self.path / name) if self.is_directory(name) else None
            if backup is None:
                self.strays.append(name)
                continue
            self.sets.add(name)
            # Names of files tell the host's local time: so that all are in one order, this one is told in it too. Where the clocks go
            # back an hour comes twice: what is newer stays newer.
            last = max(last, backup.taken_at.astimezone().strftime(STAMP))
            dated.backups.append(f"{last}/{name}")
        if dated.sets:
            dated.backups.sort()

    def look(self, name: str) -> os.stat_result | None:
        """Return what is known of ``name`` where it is a file or a directory of this file system, and no link."""
        try:
            found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        known = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
        return found if known and found.st_dev == self.device else None

    def is_directory(self, name: str) -> bool:
        found = self.look(name)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def is_leftover(self, name: str) -> bool:
        """Return whether the directory ``name`` is what we were deleting: nothing in it is anybody else's."""
        if not self.is_directory(name):
            return False
        ours = SET_NAME.match(name[: -len(REMOVED)]) is not None
        return ours or stranger(self.path / name, self.files(name) or {}) is None

    def files(self, name: str) -> Files | None:
        """Return what the directory ``name`` has to hold; None where nothing says that it is a backup."""
        if name in self.sets:
            backup = read_set(self.path / name)
            return None if backup is None else files_of(backup)
        return read_copy(self.path / name)

    def is_good(self, name: str) -> bool:
        return self.fault(name) is None

    def fault(self, name: str) -> str | None:
        """Return why ``name`` is no good backup, None where it is one."""
        found = self.look(name)
        if found is None:
            return "not a file of this file system"
        size = found.st_size
        if stat.S_ISDIR(found.st_mode):
            files = self.files(name)
            if files is None:
                return "nothing says what the directory has to hold"
            damage = fault(self.path / name, files)
            if damage or name in self.sets:  # a whole backup tells itself how large it has to be
                return damage
            size = size_of(self.path / name, files)
        elif self.sidecars and name not in self.before_sidecars and not self.beside(name):
            return "without the checksum file that others come with"
        return f"{human_size(size)} only" if size < self.min_size else None

    def is_verified(self, name: str) -> bool:
        """Return whether a backup of the set was verified, and all of it is there still."""
        return self._proof(name) is not None and self.is_good(name)

    def is_proven(self, name: str) -> bool:
        """Return whether it has been restored on trial too, with success and not without since."""
        proof = self._proof(name) or {}
        passed = bool((proof.get("drill") or {}).get("passed")) and not proof.get("failed_drill")
        return passed and self.is_good(name)

    def _proof(self, name: str) -> dict[str, Any] | None:
        backup = read_set(self.path / name) if name in self.sets else None
        return None if backup is None else read_proof(backup)

    def beside(self, name: str) -> list[str]:
        return [name + suffix for suffix in SIDECARS if name + suffix in self.sidecars] if self.sidecars else []


@contextlib.contextmanager
def _held(path: Path, set_name: str) -> Iterator[None]:
    try:
        lock = locked(path, set_name)
        lock.__enter__()
    except SetError as exc:
        raise RotationError(str(exc)) from exc
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
