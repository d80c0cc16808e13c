# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a path to what was restored beside it, and back, by names alone. Private to this collection.

Each step looks at what is there, by device and inode, and goes on from any moment at which the one before may have been killed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import sync_directory
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError, one_line

LIBC = ctypes.CDLL(None, use_errno=True)
HERE, EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)

Item = dict[str, Any]


def make_item(live: str, stamp: str) -> Item:
    """Return the names of a path that is to be replaced: of what is restored, of what is kept, and of what failed."""
    return {
        "live": live,
        "new": f"{live}.restored-{stamp}",
        "before": f"{live}.before-{stamp}",
        "failed": f"{live}.failed-{stamp}",
        "new_id": None,  # of what was restored
        "old_id": None,  # of what was live when it was replaced; none where there was nothing
    }


def identify(path: str) -> list[int] | None:
    """Return what tells two things of one name apart; None where there is nothing."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return [found.st_ino]  # all names lie side by side, and the number of a disk may change when the host starts


def put_in_place(item: Mapping[str, Any]) -> None:
    """Give the live name to what was restored, and keep what had it under ``before``.

    :raises StoreError: something else has taken one of the names meanwhile.
    """
    live, new = identify(item["live"]), identify(item["new"])
    if new is not None and new == item["new_id"]:
        if live is None:
            _rename(item["new"], item["live"])
            return
        if live != item["old_id"]:
            raise StoreError(f"somebody has replaced {item['live']} meanwhile: look at it, then revert this restore")
        if not _exchange(item["live"], item["new"]):
            _rename(item["live"], item["before"])
            reached("path_swap:away")
            _rename(item["new"], item["live"])
            return
        reached("path_swap:exchanged")
    _finish_exchange(item)


def go_back(item: Mapping[str, Any]) -> None:
    """Give the live name back to what had it, and keep what was restored under ``failed``."""
    _finish_exchange(item)
    live, before = identify(item["live"]), identify(item["before"])
    if before is not None and before == item["old_id"]:
        if live is None:
            _rename(item["before"], item["live"])
        elif _exchange(item["live"], item["before"]):
            reached("path_swap:back")
            _rename(item["before"], item["failed"])
        else:
            _rename(item["live"], item["failed"])
            _rename(item["before"], item["live"])
    elif before is not None:
        _rename(item["before"], item["failed"])  # exchanged, and killed before it was named
    elif item["old_id"] is None and live is not None and identify(item["new"]) is None:
        _rename(item["live"], item["failed"])
    if identify(item["new"]) is not None:
        _rename(item["new"], item["failed"])  # it was never put in place


def remove(path: str) -> None:
    """Delete a file or a directory; nothing where it is gone.

    :raises StoreError: it cannot be deleted.
    """
    try:
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
            shutil.rmtree(path)
        else:
            Path(path).unlink(missing_ok=True)
    except OSError as exc:
        raise StoreError(f"cannot delete {path}: {one_line(OSError(exc.errno, exc.strerror))}") from exc


def _finish_exchange(item: Mapping[str, Any]) -> None:
    there = identify(item["new"])
    if there is not None and there == item["old_id"]:
        _rename(item["new"], item["before"])


def _rename(source: str, target: str) -> None:
    if identify(target) is not None:
        raise StoreError(f"{target} is there already: look at it, and move it away")
    try:
        Path(source).rename(target)
    except OSError as exc:
        raise StoreError(f"cannot rename {source} to {target}: {one_line(OSError(exc.errno, exc.strerror))}") from exc
    sync_directory(Path(target).parent)


def _exchange(one: str, other: str) -> bool:
    """Exchange two names at once; return whether this file system can.

    :raises StoreError: it can, and does not.
    """
    if not hasattr(LIBC, "renameat2"):
        return False
    if LIBC.renameat2(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE):
        number = ctypes.get_errno()
        if number in CANNOT:
            return False
        raise StoreError(f"cannot exchange {one} and {other}: {one_line(OSError(number, os.strerror(number)))}")
    sync_directory(Path(one).parent)
    return True
