# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file in pieces, and the hashes by which storage knows them. Private to this collection."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._s3_connection import BLOCK
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error

MOST_PARTS = 10_000
MIB = 1 << 20


class FileError(S3Error):
    """The file here cannot be read, or is not what it must be; nothing is wrong with the storage."""


class Part(NamedTuple):
    """A piece of a file, and what is known of its bytes."""

    path: Path
    offset: int
    size: int
    sha256: bytes
    md5: bytes


def measure(path: Path, offset: int, size: int, whole: Any = None) -> Part:
    """Return a piece of a file with its hashes; ``whole``, a hash of all of it, is fed on the way.

    :raises FileError: the file cannot be read, or is shorter.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for block in blocks(path, offset, size):
        sha256.update(block)
        md5.update(block)
        if whole is not None:
            whole.update(block)
    return Part(path, offset, size, sha256.digest(), md5.digest())


def blocks(path: Path, offset: int, size: int) -> Iterator[bytes]:
    """Yield a piece of a file.

    :raises FileError: the file cannot be read, or is shorter.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb", buffering=0) as file:
            file.seek(offset)
            while size and (block := file.read(min(BLOCK, size))):
                size -= len(block)
                yield block
    except OSError as exc:
        raise FileError(f"cannot read {path} ({exc.strerror}): is it being removed?") from exc
    if size:
        raise FileError(f"{path} has become shorter while it was copied: it is not the backup that it was")


def split(size: int, part_bytes: int) -> list[tuple[int, int]]:
    """Return offset and size of the parts of a file: as large as wished, larger where there would be too many."""
    needed = -(-size // MOST_PARTS)
    step = max(part_bytes, -(-needed // MIB) * MIB)
    return [(offset, min(step, size - offset)) for offset in range(0, size, step)] or [(0, 0)]


def checksum(parts: list[Part]) -> str:
    """Return the SHA-256 in base64 that the storage tells of an object uploaded in these ``parts``: that of theirs."""
    if len(parts) == 1:
        return base64.b64encode(parts[0].sha256).decode()
    digest = hashlib.sha256(b"".join(part.sha256 for part in parts)).digest()
    return base64.b64encode(digest).decode()


def measure_all(path: Path, size: int, sha256: str, part_bytes: int) -> str:
    """Return the :func:`checksum` that an upload of a file would have.

    :raises FileError: the file is not the one with the hash ``sha256``.
    """
    whole = hashlib.sha256()
    parts = [measure(path, offset, length, whole) for offset, length in split(size, part_bytes)]
    refuse_other(path, whole.hexdigest(), sha256)
    return checksum(parts)


def refuse_other(path: Path, found: str, sha256: str) -> None:
    """Return where a file has the hash that it must have.

    :raises FileError: it has another.
    """
    if found != sha256:
        raise FileError(f"{path} is damaged: its SHA-256 is not the one that was written; copy another backup")
