# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories as one stream in the format of tar, and what was in it. Private to this collection.

Directories are opened one below the other, so that a link that is put in the way is never followed. A file that is written to
while it is read is read again: in a tar archive the last one of a name counts.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._file_facts import (
    account,
    attributes,
    group,
    identity,
    read_exactly,
)
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import Entry, describe

CHUNK = 1 << 20
TRIES = 3  # readings of a file that changes
PAUSE_SECONDS = 0.05
RECORD = tarfile.RECORDSIZE
MOST_NAMES = 1000  # of what a manifest names one by one
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class FileStream:
    """The stream of some roots. Iterate over :meth:`pieces`, then ask for :meth:`content`."""

    def __init__(
        self,
        roots: Sequence[tuple[str, str]],
        *,
        is_excluded: Callable[[str, str], bool] = lambda _root, _path: False,
        avoid: str | None = None,
    ) -> None:
        """Prepare to read.

        :param roots: what each is called, and where it is now
        :param avoid: a directory that is left out: that of the backups
        """
        self._roots, self._is_excluded = roots, is_excluded
        self._avoid = identity(Path(avoid).stat()) if avoid and Path(avoid).is_dir() else None
        self._entries: dict[str, dict[str, Entry]] = {}
        self._seen: dict[
            tuple[int, int], tuple[str, str]
        ] = {}  # files with several names: the first one, and its digest
        self._device = 0
        self._size = 0
        self.notes: dict[str, list[str]] = {"excluded": [], "left_out": [], "changing": [], "vanished": []}

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive.

        :raises OSError: something cannot be read.
        """
        gathered, size = [], 0
        for piece in self._all():
            self._size += len(piece)
            gathered.append(piece)
            size += len(piece)
            if size >= CHUNK:  # who takes them runs in another thread: many small ones would cost more than the reading
                yield b"".join(gathered)
                gathered, size = [], 0
        end = bytes(2 * tarfile.BLOCKSIZE + -(self._size + 2 * tarfile.BLOCKSIZE) % RECORD)
        yield b"".join((*gathered, end))

    def content(self) -> dict[str, Any]:
        """Return what was in the archive."""
        roots = {root: describe(entries.values()) for root, entries in self._entries.items()}
        return {"roots": roots, **{key: names[:MOST_NAMES] for key, names in self.notes.items()}}

    def _all(self) -> Iterator[bytes]:
        for root, place in self._roots:
            self._entries[root] = {}
            parent = os.open(os.path.dirname(place) or "/", DIRECTORY & ~os.O_NOFOLLOW)  # noqa: PTH120
            try:
                self._device = Path(place).lstat().st_dev
                yield from self._thing(parent, os.path.basename(place), root, "")  # noqa: PTH119
            finally:
                os.close(parent)

    def _thing(self, parent: int, name: str, root: str, path: str) -> Iterator[bytes]:
        """Yield what is in the directory ``parent`` under ``name``; something may have become of it since it was listed."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            kind = stat.S_IFMT(found.st_mode)
            if kind == stat.S_IFDIR:
                yield from self._directory(parent, name, root, path, found)
            elif kind == stat.S_IFREG:
                yield from self._file(parent, name, root, path)
            elif kind == stat.S_IFLNK:
                target = os.readlink(name, dir_fd=parent)
                yield self._enter(root, path, found, "l", target, type=tarfile.SYMTYPE, linkname=target)
            elif kind == stat.S_IFIFO:
                yield self._enter(root, path, found, "p", "", type=tarfile.FIFOTYPE)
            else:
                self._note("left_out", root, path)  # sockets and devices are made by those who use them
        except FileNotFoundError:
            if not path:
                raise
            self._note("vanished", root, path)

    def _directory(self, parent: int, name: str, root: str, path: str, found: os.stat_result) -> Iterator[bytes]:
        if found.st_dev != self._device or identity(found) == self._avoid:
            self._note("left_out", root, path)
            return
        handle = os.open(name, DIRECTORY, dir_fd=parent)
        try:
            found = os.fstat(handle)
            yield self._enter(root, path, found, "d", "", handle=handle, type=tarfile.DIRTYPE)
            for inner in sorted(os.listdir(handle)):  # noqa: PTH208  # pathlib cannot list an open directory
                below = f"{path}/{inner}" if path else inner
                if self._is_excluded(root, below):
                    self._note("excluded", root, below)
                else:
                    yield from self._thing(handle, inner, root, below)
        finally:
            os.close(handle)

    def _file(self, parent: int, name: str, root: str, path: str) -> Iterator[bytes]:
        for attempt in range(TRIES):
            handle = os.open(name, FILE, dir_fd=parent)
            try:
                before = os.fstat(handle)
                first = self._seen.get(identity(before)) if before.st_nlink > 1 else None
                if first:
                    yield self._enter(root, path, before, "f", first[1], type=tarfile.LNKTYPE, linkname=first[0])
                    return
                yield self._enter(root, path, before, "f", "", handle=handle, size=before.st_size)
                digest = hashlib.sha256()
                short = yield from read_exactly(handle, before.st_size, digest.update)
                after = os.fstat(handle)
            finally:
                os.close(handle)
            entry = self._entries[root][path]
            self._entries[root][path] = entry._replace(digest=digest.hexdigest())
            if not short and (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
                break
            if attempt == TRIES - 1:
                self._note("changing", root, path)
            time.sleep(PAUSE_SECONDS)
        if before.st_nlink > 1:
            self._seen[identity(before)] = (_member(root, path), digest.hexdigest())

    def _enter(
        self,
        root: str,
        path: str,
        found: os.stat_result,
        kind: str,
        digest: str,
        *,
        handle: int | None = None,
        **header: Any,
    ) -> bytes:
        """Note one entry, and return its header."""
        user, team = account(found.st_uid), group(found.st_gid)
        mode = stat.S_IMODE(found.st_mode)
        owner = f"{user or found.st_uid}:{team or found.st_gid}"
        self._entries[root][path] = Entry(path, kind, mode, owner, found.st_size if kind == "f" else 0, digest)
        member = tarfile.TarInfo(_member(root, path))
        member.mode, member.uid, member.gid, member.uname, member.gname = mode, found.st_uid, found.st_gid, user, team
        member.mtime = int(found.st_mtime)
        seconds, rest = divmod(found.st_mtime_ns, 10**9)
        member.pax_headers = {"mtime": f"{seconds}.{rest:09d}", **attributes(handle)}
        for key, value in header.items():
            setattr(member, key, value)
        return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def _note(self, what: str, root: str, path: str) -> None:
        self.notes[what].append(f"{root}/{path}" if path else root)


def _member(root: str, path: str) -> str:
    return (f"{root}/{path}" if path else root).lstrip("/")


def describe_trees(places: Mapping[str, str]) -> dict[str, Any]:
    """Return what is in some trees, as a manifest would say it.

    :param places: what each is called, and where it is
    """
    stream = FileStream(list(places.items()))
    for _piece in stream.pieces():
        pass
    roots: dict[str, Any] = stream.content()["roots"]
    return roots
