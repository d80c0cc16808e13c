# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory to try something in, of which nothing stays: what a killed run left, the next one removes. Private to this collection."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

PREFIX = ".runbook-ops-scratch-"
YOUNG_SECONDS = 5
SHARE = 0.05  # of a disk that stays free


@contextmanager
def scratch_directory(base: Path, what: str, *, needed: int) -> Iterator[Path]:
    """Give a new directory in ``base`` for ``needed`` bytes, that only this account can enter, and delete it at the end.

    :raises StoreError: there is no room.
    """
    clean_up_scratch(base)
    disk = os.statvfs(base)
    free = disk.f_bavail * disk.f_frsize - SHARE * disk.f_blocks * disk.f_frsize
    if free < needed:
        raise StoreError(
            f"no room in {base} to try the backup: it needs {human_size(needed)}, {human_size(max(free, 0))} can be had; "
            "name another directory, or make room"
        )
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{what}-", dir=base))
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # whoever lives holds it
        reached(f"drill_{what}:scratch")
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def clean_up_scratch(base: Path) -> list[str]:
    """Delete what dead processes left in ``base``, and return its names."""
    gone = []
    for path in base.glob(f"{PREFIX}*"):
        try:
            if time.time() - path.lstat().st_mtime < YOUNG_SECONDS:
                continue  # its owner may not have taken the lock yet
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path.name)
        except BlockingIOError:
            continue  # somebody is at work in it
        finally:
            os.close(handle)
    return gone
