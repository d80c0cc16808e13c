# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read one log with up to two processes, and return what was counted. Private to this collection."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_access import AccessReader, compile_format
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_blocks import Clock, Cutter, Since
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_json import JsonReader
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_patterns import (
    BUILT_IN,
    Pattern,
    PatternReader,
    compile_log_patterns,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_source import (
    LOOK_AT_ALL,
    Part,
    SourceError,
    halves,
    read_part,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import Tally

WORTH_TWO = 8 << 20  # bytes from which on a second process pays
KEPT = 2048  # bytes of the last block, in which its last time stands
LINES = ("lines", *BUILT_IN)
Reader = Union[AccessReader, JsonReader, PatternReader]


class Job:
    """What is looked for in one log."""

    def __init__(self, log: Mapping[str, Any], now: float) -> None:
        """Prepare.

        :raises ValueError: its format or a pattern is none.
        """
        self._log, self._now = log, now
        self.patterns: list[Pattern] = compile_log_patterns(log)
        form = log.get("format") or "lines"
        self._format = None if form in LINES or form == "json" else compile_format(form)
        self._tops = frozenset(log.get("top") or ())

    def counting(self) -> Counting:
        """Return what counts blocks into a tally of its own."""
        tally, log = Tally(), self._log
        tally.requests.asked = frozenset(one["endpoint"] for one in log.get("endpoints") or ())
        readers: list[Reader] = []
        if self._format:
            readers.append(AccessReader(self._format, tally, self._tops))
        elif log.get("format") == "json":
            readers.append(JsonReader(log.get("fields") or {}, tally, self._tops))
        if self.patterns:
            readers.append(PatternReader(self.patterns, tally, log.get("examples", 1)))
        return Counting(tally, readers, Clock(self._now))


class Counting:
    """Counts blocks with all readers of a log."""

    def __init__(self, tally: Tally, readers: Sequence[Reader], clock: Clock) -> None:
        self.tally = tally
        self._readers, self._clock = readers, clock
        self._last = b""

    def add(self, block: bytes, lines: int) -> None:
        tally = self.tally
        tally.lines += lines
        if tally.first_at is None:
            tally.first_at = self._clock.first(block)
        self._last = block
        for reader in self._readers:
            reader.add(block, lines)

    def count(self, pieces: Iterator[bytes], since: float | None = None, *, every_line: bool = False) -> None:
        """Count what ``pieces`` hold."""
        take = self.add if since is None else Since(self.add, self._clock, since, every_line=every_line)
        cutter = Cutter(take)
        try:
            for piece in pieces:
                cutter.feed(piece)
        except SourceError as exc:
            self.tally.note(str(exc))
        cutter.end()

    def parts(self, parts: Sequence[Part]) -> Tally:
        for part in parts:
            if not part.is_dated:
                self.tally.undated += part.size
            if part.every_line and part.member.kind == "plain" and part.size >= LOOK_AT_ALL:
                self.tally.is_ordered = False
            self.count(read_part(part, self._counted), part.since, every_line=part.every_line)
        return self.end()

    def metered(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield ``pieces``, and count how much they hold."""
        for piece in pieces:
            self._counted(len(piece))
            yield piece

    def _counted(self, size: int) -> None:
        self.tally.bytes_read += size

    def end(self) -> Tally:
        """Return the tally once all is counted."""
        for reader in self._readers:
            reader.flush()
        self.tally.last_at = self._clock.last(self._last) if self._last else None
        self._last = b""
        return self.tally


def scan_parts(job: Job, parts: Sequence[Part], *, workers: int) -> Tally:
    """Count what is in ``parts``, with two processes where that pays."""
    if workers < 2 or sum(part.size for part in parts) < WORTH_TWO:
        return job.counting().parts(parts)
    first, second = halves(parts)
    child = _Child(job, second) if second else None
    try:
        tally = job.counting().parts(first)
        if child:
            tally.merge(child.result())
    finally:
        if child:
            child.end()
    return tally


class _Child:
    """A process that counts a half, and says what it counted through a pipe."""

    def __init__(self, job: Job, parts: Sequence[Part]) -> None:
        sys.stdout.flush()
        self._job, self._parts = job, parts
        read, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                os.close(read)
                with os.fdopen(write, "wb") as pipe:
                    pickle.dump(job.counting().parts(parts), pipe, pickle.HIGHEST_PROTOCOL)
                code = 0
            finally:
                os._exit(code)  # nothing of the module's end may run twice
        os.close(write)
        self._pipe = os.fdopen(read, "rb")

    def result(self) -> Tally:
        """Return its tally; where it failed, count its half here."""
        told = self._pipe.read()
        _pid, status = os.waitpid(self._pid, 0)
        self._pid = 0
        if status == 0 and told:
            tally: Tally = pickle.loads(told)  # noqa: S301  # our own process wrote it
            return tally
        return self._job.counting().parts(self._parts)

    def end(self) -> None:
        """End it, where it has not ended."""
        self._pipe.close()
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
