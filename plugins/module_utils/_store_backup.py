# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one backup of something that is a stream: look, see whether there is room, write aside, name. Private to this collection."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft, HashingFile, wait_for_a_name
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    Backup,
    SetError,
    clean_up,
    list_backups,
    locked,
    reclaimable,
    set_name,
)
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._codec import (
    ENCRYPTION,
    CodecError,
    choose_compression,
    encoding,
    prove,
)
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._rdb_reader import RdbError
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, RedisRefusedError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size, parse_duration

SECTION = "Backups"
MOST_LINES = 20  # of a diff


class StoreError(Exception):
    """A backup that cannot be made, or not be used; the message is one line that says what to do."""


ADVICE = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room within that quota",
    errno.EROFS: "see why that file system can only be read (dmesg), and make it writable",
    errno.EIO: "see what is wrong with that disk (dmesg)",
    errno.EXDEV: "it comes from a lower layer of an overlay file system, so name what is in it one by one",
    errno.EACCES: "become root",
    errno.EPERM: "become root",
}
# What a backup or a restore may end with; anything else is a fault of ours.
ERRORS = (
    StoreError,
    SetError,
    CodecError,
    PipelineError,
    RedisDownError,
    RedisRefusedError,
    RdbError,
    ValueError,
    OSError,
)


# The options of the fragment runbook.ops.backup_set.
ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "set": {"type": "str", "required": True},
    "compression": {"type": "str", "choices": ["auto", "zstd", "gzip", "none"], "default": "auto"},
    "encryption": ENCRYPTION,
    "min_free_percent": {"type": "float", "default": 5.0},
    "unless_younger_than": {"type": "str"},
    "timeout_seconds": {"type": "int", "default": 3600},
}


class Wish(NamedTuple):
    """Where a backup goes, and how."""

    directory: Path
    set: str
    compression: str = "auto"
    encryption: Mapping[str, Any] | None = None
    min_free_percent: float = 5.0
    unless_younger_than: str | None = None
    timeout_seconds: float = 3600.0

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Wish:
        given = {key: options[key] for key in cls._fields if options.get(key) is not None}
        return cls(**{**given, "directory": Path(options["directory"])})


class Store(Protocol):
    """What can be backed up."""

    kind: str
    name: str
    payload: str  # name of the file in the backup, before it is compressed

    def look(self, last: Backup | None) -> int:
        """Return how many bytes a backup may need, and raise what stands against one. It only reads."""

    def pieces(self) -> Iterable[bytes]:
        """Return what is to be saved."""

    def content(self) -> dict[str, Any]:
        """Return what the pieces held, once all were taken."""

    def tools(self) -> dict[str, str]:
        """Return the programs that made it, with their versions."""

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        """Return ``content`` in lines for a diff."""


