# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write one dump of PostgreSQL into a draft, and read from it what it holds. Private to this collection."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._codec import encoding, read_head
from ansible_collections.runbook.ops.plugins.module_utils._pg_archive import (
    HEAD_BYTES,
    ArchiveError,
    Contents,
    read_archive,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_plan import BackupError, Recipe
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import Sink, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._writeback import early

QUEUED = 8  # pieces of a stream on their way to the compressor


@dataclass
class Dump:
    """A dump that is written."""

    relative: str  # its place in the backup
    head: bytes = b""  # of a stream that is not read again: without a key, or as it is


def write_dump(
    target: PgTarget,
    draft: Draft,
    database: str,
    recipe: Recipe,
    *,
    snapshot: str,
    encryption: Mapping[str, Any] | None,
    timeout_seconds: float,
    lock_timeout_seconds: float,
) -> Dump:
    """Dump ``database`` as it is in ``snapshot``, and return where.

    :raises PipelineError: a program failed.
    :raises OSError: the dump cannot be written.
    """
    options = [
        "--no-password",
        "--no-sync",  # what the draft keeps, it brings to the disk itself
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={round(lock_timeout_seconds * 1000)}",
        *recipe.options(),
    ]
    if recipe.format == "directory":
        return _directory(target, draft, database, options, timeout_seconds)
    stage = target.stage("pg_dump", *options, database=database)
    encoders, suffix = encoding(recipe.outer, encryption)
    dump, head = Dump(f"dump.custom{suffix}"), bytearray()

    def keep(data: bytes) -> None:
        if len(head) < HEAD_BYTES:
            head.extend(data[: HEAD_BYTES - len(head)])

    with draft.create(dump.relative) as file:
        if encoders and not encryption:
            # From program to program: what does not pass by us costs us nothing.
            run_pipeline([stage, *encoders], sink=file.write, timeout_seconds=timeout_seconds)
        else:
            _stream(stage, encoders, keep, file.write, timeout_seconds)
    dump.head = bytes(head)
    return dump


def _directory(target: PgTarget, draft: Draft, database: str, options: Sequence[str], timeout_seconds: float) -> Dump:
    """Let pg_dump, as its own account, write to a directory to which it cannot find the way: it gets it open."""
    place = draft.path / "dump"
    place.mkdir(mode=0o700)
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stage = target.stage("pg_dump", *options, f"--file=/proc/self/fd/{handle}", database=database)
        _give(place, stage.user)
        with early(place):
            run_pipeline([stage._replace(pass_fds=(handle,))], timeout_seconds=timeout_seconds)
    finally:
        os.close(handle)
    _take_back(place)
    return Dump("dump")


def _give(place: Path, user: str | None) -> None:
    if user and os.geteuid() == 0:
        import pwd  # noqa: PLC0415  # only who changes the account needs it

        os.chown(place, pwd.getpwnam(user).pw_uid, -1)


def _take_back(place: Path) -> None:
    """Make ``place`` and what is in it ours alone: the server's account must not be able to change a backup."""
    for path in (place, *place.iterdir()):
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)


def _stream(stage: Stage, encoders: Sequence[Stage], keep: Sink, write: Sink, timeout_seconds: float) -> None:
    """Send what ``stage`` prints past ``keep`` and through ``encoders`` to ``write``."""

    def both(data: bytes) -> None:
        keep(data)
        write(data)

    if not encoders:
        run_pipeline([stage], sink=both, timeout_seconds=timeout_seconds)
        return
    belt = _Belt(keep)
    maker = threading.Thread(
        target=belt.fill, args=(lambda: run_pipeline([stage], sink=belt.put, timeout_seconds=timeout_seconds),)
    )
    maker.start()
    try:
        run_pipeline(encoders, source=belt.pieces(), sink=write)
    finally:
        belt.stop()
        maker.join()


class _Belt:
    """What carries pieces from one pipeline to another, and a failure of the one to the other."""

    def __init__(self, keep: Sink) -> None:
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(QUEUED)
        self._keep, self._stopped = keep, threading.Event()

    def put(self, data: bytes) -> None:
        self._keep(data)
        self._push(data)

    def _push(self, piece: bytes | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(piece, timeout=0.2)
            except queue.Full:
                continue
            return
        raise BackupError("what compresses or encrypts has ended")

    def fill(self, work: Callable[[], object]) -> None:
        try:
            work()
            self._push(None)
        except BaseException as exc:  # told where the pieces are taken
            if not self._stopped.is_set():
                self._push(exc)

    def pieces(self) -> Iterator[bytes]:
        while True:
            piece = self._queue.get()
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def stop(self) -> None:
        self._stopped.set()


def read_dump(target: PgTarget, draft: Draft, dump: Dump) -> Contents | None:
    """Return what the dump holds; None where it is of a version that only PostgreSQL's own programs know.

    pg_restore must be able to read it too. Of what is encrypted, which nobody here can read any more, they get the part that
    went by.

    :raises PipelineError: pg_restore cannot read it.
    :raises BackupError: it is cut off, or damaged.
    """
    path = draft.path / dump.relative
    if path.is_dir():
        run_pipeline([Stage([target.program("pg_restore"), "--list", str(path)])])
        return _contents((path / "toc.dat").read_bytes())
    head = dump.head or read_head(path, HEAD_BYTES)
    # It stops reading behind the table of contents.
    run_pipeline([target.stage("pg_restore", "--list", reads=True)], source=head)
    return _contents(head)


def _contents(data: bytes) -> Contents | None:
    try:
        return read_archive(data)
    except ArchiveError as exc:
        if "has version" in str(exc):
            return None
        raise BackupError(f"the dump cannot be read: {exc}: run this again") from exc
