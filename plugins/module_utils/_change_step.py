# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step at a time: the flock that lasts as long as one commit. Private to this collection."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STEP_SECONDS = 10.0  # how long another's step may last: one rename, or one call of a manager


class LockError(Exception):
    """The lock is not ours, or cannot be had."""


class StepTakenError(LockError):
    """Somebody stands within a step."""

    def __init__(self, directory: str, words: str) -> None:
        self.pid, self.began = 0, ""
        pid, _blank, mark = words.partition(" ")
        if pid.isdigit() and mark and began(int(pid)) == mark:
            self.pid, self.began = int(pid), mark
        by = f"process {self.pid}" if self.pid else "another process"
        super().__init__(f"{by} holds {directory}/lock and does not go on: look at it with ps, then run this again")

    def kill(self) -> None:
        """Kill who stands there; it may have gone on meanwhile."""
        if self.pid and began(self.pid) == self.began:
            os.kill(self.pid, signal.SIGKILL)


@contextmanager
def step(directory: str, seconds: float) -> Iterator[None]:
    """Hold the lock's file, and leave in it who does."""
    path = Path(directory) / "lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise LockError(f"cannot open {path} ({exc.strerror}): it is made when a run takes the lock") from exc
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StepTakenError(
                        directory, os.pread(handle, 100, 0).decode("ascii", "replace").strip()
                    ) from None
                time.sleep(0.02)
        with suppress(OSError):  # a full disk: then it is not known who stands here, and nobody is killed for it
            os.pwrite(handle, f"{os.getpid()} {began(os.getpid())}".ljust(63).encode("ascii") + b"\n", 0)
        yield
    finally:
        os.close(handle)


def began(pid: int) -> str:
    """Return when ``pid`` began, in ticks since the boot; an empty text where there is no such process."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
