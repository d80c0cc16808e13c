# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that one process at a time holds. A process that dies lets go of it. Private to this collection."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class HeldError(Exception):
    """Another process holds it; the message is who, such as ``process 42``."""


def take(path: Path) -> int:
    """Return the open file, which is held until it is closed; who holds it stands in it, for people.

    :raises HeldError: another process holds it.
    :raises OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.pread(handle, 100, 0).decode("ascii", "replace").strip() or "another process"
        os.close(handle)
        raise HeldError(holder) from exc
    except BaseException:
        os.close(handle)
        raise
    with suppress(OSError):  # a full disk has no room for the note, and the lock is held without
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}\n".encode("ascii"), 0)
    return handle
