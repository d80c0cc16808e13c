# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that is being written: everything in it is on disk before it gets its name. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    FORMAT,
    MANIFEST,
    PARTIAL,
    SUMS,
    Backup,
    SetError,
    is_inside,
    read_backup,
    set_name,
    sync_directory,
)
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._writeback import EVERY, begin

BLOCK = 1 << 20
READERS = 4  # hashlib lets other threads run
SECONDS = 3  # that are waited for; more are taken only where the clock was set back


def wait_for_a_name(directory: Path, prefix: str, clock: Callable[[], float] = time.time) -> datetime:
    """Return this second, once no backup has its name: backups are named by the second, and two may be asked for in one.

    Hold the set's lock.
    """
    for _second in range(SECONDS):
        now = clock()
        at = datetime.fromtimestamp(int(now), timezone.utc)
        if not (directory / set_name(prefix, at)).exists():
            break
        time.sleep(1 - now % 1)
    return at


class HashingFile:
    """A new file, whose SHA-256 is known when it is closed: what was meant to be written, not what came back from the disk."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        :raises FileExistsError: there is one already.
        """
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=BLOCK)
        self._hash = hashlib.sha256()
        self.size = self._begun = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        if self.size - self._begun >= EVERY:
            self._begun = self.size
            begin(self._file.fileno())
        return len(data)

    def close(self) -> None:
        """Bring the file to the disk."""
        if not self._file.closed:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            finally:
                self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def __enter__(self) -> HashingFile:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class Draft:
    """The directory ``<name>.partial``. Use it with ``with``: what is not sealed is deleted."""

    def __init__(self, path: Path, prefix: str, name: str) -> None:
        self.path = path
        self.prefix = prefix
        self.name = name
        self._written: dict[str, HashingFile] = {}
        self._adopted: dict[str, tuple[int, str]] = {}
        self._sealed = False

    @classmethod
    def begin(cls, directory: Path, prefix: str, at: datetime) -> Draft:
        """Make the directory. Hold the set's lock, and have cleaned up before.

        :param at: the moment that the backup shows
        :raises SetError: there is a backup of this second already (see :func:`wait_for_a_name`), or the directory cannot be made.
        """
        name = set_name(prefix, at)
        path = directory / f"{name}{PARTIAL}"
        if (directory / name).exists():
            raise SetError(f"{directory / name} is there already; was the clock set back?")
        try:
            path.mkdir(mode=0o700)
        except OSError as exc:
            raise SetError(f"cannot make {path}: {exc.strerror}") from exc
        return cls(path, prefix, name)

    def create(self, relative: str) -> HashingFile:
        """Return a new file of the payload; close it before the draft is sealed."""
        place = self.path / self._checked(relative)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._written[relative] = file = HashingFile(place)
        return file

    def adopt(self, relative: str) -> None:
        """Take a file into the payload, or all files of a directory, that another program has written and closed.

        They are read once for their SHA-256, side by side, while they are still in memory, and brought to the disk.

        :raises SetError: there is something else than regular files and directories, or nothing.
        """
        root = self.path / self._checked(relative)
        files = sorted(_files_of(root))
        if not files:
            raise SetError(f"{root} holds no file that could be saved")
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            for file, found in zip(files, pool.map(_settle, files)):
                self._adopted[self._checked(file.relative_to(self.path).as_posix())] = found

    def seal(self, manifest: Mapping[str, Any]) -> Backup:
        """Make a backup of the draft: its files and what describes them are on disk before it gets its name.

        :param manifest: what is not known here: kind, host, times, tools, compression, encryption, content
        :raises SetError: a file is still open, or the name has been taken meanwhile.
        """
        files = dict(self._adopted)
        for relative, file in self._written.items():
            file.close()
            files[relative] = (file.size, file.sha256)
        entries = [{"path": path, "size": size, "sha256": sha} for path, (size, sha) in sorted(files.items())]
        described = {
            **manifest,
            "format": FORMAT,
            "set": self.prefix,
            "name": self.name,
            "files": entries,
            "size": sum(size for size, _sha in files.values()),
        }
        text = json.dumps(described, indent=1, sort_keys=True) + "\n"
        with HashingFile(self.path / MANIFEST) as file:
            file.write(text.encode("utf-8"))
        reached("backup:described")
        sums = {**{path: sha for path, (_size, sha) in files.items()}, MANIFEST: file.sha256}
        with HashingFile(self.path / SUMS) as file:
            file.write("".join(f"{sha}  {path}\n" for path, sha in sorted(sums.items())).encode("utf-8"))
        for directory, _names, _files in os.walk(self.path):
            sync_directory(Path(directory))
        reached("backup:synced")
        final = self.path.with_name(self.name)
        try:
            self.path.rename(final)
        except OSError as exc:
            raise SetError(f"cannot name the backup {final}: {exc.strerror}") from exc
        self._sealed = True
        reached("backup:named")
        sync_directory(final.parent)
        return read_backup(final)

    def discard(self) -> None:
        """Delete what has been written."""
        shutil.rmtree(self.path, ignore_errors=True)  # what stays is found by the next run's clean-up

    def _checked(self, relative: str) -> str:
        """Return ``relative``.

        :raises SetError: it leads out of the draft, cannot be written into SHA256SUMS, or is there already.
        """
        if not is_inside(relative) or relative == MANIFEST or set(relative) & set("\n\r\\\0"):
            raise SetError(f"{relative!r} cannot be the name of a file in a backup")
        if relative in self._written or relative in self._adopted:
            raise SetError(f"{relative} is in this backup already")
        return relative

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._sealed:
            self.discard()


def _files_of(root: Path) -> Iterable[Path]:
    """Yield the regular files of ``root``, and ``root`` itself where it is one; directories become private.

    :raises SetError: there is something else.
    """
    if root.is_symlink():
        raise SetError(f"{root} is a symbolic link: a backup holds files only")
    if root.is_dir():
        root.chmod(0o700)
        for entry in root.iterdir():
            yield from _files_of(entry)
    elif root.is_file():
        yield root
    else:
        raise SetError(f"{root} is no regular file: a backup holds files only")


def _settle(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file, once it is private and on disk."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        os.fchmod(file.fileno(), 0o600)
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
        os.fsync(file.fileno())
    return size, digest.hexdigest()
