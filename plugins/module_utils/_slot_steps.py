# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What slots of every manager do on their host: wait for a port, end processes, read the end of a log. Private to this collection."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotError

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot

FREE_SECONDS = 5.0  # until a port is free, or a process gone, after its end
POLL_SECONDS = 0.1
LOG_BYTES = 64 * 1024


def wait_for_port(slot: Slot, *, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    """Wait until nobody else has the port of ``slot``.

    :raises SlotError: somebody keeps it.
    """
    deadline = clock() + FREE_SECONDS
    while True:
        found = slot.strangers()
        if not found:
            return
        if clock() >= deadline:
            raise SlotError(
                f"port {slot.port} of slot {slot.name} is taken by {', '.join(found)}: end that, or correct the port"
            )
        sleep(POLL_SECONDS)


def wait_for_end(
    what: str, pids: Iterable[int], seconds: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    """Wait until the processes have ended, and kill those that do not in time.

    :raises SlotError: even then one is there.
    """
    deadline, killed = clock() + seconds, False
    alive = {pid: born(pid) for pid in pids}
    while True:
        alive = {pid: then for pid, then in alive.items() if then is not None and born(pid) == then}
        if not alive:
            return
        if clock() >= deadline:
            if killed:
                raise SlotError(f"{what} does not end, not even killed: look at pid {min(alive)}")
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            deadline, killed = clock() + FREE_SECONDS, True
        sleep(POLL_SECONDS)


def born(pid: int) -> str | None:
    """Return when a process was started, in the kernel's ticks; None where it has ended, though its parent has not seen it."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def size_of(path: str) -> int:
    """Return how long a file is, 0 where there is none."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def end_of(path: str, offset: int, *, uid: int) -> str:
    """Return the end of what was written to a log since ``offset``.

    The account ``uid`` owns the path: what is not its own plain file is not read, for a link there may lead root anywhere.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != uid:
            return ""
        begin = offset if offset <= status.st_size else 0  # it was rotated
        file.seek(max(begin, status.st_size - LOG_BYTES))
        return file.read(LOG_BYTES).decode(errors="replace")
