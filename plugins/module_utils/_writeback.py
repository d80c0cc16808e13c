# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin to write to the disk what grows, so that nobody waits for all of it at the end. Private to this collection.

A hint: what it does not reach, the fsync at the end does.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EVERY = 16 << 20  # bytes of one file; fewer are not worth a request
PAUSE = 0.5  # seconds between two looks at a directory
WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin, wait for nothing
LIBC = ctypes.CDLL(None, use_errno=True)


def begin(descriptor: int) -> None:
    """Let the kernel begin to write what is in memory only of an open file."""
    start = getattr(LIBC, "sync_file_range", None)
    if start is not None:
        start(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), WRITE)


@contextmanager
def early(place: Path, *, pause: float = PAUSE) -> Iterator[None]:
    """Begin to write the files that other programs write in the directory ``place``, while they do."""
    ended = threading.Event()

    def work() -> None:
        begun: dict[str, int] = {}
        while not ended.wait(pause):
            with suppress(OSError):
                _look(place, begun)

    helper = threading.Thread(target=work, daemon=True)
    helper.start()
    try:
        yield
    finally:
        ended.set()
        helper.join()


def _look(place: Path, begun: dict[str, int]) -> None:
    with os.scandir(place) as entries:
        for entry in entries:
            size = entry.stat(follow_symlinks=False).st_size
            if size < begun.get(entry.name, 0) + EVERY:
                continue
            begun[entry.name] = size
            # The account that writes here is another one: what it has put in a file's place must not hold us.
            handle = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                begin(handle)
            finally:
                os.close(handle)
