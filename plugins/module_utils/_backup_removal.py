# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a backup is deleted, so that what a killed run leaves is a backup still, or none by its name. Private to this collection."""

from __future__ import annotations

import contextlib
import os
import stat
import threading

from ansible_collections.runbook.ops.plugins.module_utils._backup_folder import Folder
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, REMOVED
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._payload import DESCRIBING, size_of, stranger
from ansible_collections.runbook.ops.plugins.module_utils._rotation import RotationError


def remove(folder: Folder, backups: list[str], *, check_mode: bool) -> tuple[list[str], int]:
    """Delete those of ``backups`` that are ours to delete, oldest first; return them and the bytes that they held.

    In check mode the same, without deleting. The kernel frees the bytes of one file while another is looked at, so
    many files are shared between two threads.
    """
    sizes: list[int | None] = [None] * len(backups)
    errors: list[OSError] = []
    threads = 2 if len(backups) > 1000 else 1

    def work(first: int) -> None:
        try:
            for index in range(first, len(backups), threads):
                if errors:
                    return
                with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
                    sizes[index] = remove_one(folder, backups[index][NAME], check_mode=check_mode)
        except OSError as exc:
            errors.append(exc)

    helpers = [threading.Thread(target=work, args=(first,), daemon=True) for first in range(1, threads)]
    for helper in helpers:
        helper.start()
    work(0)
    for helper in helpers:
        helper.join()
    removed = [backup for backup, size in zip(backups, sizes) if size is not None]
    if errors:
        raise RotationError(
            f"cannot delete {errors[0].filename} in {folder.path} ({errors[0].strerror}); {len(removed)} of "
            f"{len(backups)} backups were deleted. Remove the cause and run again"
        )
    return removed, sum(size for size in sizes if size is not None)


def remove_one(folder: Folder, name: str, *, check_mode: bool) -> int | None:
    """Delete one backup and return its bytes; None where it is not ours to delete."""
    found = folder.look(name)
    if found is None:
        return None
    if stat.S_ISDIR(found.st_mode):
        return remove_directory(folder, name, check_mode=check_mode)
    # After its sidecars: what a killed run leaves is a backup still.
    size = found.st_size
    for beside in folder.beside(name):
        extra = folder.look(beside)
        if extra is not None and stat.S_ISREG(extra.st_mode):
            size += extra.st_size
            if not check_mode:
                os.unlink(beside, dir_fd=folder.descriptor)
    if not check_mode:
        os.unlink(name, dir_fd=folder.descriptor)
    return size


def remove_directory(folder: Folder, name: str, *, check_mode: bool) -> int | None:
    """Delete a backup that is a directory, under a name that is no backup's, and return its bytes."""
    files = folder.files(name)
    if files is None:
        return None
    foreign = stranger(folder.path / name, files)
    if foreign is not None:
        folder.strangers[name] = foreign
        return None
    size = size_of(folder.path / name, files)
    if not check_mode:
        os.rename(name, name + REMOVED, src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)
        reached("backup_rotate:renamed")
        os.fsync(folder.descriptor)  # after a power cut it must not stand there half empty, and under its name
        clear(folder, name + REMOVED)
    return size


def finish(folder: Folder, leftovers: list[str]) -> None:
    """Delete what a killed run was deleting.

    :raises RotationError: something cannot be deleted.
    """
    for name in leftovers:
        try:
            clear(folder, name)
        except OSError as exc:
            raise RotationError(
                f"cannot delete {exc.filename} in {folder.path / name} ({exc.strerror}), which a killed run was deleting: nothing else "
                "was deleted. Remove the cause and run again"
            ) from exc


def clear(folder: Folder, name: str) -> None:
    """Delete the directory ``name`` with all that is in it.

    :raises OSError: something in it cannot be deleted.
    """
    _clear(name, folder.descriptor, folder.device)
    reached("backup_rotate:cleared")


def _clear(name: str, parent: int, device: int) -> None:
    """Delete a directory and what is in it, links not followed, and never what is mounted there."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return
    try:
        if os.fstat(handle).st_dev != device:
            raise OSError(18, "something is mounted there", name)
        with os.scandir(handle) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        found.sort(key=lambda one: one[0] in DESCRIBING)  # what says that it is ours goes last
        for inner, is_directory in found:
            if is_directory:
                _clear(inner, handle, device)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(inner, dir_fd=handle)
                reached("backup_rotate:clearing")
    finally:
        os.close(handle)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)
