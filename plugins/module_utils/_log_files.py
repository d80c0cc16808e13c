# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the end of a log, from a time or a word on, without reading the rest. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH116, PTH123  # pathlib would be an import more, and this runs every few minutes
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time, redact

STEP = 64 * 1024  # how far a dated line is looked for, and where bisecting ends
BLOCK = 1 << 20
UNDATED_BYTES = 1 << 20
LONGEST_LINE = 8192


class Found:
    """What was found in logs: how many lines, the last of them, and how far that can be trusted."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[str] = []
        self.undated = False  # lines without a time: what is counted may be old
        self.cut = False  # there was more than is read

    def add(self, line: bytes, keep: int) -> None:
        self.count += 1
        self.examples = [*self.examples, redact(line)][-keep:] if keep else []


def compile_patterns(patterns: Sequence[str]) -> re.Pattern[bytes]:
    """Return one expression, without regard to case, that any of ``patterns`` meets.

    :raises ValueError: one of them is not a regular expression.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as exc:
            raise ValueError(f"{pattern!r} is not a regular expression: {exc}") from exc
    return re.compile(b"|".join(b"(?:%s)" % pattern.encode() for pattern in patterns), re.IGNORECASE)


def scan(
    paths: Iterable[str], pattern: re.Pattern[bytes], *, since: float, now: float, most_bytes: int, keep: int
) -> Found:
    """Return the lines in ``paths`` (oldest first) that ``pattern`` meets and that were written from ``since`` on."""
    found = Found()
    for path in paths:
        if os.stat(path).st_mtime < since:
            continue
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = find_start(file, end, since, now)
            undated, before = start is None, found.count
            if start is None:
                start = max(0, end - UNDATED_BYTES)
            if end - start > most_bytes:
                found.cut, start = True, end - most_bytes
            for line in matching_lines(file, start, end, pattern):
                found.add(line, keep)
            # A stack trace of another instance says nothing of the rest.
            found.undated |= undated and found.count > before
    return found


def find_start(
    file: BinaryIO, end: int, since: float, now: float, *, seen: list[tuple[int, float]] | None = None
) -> int | None:
    """Return where the first line written from ``since`` on begins, by bisecting; None where no line has a time.

    :param seen: gets the offsets and times of the lines that were looked at: whether the log is in order shows there
    """
    seen = [] if seen is None else seen
    first = next_dated(file, 0, end, now)
    if first is None:
        return None
    seen.append(first)
    if first[1] >= since:
        return 0
    low, high = first[0], end
    while high - low > STEP:
        middle = (low + high) // 2
        dated = next_dated(file, middle, high, now)
        seen += [dated] if dated else []
        if dated is not None and dated[1] < since:
            low = dated[0]
        else:
            high = middle
    file.seek(low)
    while low < end:
        line = file.readline(LONGEST_LINE)
        written = line_time(line, now)
        if not line or (written is not None and written >= since):
            break
        low += len(line)
    return low


def next_dated(file: BinaryIO, start: int, end: int, now: float) -> tuple[int, float] | None:
    """Return offset and time of the first line with a time that begins in the next bytes after ``start``."""
    offset = start
    file.seek(start)
    if start:
        offset += len(file.readline(STEP))
    while offset < min(end, start + STEP):
        line = file.readline(LONGEST_LINE)
        if not line:
            return None
        written = line_time(line, now)
        if written is not None:
            return offset, written
        offset += len(line)
    return None


def matching_lines(file: BinaryIO, start: int, end: int, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """Yield the lines between two offsets that ``pattern`` meets, each once."""
    file.seek(start)
    rest = b""
    while start < end:
        chunk = file.read(min(BLOCK, end - start))
        if not chunk:
            break
        start += len(chunk)
        block, newline, rest = (rest + chunk).rpartition(b"\n")
        if not newline and len(rest) > BLOCK:
            block, rest = rest, b""  # a line without an end is looked at in pieces
        yield from _lines(block, pattern)
    yield from _lines(rest, pattern)


def _lines(block: bytes, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    position = 0
    while met := pattern.search(block, position):
        begin = block.rfind(b"\n", 0, met.start()) + 1
        stop = block.find(b"\n", met.end())
        stop = len(block) if stop < 0 else stop
        yield block[begin : min(stop, begin + LONGEST_LINE)]
        position = stop + 1


def last_line_with(path: str, text: bytes) -> tuple[int, bytes] | None:
    """Return offset and content of the last line in the file that holds ``text``, reading from its end."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        tail = b""
        while end > 0:
            begin = max(0, end - BLOCK)
            file.seek(begin)
            block = file.read(end - begin) + tail
            at = block.rfind(text)
            if at >= 0:
                line_at = block.rfind(b"\n", 0, at) + 1
                line = block[line_at : line_at + LONGEST_LINE].partition(b"\n")[0]
                return begin + line_at, line
            tail, end = block[: len(text) + LONGEST_LINE], begin
    return None


def with_rotated(path: str) -> list[str]:
    """Return the log and the one it was before it was rotated last, oldest first, as far as they exist."""
    return [candidate for candidate in (f"{path}.1", path) if os.access(candidate, os.F_OK)]
