# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a log is read from: parts of files, or what a program prints. Private to this collection."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._log_files import find_start, next_dated
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_blocks import BLOCK, SLACK_SECONDS
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_sets import Member, Start
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_unpack import pieces_of, unpacked, unpacker
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, spawn

LOOK_AT_ALL = 4 << 20  # in smaller files the time of every line is looked at
PROBES = 8  # places, evenly apart, at which the order is checked beside those of bisecting
BUFFER = 1024  # a place that bisecting looks at takes as much, and a line or two are all that it needs
# Where a host has no such file, its journal has the same.
JOURNALS: Mapping[str, tuple[str, ...]] = {
    "auth": ("SYSLOG_FACILITY=4", "+", "SYSLOG_FACILITY=10"),
    "ufw": ("_TRANSPORT=kernel",),
}


class SourceError(Exception):
    """A log cannot be read; the message is one line."""


class Part(NamedTuple):
    """A part of a file that one worker reads."""

    member: Member
    start: int
    end: int
    since: float | None = None  # lines written before do not count
    every_line: bool = False  # the time of every line is looked at: they are not in order, or few
    skip: int = 0  # bytes of what a compressed file holds that were read the last time
    is_dated: bool = True

    @property
    def size(self) -> int:
        return self.end - self.start


def part_of(start: Start, *, since: float | None, now: float, whole_lines: bool) -> Part:
    """Return what of a file is to be read.

    :param whole_lines: a last line without an end is left for the next time
    """
    member, offset = start.member, start.offset
    if member.kind != "plain":
        return Part(member, 0, member.size, since, since is not None and member.size < BLOCK, offset)
    end = _last_end(member, offset) if whole_lines else member.size
    if since is None or start.is_continued or offset >= end:
        return Part(member, offset, max(offset, end))
    seen: list[tuple[int, float]] = []
    with os.fdopen(os.dup(member.descriptor), "rb", BUFFER) as file:
        begin = find_start(file, end, since - SLACK_SECONDS, now, seen=seen)
        if begin is None:
            return Part(member, 0, end, is_dated=False)
        if end < LOOK_AT_ALL:
            return Part(member, 0, end, since, every_line=True)
        for index in range(1, PROBES + 1):
            dated = next_dated(file, end * index // (PROBES + 1), end, now)
            seen += [dated] if dated else []
    if not is_ordered(seen):
        return Part(member, 0, end, since, every_line=True)
    return Part(member, begin, end, since)


def is_ordered(seen: Sequence[tuple[int, float]]) -> bool:
    """Return whether times never go back from one place of a log to a later one, by more than lines may be out of order."""
    highest = float("-inf")
    for _offset, written in sorted(seen):
        if written < highest - SLACK_SECONDS:
            return False
        highest = max(highest, written)
    return True


def _last_end(member: Member, offset: int) -> int:
    end = member.size
    while end > offset:
        begin = max(offset, end - BLOCK)
        at = os.pread(member.descriptor, end - begin, begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return offset


def halves(parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Return the older and the newer half of what is to be read; a large file is cut at the end of a line."""
    first: list[Part] = []
    second: list[Part] = []
    wanted = sum(part.size for part in parts) // 2
    for part in parts:
        room = wanted - sum(one.size for one in first)
        if second or room <= 0:
            second.append(part)
        elif room >= part.size or part.member.kind != "plain" or part.every_line:
            first.append(part)
        else:
            cut = _end_of_line(part, part.start + room)
            first.append(part._replace(end=cut))
            second.append(part._replace(start=cut, since=None))
    return first, [part for part in second if part.size]


def _end_of_line(part: Part, offset: int) -> int:
    while offset < part.end:
        piece = os.pread(part.member.descriptor, min(BLOCK, part.end - offset), offset)
        at = piece.find(b"\n")
        if at >= 0 or not piece:
            return offset + at + 1 if piece else part.end
        offset += len(piece)
    return part.end


def read_part(part: Part, counted: Callable[[int], None]) -> Iterator[bytes]:
    """Yield what is to be read of a file.

    :raises SourceError: it is compressed, and damaged, or nothing here unpacks it.
    """
    member = part.member
    if member.kind == "plain":
        yield from pieces_of(member.descriptor, part.start, part.end, counted)
        return
    left = part.skip
    for piece in _unpacked(member, counted):
        if left >= len(piece):
            left -= len(piece)
        else:
            yield piece[left:]
            left = 0


def _unpacked(member: Member, counted: Callable[[int], None]) -> Iterator[bytes]:
    if member.kind == "zstd":
        counted(member.size)
        os.lseek(member.descriptor, 0, os.SEEK_SET)
        yield from run(["zstd", "-dcq"], stdin=member.descriptor)
        return
    try:
        yield from unpacked(pieces_of(member.descriptor, 0, member.size, counted), unpacker(member.kind))
    except Exception as exc:  # each has errors of its own, and none says more
        raise SourceError(f"{member.path} is damaged, or still being written: {exc}") from exc


def run(
    argv: list[str], *, stdin: int = subprocess.DEVNULL, timeout_seconds: float = 600
) -> Generator[bytes, None, None]:
    """Yield what a program prints on both its outputs, as it prints it.

    :raises SourceError: it is missing, fails, or takes too long.
    """
    until = time.monotonic() + timeout_seconds
    try:
        process = spawn(Stage(argv), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except PipelineError as exc:
        raise SourceError(str(exc)) from exc
    output: Any = process.stdout
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            last = b""
            while True:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise SourceError(f"{argv[0]} did not end within {timeout_seconds:g} s")
                piece = os.read(output.fileno(), BLOCK)
                if not piece:
                    break
                last = piece
                yield piece
        if process.wait(timeout=10) != 0:
            said = last.decode("utf-8", "replace").strip().splitlines()
            raise SourceError(f"{argv[0]} failed ({process.returncode}): {said[-1] if said else 'it said nothing'}")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        output.close()


def journal(log: Mapping[str, Any], since: float | None, until: float) -> list[str]:
    """Return what prints a unit's journal, or that which has what a missing file would."""
    period = [f"--until=@{until:.6f}", *([] if since is None else [f"--since=@{since:.6f}"])]
    what = [f"--unit={log['unit']}"] if log.get("unit") else list(JOURNALS[log["format"]])
    return ["journalctl", "--no-pager", "--quiet", "--output=short-iso", *period, *what]


def journal_begins_at() -> float:
    """Return when the oldest entry of the host's journal was written.

    :raises SourceError: it holds none.
    """
    lines = run(["journalctl", "--no-pager", "--quiet", "--output=short-unix"])
    try:
        for piece in lines:  # its beginning is enough
            return float(piece.split(b" ", 1)[0])
    except ValueError as exc:
        raise SourceError(f"journalctl did not say since when there is a journal: {exc}") from exc
    finally:
        lines.close()
    raise SourceError("the journal of this host holds nothing")


def require_unit(unit: str) -> None:
    """Refuse a unit that is none: its journal is empty, which looks like health.

    :raises SourceError: there is no such unit.
    """
    if any(sign in unit for sign in "*?["):
        return
    if b"".join(run(["systemctl", "show", "--property=LoadState", "--value", "--", unit])).strip() == b"not-found":
        raise SourceError(f"this host has no unit {unit}, and its journal nothing of one")