def back_up(
    wish: Wish, store: Store, *, check_mode: bool = False, clock: Callable[[], float] = time.time
) -> dict[str, Any]:
    """Make a backup, unless the last one is young enough, and return what happened.

    :raises StoreError: there is no room, or the directory cannot be used.
    :raises SetError: another one is being made, or it cannot be written.
    """
    at = datetime.fromtimestamp(int(clock()), timezone.utc)
    name = set_name(wish.set, at)
    known = list_backups(wish.directory, wish.set)
    last = known[-1] if known else None
    if last and wish.unless_younger_than and _is_young(last, at, wish.unless_younger_than):
        return _result(store, last, changed=False)
    compression = choose_compression(wish.compression)
    if wish.encryption:
        encoding(compression, wish.encryption)
        prove(wish.encryption)
    needed = store.look(last)
    refuse_full(wish, needed)
    if check_mode:
        return _result(store, None, changed=True, name=name, path=wish.directory / name, needed=needed)
    started = clock()
    wish.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(wish.directory, wish.set):
        cleaned = clean_up(wish.directory, wish.set)
        at = wait_for_a_name(wish.directory, wish.set, clock)
        with Draft.begin(wish.directory, wish.set, at) as draft:
            stages, suffix = encoding(compression, wish.encryption)
            relative = store.payload + suffix
            _write(store, stages, draft.create(relative), wish.timeout_seconds)
            reached(f"{store.kind}_backup:written")
            finished = clock()
            backup = draft.seal(
                {
                    "kind": store.kind,
                    "database": store.name,
                    "host": socket.gethostname(),
                    "taken_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                    "finished_at": f"{datetime.fromtimestamp(int(finished), timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
                    "seconds": round(finished - started, 3),
                    "tools": store.tools(),
                    "compression": compression,
                    "encryption": dict(wish.encryption) if wish.encryption else None,
                    "content": {**store.content(), "payload": relative},
                }
            )
    return _result(store, backup, changed=True, last=last, cleaned=cleaned, seconds=clock() - started)


def one_line(exc: BaseException) -> str:
    """Return what ``exc`` says, and for what an operating system says what to do."""
    if isinstance(exc, OSError) and exc.strerror:
        said = f"{exc.filename}: {exc.strerror}" if exc.filename else exc.strerror
        advice = ADVICE.get(exc.errno or 0)
        return f"{said}: {advice}, then run this again" if advice else said
    return " ".join(str(exc).split())


def refuse_full(wish: Wish, needed: int) -> None:
    """Refuse where a backup of ``needed`` bytes would leave less room than is to stay free.

    :raises StoreError: there is too little.
    """
    place = wish.directory
    while not place.exists() and place != place.parent:
        place = place.parent
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize + reclaimable(wish.directory, wish.set)
    total = disk.f_blocks * disk.f_frsize
    left = free - needed
    if left < total * wish.min_free_percent / 100:
        raise StoreError(
            f"no room in {wish.directory}: {human_size(free)} are free, the backup may need {human_size(needed)} and "
            f"{wish.min_free_percent:g} % of {human_size(total)} are to stay free; rotate old backups, or enlarge the disk"
        )


def _is_young(last: Backup, at: datetime, limit: str) -> bool:
    # One from the future says that a clock is wrong, not that there is a backup.
    return timedelta(0) <= at - last.taken_at < timedelta(seconds=parse_duration(limit))


def _write(store: Store, stages: list[Stage], file: HashingFile, timeout_seconds: float) -> None:
    """Bring what the store gives to the disk.

    :raises SetError: it cannot be written.
    """
    try:
        pieces = store.pieces()
        if stages:
            run_pipeline(stages, source=pieces, sink=file.write, timeout_seconds=timeout_seconds)
        else:
            for piece in pieces:
                file.write(piece)
        file.close()
    except OSError as exc:
        raise SetError(
            f"cannot write the backup ({exc.strerror or exc}): nothing of it stays, the backups before it are untouched"
        ) from exc
    finally:
        with contextlib.suppress(OSError):  # of a full disk, which was said already
            file.close()


def _result(store: Store, backup: Backup | None, *, changed: bool, **more: Any) -> dict[str, Any]:
    """Return what a module returns: about ``backup``, or about the one that would be made."""
    last, content = more.get("last"), backup.manifest["content"] if backup else {}
    path = backup.path if backup else more["path"]
    told = {
        "name": path.name,
        "path": str(path),
        "taken_at": backup.manifest["taken_at"] if backup else None,
        "size_bytes": backup.manifest["size"] if backup else None,
        "needed_bytes": more.get("needed"),
        "identity": backup.identity if backup else None,
        "content": content,
    }
    change = make_change(
        f"{store.kind} {store.name}",
        action="backed up",
        section=SECTION,
        reason="a backup is asked for"
        if not more.get("cleaned")
        else "a backup is asked for; a killed run was cleaned up",
        before=last.manifest["size"] if last else None,
        after=told["size_bytes"],
        unit="B",
        seconds=round(more["seconds"], 2) if "seconds" in more else None,
    )
    before, after = store.lines(last.manifest["content"]) if last else [], store.lines(content) if changed else []
    return {
        "changed": changed,
        "actions": [f"back up {store.kind} {store.name} to {path}"] if changed else [],
        "backup": told,
        "cleaned": more.get("cleaned") or [],
        "diff": _diff(before, after) if backup else {"before": "", "after": f"{path}\n" if changed else ""},
        "changes": [change] if changed else [],
    }


def _diff(before: list[str], after: list[str]) -> dict[str, str]:
    was, now = ([line for line in mine if line not in other] for mine, other in ((before, after), (after, before)))
    return {
        "before": "".join(f"{line}\n" for line in was[:MOST_LINES]),
        "after": "".join(f"{line}\n" for line in now[:MOST_LINES]),
    }
