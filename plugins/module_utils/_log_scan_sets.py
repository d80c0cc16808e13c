# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a log, rotated ones too, and where the last reading ended in them. Private to this collection."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_unpack import pieces_of, unpacked, unpacker

KINDS = {"": "plain", "gz": "gzip", "zst": "zstd", "xz": "xz", "bz2": "bzip2"}
PACKED = r"(?:\.(?P<packed>gz|zst|xz|bz2))?"
DATE = r"(?P<date>\d{4}-?\d\d-?\d\d(?:[-_T.]?\d\d(?:[-:]?\d\d){0,2})?)"
FIRST_BYTES = 1024
TRIES = 5
SIGNS = "*?["


class Member(NamedTuple):
    """One opened file of a log."""

    path: str
    kind: str  # plain | gzip | zstd | xz | bzip2
    descriptor: int
    device: int
    inode: int
    size: int
    modified_at: float


class Start(NamedTuple):
    """Where reading begins in a file; in a compressed one the offset is that of what it holds."""

    member: Member
    offset: int
    is_continued: bool  # what is before was read the last time


def order(names: Sequence[str], name: str) -> list[str]:
    """Return those of ``names`` that are the log ``name`` or were it before a rotation, oldest first.

    Of a file and what it is being compressed to only the file counts.
    """
    stem, dot, ending = name.rpartition(".")
    after = rf"{re.escape(name)}(?:\.(?P<number>\d{{1,4}})|[-.]{DATE}){PACKED}"
    before = rf"{re.escape(stem)}(?:__|[-_.]){DATE.replace('date', 'day')}{re.escape(dot + ending)}{PACKED.replace('packed', 'pack')}"
    rotated = re.compile(rf"{after}|{before}" if dot else after)
    found: dict[tuple[int, int, str], tuple[bool, str]] = {}
    for one in names:
        met = rotated.fullmatch(one)
        if met is None:
            continue
        told = met.groupdict()
        date = re.sub(r"\D", "", told.get("date") or told.get("day") or "")
        key = (0, 0, date) if date else (1, -int(told["number"]), "")
        is_packed = bool(told.get("packed") or told.get("pack"))
        if key not in found or not is_packed:
            found[key] = (is_packed, one)
    return [found[key][1] for key in sorted(found)] + [name for one in names if one == name]


def expand(path: str) -> list[str]:
    """Return the files that ``path`` means: itself, or those that meet it as a glob, the one written to last at the end.

    What another of them was before it was rotated counts with that one, and only once.
    """
    if not any(sign in path for sign in SIGNS):
        return [path]
    found = [one for one in glob.glob(path) if not one.endswith(tuple(f".{ending}" for ending in KINDS if ending))]  # noqa: PTH207  # of a whole path
    rotated = {each for one in found for each in names_of(one) if each != one}
    found = [one for one in found if one not in rotated]
    return sorted(found, key=lambda one: (os.path.getmtime(one), one))  # noqa: PTH204  # one import less


def names_of(path: str) -> list[str]:
    """Return the files of a log, oldest first."""
    folder, _slash, name = path.rpartition("/")
    with suppress(OSError):
        return [f"{folder}/{one}" for one in order(os.listdir(folder or "/"), name)]  # noqa: PTH208  # names only
    return []


def open_members(path: str, *, since: float | None) -> list[Member]:
    """Open the files of a log that were written to since a time, oldest first. Who calls closes them.

    A log that is rotated meanwhile is looked at again, so that no file is missed and none counts twice.

    :raises OSError: one may not be read.
    """
    members: list[Member] = []
    for _try in range(TRIES):
        members = _open(path, since)
        if {(one.device, one.inode) for one in members} == _identities(path, since):
            break
        close(members)
        members = []
    return members or _open(path, since)


def _open(path: str, since: float | None) -> list[Member]:
    members: dict[tuple[int, int], Member] = {}
    try:
        for each in names_of(path):
            with suppress(FileNotFoundError):
                descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                told = os.fstat(descriptor)
                key = (told.st_dev, told.st_ino)
                is_old = since is not None and told.st_mtime < since
                if is_old or key in members or not os.path.isfile(each):  # noqa: PTH113  # one import less
                    os.close(descriptor)
                    continue
                kind = KINDS.get(each.rpartition(".")[2], "plain")
                members[key] = Member(each, kind, descriptor, *key, told.st_size, told.st_mtime)
    except OSError:
        close(list(members.values()))
        raise
    return list(members.values())


def _identities(path: str, since: float | None) -> set[tuple[int, int]]:
    found = set()
    for each in names_of(path):
        with suppress(FileNotFoundError):
            told = os.stat(each)  # noqa: PTH116  # one import less
            if since is None or told.st_mtime >= since:
                found.add((told.st_dev, told.st_ino))
    return found


def close(members: Sequence[Member]) -> None:
    for one in members:
        with suppress(OSError):
            os.close(one.descriptor)


def first_bytes(member: Member, most: int = FIRST_BYTES) -> bytes:
    """Return how a log begins, whether it is compressed by now or not; nothing where that cannot be told."""
    if member.kind == "plain":
        return os.pread(member.descriptor, most, 0)
    if member.kind == "zstd":
        return b""
    with suppress(Exception):  # each way to unpack has errors of its own; a damaged one has no beginning
        pieces = pieces_of(member.descriptor, 0, member.size, lambda _size: None)
        for piece in unpacked(pieces, unpacker(member.kind)):
            return piece[:most]
    return b""


def mark(member: Member, offset: int) -> dict[str, Any]:
    """Return what the next reading recognises a file by, and where it goes on."""
    begin = first_bytes(member)
    begin = begin[: begin.find(b"\n") + 1] or begin
    return {
        "device": member.device,
        "inode": member.inode,
        "offset": offset,
        "first_bytes": len(begin),
        "first": hashlib.sha256(begin).hexdigest(),
    }


def resume(members: Sequence[Member], known: Mapping[str, Any]) -> tuple[list[Start], str | None]:
    """Return where reading goes on in the files of a log, and what people have to know of that.

    :param members: the files, oldest first
    :param known: what :func:`mark` told of the one that was read last
    """
    for index, one in enumerate(members):
        is_it = one.kind == "plain" and (one.device, one.inode) == (known["device"], known["inode"])
        if is_it and one.size >= known["offset"] and _begins(one, known):
            return [
                Start(one, known["offset"], True),
                *(Start(later, 0, False) for later in members[index + 1 :]),
            ], None
    # Not where it was: compressed since, or copied and emptied.
    for index, one in enumerate(members):
        if known["first_bytes"] and (one.kind != "plain" or one.size >= known["offset"]) and _begins(one, known):
            return [
                Start(one, known["offset"], True),
                *(Start(later, 0, False) for later in members[index + 1 :]),
            ], None
    newer = [one for one in members if one.modified_at > known.get("read_at", 0)]
    note = "the file that was read last is gone or was emptied: what was written to it since then is not counted"
    return [Start(one, 0, False) for one in newer], note


def _begins(member: Member, known: Mapping[str, Any]) -> bool:
    begin = first_bytes(member, known["first_bytes"])
    return len(begin) == known["first_bytes"] and hashlib.sha256(begin).hexdigest() == known["first"]
