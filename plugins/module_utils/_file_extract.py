# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the files of an archive where nothing is yet, as they were. Private to this collection.

Every name goes below a directory that this very run has made, and nothing is opened through a link.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._file_facts import XATTR
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import is_below
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError, one_line

CHUNK = 1 << 20
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
LIBC = ctypes.CDLL(None, use_errno=True)


class _File:
    """The pieces of a stream as a file that is read from its beginning to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._data, self._at = pieces, b"", 0

    def read(self, size: int) -> bytes:
        while len(self._data) - self._at < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._data, self._at = self._data[self._at :] + piece, 0
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]


def extract(pieces: Iterator[bytes], wanted: Mapping[str, str]) -> dict[str, int]:
    """Write what belongs to the paths ``wanted`` to the places that they name, and return how many things each got.

    That it is on the disk is for :func:`sync_file_system`, where it is to stay.

    :param wanted: absolute paths as they were saved, and where each is to be now; nothing may be there yet
    :raises StoreError: the archive is damaged, or something in it cannot be written.
    """
    work = _Extraction(wanted)
    try:
        with tarfile.open(fileobj=_File(pieces), mode="r|", errors="surrogateescape") as archive:  # type: ignore[call-overload]
            for member in archive:
                work.take(archive, member)
    except (tarfile.TarError, EOFError) as exc:
        raise StoreError(f"the archive is damaged: {exc}; take another backup") from exc
    except OSError as exc:
        raise StoreError(f"cannot write {'' if exc.filename else 'a file: '}{one_line(exc)}") from exc
    work.finish()
    return work.counts


class _Extraction:
    def __init__(self, wanted: Mapping[str, str]) -> None:
        self._wanted = wanted
        self._places: dict[str, str] = {}  # where the things are that were written
        self._directories: list[tuple[str, tarfile.TarInfo]] = []
        self.counts = dict.fromkeys(wanted, 0)

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = f"/{member.name}"
        root = next((one for one in self._wanted if is_below(path, one)), None)
        if root is None:
            return
        place = self._wanted[root] + path[len(root) :]
        if path != root and not self._is_ours(os.path.dirname(path)):  # noqa: PTH120
            raise StoreError(f"the archive has {path} without its directory: it is damaged, take another backup")
        again = path in self._places
        if again and not member.isdir():
            os.unlink(place)  # it changed while it was saved: the last one counts  # noqa: PTH108
        self._write(archive, member, place)
        self._places[path] = place
        self.counts[root] += not again

    def _is_ours(self, path: str) -> bool:
        place = self._places.get(path)
        return place is not None and os.path.isdir(place) and not os.path.islink(place)  # noqa: PTH112, PTH114

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, place: str) -> None:
        if member.isdir():
            os.mkdir(place, 0o700)  # noqa: PTH102
            self._directories.append((place, member))
        elif member.issym():
            os.symlink(member.linkname, place)  # noqa: PTH211  # as it was saved, not as a path
            _settle(place, member, follow=False)
        elif member.islnk():
            first = self._places.get(f"/{member.linkname}")
            if first is None:
                raise StoreError(f"/{member.name} is another name of /{member.linkname}: restore that one with it")
            os.link(first, place, follow_symlinks=False)
        elif member.isfifo():
            os.mkfifo(place, 0o600)
            _settle(place, member)
        elif member.isreg():
            with os.fdopen(os.open(place, NEW, 0o600), "wb", buffering=0) as target:
                source: Any = archive.extractfile(member)
                left = member.size
                while left:
                    data = source.read(min(left, CHUNK))
                    if not data:
                        raise StoreError(f"the archive ends in {place}: it is damaged, take another backup")
                    target.write(data)
                    left -= len(data)
            _settle(place, member)
        else:
            raise StoreError(f"the archive has /{member.name} of a kind that is never saved: it is damaged")

    def finish(self) -> None:
        """Give directories their times and modes, which writing into them would have changed."""
        for place, member in reversed(self._directories):
            _settle(place, member)
        missing = [path for path, count in self.counts.items() if not count]
        if missing:
            raise StoreError(f"{missing[0]} is not in this backup: its manifest names what is")


def sync_file_system(place: str) -> None:
    """Bring all that was written to the file system of ``place`` to the disk."""
    handle = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    try:
        if LIBC.syncfs(handle):
            raise StoreError(f"cannot bring {place} to the disk: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)


def _settle(place: str, member: tarfile.TarInfo, *, follow: bool = True) -> None:
    """Give what was written its owner, mode, extended attributes and time."""
    user, group = _number(pwd.getpwnam, member.uname, member.uid), _number(grp.getgrnam, member.gname, member.gid)
    try:
        os.chown(place, user, group, follow_symlinks=False)
    except PermissionError:
        raise StoreError(f"this account may not give {place} to its owner: run it as root") from None
    if follow:
        os.chmod(place, member.mode)  # noqa: PTH101
        for name, value in member.pax_headers.items():
            if name.startswith(XATTR):
                os.setxattr(place, name[len(XATTR) :], value.encode("utf-8", "surrogateescape"))
    seconds, _point, rest = member.pax_headers.get("mtime", "0").partition(".")
    moment = int(seconds) * 10**9 + int((rest or "0").ljust(9, "0")[:9])
    os.utime(place, ns=(moment, moment), follow_symlinks=False)


@lru_cache(maxsize=1024)
def _number(look_up: Callable[[str], Any], name: str, otherwise: int) -> int:
    """Return the number that the account or group ``name`` has on this host."""
    try:
        return int(look_up(name)[2]) if name else otherwise
    except KeyError:
        return otherwise
