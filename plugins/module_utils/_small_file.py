# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small file that is replaced as a whole: whoever reads, or looks after a power cut, finds the old one or the new one. Private to this collection."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def open_new(path: Path, mode: int) -> int:
    """Make a file in the place of what a killed run left, and return its handle.

    Where others may write too, one of them may have made a file of that name, and still hold it open: it is never written to.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    return os.open(path, NEW, mode)


def replace_file(
    path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None, aside: str = ""
) -> None:
    """Write ``content`` beside ``path``, and give it that name once it is on the disk.

    :param owner: numbers of account and group; without them who writes
    :param aside: its name until then, which begins with a dot where readers take what ends like ``path``
    :raises OSError: it could not be written; what was there is there still.
    """
    partial = path.with_name(aside or f".{path.name}.partial")
    try:
        handle = open_new(partial, mode & 0o700)
        with os.fdopen(handle, "wb") as file:
            if owner:
                os.fchown(handle, *owner)
            os.fchmod(handle, mode)
            file.write(content)
            file.flush()
            os.fsync(handle)
        partial.replace(path)
    except OSError as exc:
        with suppress(OSError):
            partial.unlink()
        exc.filename = exc.filename or str(partial)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make sure that names in ``path`` survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
