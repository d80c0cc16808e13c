# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system says of files and of those who own them. Private to this collection."""

from __future__ import annotations

import grp
import os
import pwd
import tarfile
from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any

CHUNK = 1 << 20
XATTR = "SCHILY.xattr."  # as GNU tar calls extended attributes
ATTRIBUTES = ("user.", "security.capability", "system.posix_acl_")  # those that are kept


def identity(found: os.stat_result) -> tuple[int, int]:
    """Return what two names of the same file have in common."""
    return found.st_dev, found.st_ino


def attributes(handle: int | None) -> dict[str, str]:
    """Return the extended attributes of an open file, as GNU tar writes them."""
    if handle is None:
        return {}
    try:
        names = [name for name in os.listxattr(handle) if name.startswith(ATTRIBUTES)]
        values = {name: os.getxattr(handle, name) for name in names}
    except OSError:
        return {}  # this file system has none
    return {XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in values.items()}


@lru_cache(maxsize=1024)
def account(number: int) -> str:
    """Return the name of an account, nothing where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


@lru_cache(maxsize=1024)
def group(number: int) -> str:
    """Return the name of a group, nothing where it has none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""


def read_exactly(handle: int, size: int, update: Callable[[bytes], Any]) -> Generator[bytes, None, bool]:
    """Yield ``size`` bytes and what fills up the block; return whether there were fewer, which are made up by zeros."""
    left = size
    while left:
        data = os.read(handle, min(left, CHUNK))
        if not data:
            break
        update(data)
        left -= len(data)
        yield data
    short = left > 0
    while left:
        data = bytes(min(left, CHUNK))
        update(data)
        left -= len(data)
        yield data
    if size % tarfile.BLOCKSIZE:
        yield bytes(-size % tarfile.BLOCKSIZE)
    return short
