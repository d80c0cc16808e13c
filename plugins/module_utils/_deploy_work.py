# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call at a time works on a service. One whose controller is gone works on to its end, or until the next run ends it. Private to this collection."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held
from ansible_collections.runbook.ops.plugins.module_utils._change_step import began
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError

PAUSE_SECONDS = 0.2
GRACE_SECONDS = 5.0  # in which a call that was taken over may notice that itself
FREE = Fence("", 0, "")


@contextmanager
def working(
    paths: DeployPaths,
    *,
    seconds: float,
    fence: Fence = FREE,
    grace_seconds: float = GRACE_SECONDS,
    lock: Path | None = None,
) -> Iterator[None]:
    """Hold the service for one call. A process that dies lets go of it.

    :param lock: the file that is held: that of all calls without it
    :param fence: a call that was begun with an older lock than this one is ended: it may not write any more, and may be stopped, or hang.
    :raises StateError: another call is at work for longer than ``seconds``.
    :raises LockError: another run has taken over.
    """
    lock = lock or paths.lock
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise StateError(f"cannot write {lock}: {exc.strerror}") from exc
    try:
        start = time.monotonic()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - start
                if fence.number and waited >= grace_seconds:
                    _end_older(handle, fence)
                if waited >= seconds:
                    raise StateError(
                        f"another call is at work on {paths.service} for more than {seconds:g} s: see deploy_status, then run this again"
                    ) from None
            time.sleep(PAUSE_SECONDS)
        with suppress(OSError):  # a full disk: then nobody is ended for it
            mine = f"{fence.number} {os.getpid()} {began(os.getpid())}"
            os.pwrite(handle, mine.ljust(63).encode("ascii") + b"\n", 0)
        yield
    finally:
        os.close(handle)


def end_left_behind(lock: Path, fence: Fence) -> None:
    """End who holds ``lock`` with a lock of changes that has changed hands since, without waiting for it.

    :raises LockError: another run has taken over.
    """
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # nobody has ever held it
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _end_older(handle, fence)
    finally:
        os.close(handle)


def _end_older(handle: int, fence: Fence) -> None:
    """Kill who works with a lock that has changed hands since. It is within no step: those need what is held here."""
    words = os.pread(handle, 100, 0).decode("ascii", "replace").split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return
    number, pid, mark = int(words[0]), int(words[1]), words[2]
    if not 0 < number < fence.number:
        return
    with held(fence), suppress(ProcessLookupError):
        if began(pid) == mark:
            os.kill(pid, signal.SIGKILL)
