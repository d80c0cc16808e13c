# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the releases: room in it, what was left half made, and who works in it. Private to this collection."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from ansible_collections.runbook.ops.plugins.module_utils._account import Account, AccountError, acting_as
from ansible_collections.runbook.ops.plugins.module_utils._release import BUILD, ID, ReleaseError

LEAST_BYTES, LEAST_FILES, LEAST_MEMORY = 100 << 20, 5_000, 128 << 20
TRIES, PAUSE_SECONDS = 50, 0.1  # for what was killed to be gone
LIBC = ctypes.CDLL(None, use_errno=True)


class Room(NamedTuple):
    """What a host has left; None where it is not limited."""

    bytes: int
    files: int | None
    memory_bytes: int | None


def make(account: Account, releases: str) -> None:
    """Make the directory of the releases, which belongs to ``account``.

    :raises ReleaseError: it cannot be made, or others may write to it.
    """
    path = Path(releases)
    if not path.exists():
        parent = path.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o755)
            # The account may own the directory above, and put a link here meanwhile.
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
        except OSError as exc:
            raise ReleaseError(f"cannot make {path} ({exc.strerror}): make it by hand for {account.name}") from exc
    found = path.lstat()
    if not path.is_dir() or path.is_symlink() or found.st_uid not in (account.uid, 0):
        raise ReleaseError(f"{path} is no directory of {account.name}: give it to the account, or set deploy.releases")
    if found.st_uid != account.uid:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def look_at_room(releases: str) -> Room:
    """Return what is left for a release."""
    place = Path(releases)
    while not place.is_dir():
        place = place.parent
    disk = os.statvfs(place)
    memory = None
    with suppress(OSError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        memory = sum(
            int(kib) << 10 for kib in re.findall(r"^(?:MemAvailable|SwapFree):\s+(\d+) kB", text, re.MULTILINE)
        )
    return Room(disk.f_bavail * disk.f_frsize, disk.f_favail if disk.f_files else None, memory)


def lacks(room: Room, *, size_bytes: int, files: int) -> str | None:
    """Return what is missing for another release as large as one of ``size_bytes`` and ``files``, in one line.

    A build needs room for what it throws away again, so it has to be twice that.
    """
    wanted = max(LEAST_BYTES, 2 * size_bytes)
    if room.bytes < wanted:
        return f"{room.bytes >> 20} MiB are free, and a release needs {wanted >> 20} MiB: make room, or prune"
    wanted = max(LEAST_FILES, 2 * files)
    if room.files is not None and room.files < wanted:
        return f"{room.files} inodes are free, and a release needs {wanted}: delete small files, or prune"
    if room.memory_bytes is not None and room.memory_bytes < LEAST_MEMORY:
        return (
            f"{room.memory_bytes >> 20} MiB of memory are left, and a build needs {LEAST_MEMORY >> 20} MiB: "
            "it would have the kernel end what serves"
        )
    return None


def worked_in(releases: str, names: Iterable[str]) -> dict[str, list[int]]:
    """Return those of the releases ``names`` that processes work in, or were started from, and the numbers of those.

    What only makes a release does not count.
    """
    root = os.path.realpath(releases)
    wanted, found = set(names), cast("dict[str, list[int]]", {})
    pattern = re.compile(re.escape(root.encode()) + rb"/([0-9TZa-f-]+)(?=[/\0]|\Z)")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            told = (entry / "cmdline").read_bytes() + b"\0" + os.fsencode(os.readlink(entry / "cwd"))  # noqa: PTH115
            for name in {one.decode() for one in pattern.findall(told)} & wanted:
                if f"{BUILD}={releases}/{name}".encode() not in (entry / "environ").read_bytes().split(b"\0"):
                    found.setdefault(name, []).append(int(entry.name))
    return found


def measure(account: Account, directory: str) -> tuple[int, int]:
    """Return how many bytes and files are in a release."""

    def count() -> list[int]:
        size = files = 0
        seen = set()
        for place, folders, names in os.walk(directory):
            for name in (*folders, *names):
                found = os.lstat(f"{place}/{name}")
                files += 1
                if found.st_nlink == 1 or (found.st_dev, found.st_ino) not in seen:
                    size += found.st_blocks * 512
                    seen.add((found.st_dev, found.st_ino))
        return [size, files]

    size, files = acting_as(account, count)
    return size, files


def settle(directory: str) -> None:
    """Bring all that was written to the file system of ``directory`` to the disk.

    :raises ReleaseError: it did not get there.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if LIBC.syncfs(handle):
            raise ReleaseError(f"cannot bring {directory} to the disk: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)


def remove(account: Account, releases: str, name: str) -> None:
    """Delete the directory of a release, as the account that it belongs to.

    :raises ReleaseError: ``name`` is none, or it cannot be deleted.
    """
    if not ID.match(name):
        raise ReleaseError(f"{name!r} is no release: nothing was deleted")
    place = Path(releases) / name

    def delete() -> None:
        for one in (place, place.with_name(f"{name}.artefact")):
            _delete_whole(one)

    try:
        acting_as(account, delete)
    except AccountError as exc:
        raise ReleaseError(f"cannot delete {place} ({exc}): delete it by hand") from exc


def _delete_whole(place: Path) -> None:
    """Delete ``place`` to its end, also while what is being ended still writes to it, or takes away from it."""
    for left in reversed(range(TRIES)):
        if not os.path.lexists(place):
            return
        try:
            _delete(place)
        except OSError as exc:
            if not left or exc.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise
            time.sleep(PAUSE_SECONDS)


def _delete(place: Path) -> None:
    """Delete ``place``, also what a build has made read-only."""
    if place.is_symlink() or not place.is_dir():
        place.unlink()
        return
    for directory, _folders, _files in os.walk(place):
        if not os.access(directory, os.W_OK | os.X_OK):
            Path(directory).chmod(0o700)
    shutil.rmtree(place)
