# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a log to blocks of whole lines, from a time on. Private to this collection.

Memory is that of one block, whatever the log's size, and whatever the length of its lines.
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.runbook.ops.plugins.module_utils._log_times import HEAD, line_time

BLOCK = 64 << 10  # the pieces of one fit the processor's own memory
LONGEST = 2 * BLOCK  # what a line has beyond is not looked at
SLACK_SECONDS = 10  # so far may lines of an ordered log be out of order
MOST_STAMPS = 5000
LOOKED_BACK = 50  # lines without a time at the end of a block
Take = Callable[[bytes, int], None]  # a block that ends with the end of a line, and how many lines it has


class Cutter:
    """Cuts a stream into blocks of whole lines."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._rest = b""

    def feed(self, data: bytes) -> None:
        for at in range(0, len(data), BLOCK):
            self._feed(data[at : at + BLOCK] if len(data) > BLOCK else data)

    def _feed(self, piece: bytes) -> None:
        end = piece.rfind(b"\n") + 1
        rest = self._rest
        if not end:
            self._rest = (rest + piece)[:LONGEST]
            return
        if len(rest) + len(piece) > LONGEST:
            first = piece.index(b"\n")
            block = (rest + piece[:first])[:LONGEST] + piece[first:end]
        else:
            block = b"".join((rest, memoryview(piece)[:end]))  # copied once
        self._rest = piece[end:]
        # Quicker than to count them: the next one is looked for a word of the processor at once, and not a byte.
        self._take(block, len(block) - len(block.replace(b"\n", b"")))

    def end(self) -> None:
        """Pass on the last line where the log does not end with the end of one."""
        if self._rest:
            self._take(self._rest + b"\n", 1)
            self._rest = b""


class Clock:
    """When lines were written. Access logs have many lines a second: their times are found once."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._known: dict[bytes, float | None] = {}

    def __call__(self, line: bytes) -> float | None:
        opened = line.find(b"[", 0, HEAD)
        stamp = line[opened : opened + 28] if opened >= 0 else b""
        if len(stamp) < 28 or stamp[27:] != b"]" or stamp[3:4] != b"/":
            return line_time(line, self._now)
        if stamp not in self._known:
            if len(self._known) >= MOST_STAMPS:
                self._known.clear()
            self._known[stamp] = line_time(stamp, self._now)
        return self._known[stamp]

    def first(self, block: bytes) -> float | None:
        """Return the time of the first line that has one."""
        at = 0
        while at < len(block):
            stop = block.find(b"\n", at)
            stop = len(block) if stop < 0 else stop
            written = self(block[at : min(stop, at + HEAD)])
            if written is not None:
                return written
            at = stop + 1
        return None

    def last(self, block: bytes) -> float | None:
        """Return the time of the last line that has one, among the last of the block."""
        stop = len(block)
        for _line in range(LOOKED_BACK):
            begin = block.rfind(b"\n", 0, max(0, stop - 1)) + 1
            written = self(block[begin : min(stop, begin + HEAD)])
            if written is not None or begin == 0:
                return written
            stop = begin
        return None


class Since:
    """Passes on what was written from a time on. A line without a time belongs to the one before it.

    Once a line is beyond the time by more than lines are out of order, all that follows passes, unless ``every_line`` is asked.
    """

    def __init__(self, take: Take, clock: Clock, since: float, *, every_line: bool) -> None:
        self._take, self._clock, self._since = take, clock, since
        self._every_line = every_line
        self._passes = False
        self._is_over = False

    def __call__(self, block: bytes, lines: int) -> None:
        if self._is_over:
            self._take(block, lines)
            return
        if not self._every_line:
            last = self._clock.last(block)
            if last is not None and last < self._since - SLACK_SECONDS:
                self._passes = False
                return
            first = self._clock.first(block)
            if first is not None and first >= self._since + SLACK_SECONDS:
                self._is_over = True  # but lines without a time before it belong to what was before
                if self._passes or self._clock(block[:HEAD]) is not None:
                    self._take(block, lines)
                    return
        self._filter(block, lines)

    def _filter(self, block: bytes, lines: int) -> None:
        kept = []
        for line in block.split(b"\n")[:lines]:
            written = self._clock(line)
            if written is not None:
                self._passes = written >= self._since
            if self._passes:
                kept.append(line)
        if kept:
            kept.append(b"")
            self._take(b"\n".join(kept), len(kept) - 1)
