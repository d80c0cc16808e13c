# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the old rows of a table, some thousand at a time, so that nobody waits. Private to this collection.

Each step is a transaction of its own: what a killed run has removed is gone, and the next one goes on. Rows that a session has locked
are left for a later step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._pg import DEADLOCK, LOCK_NOT_AVAILABLE, PgError
from ansible_collections.runbook.ops.plugins.module_utils._row_retention import (
    Part,
    RetentionError,
    Table,
    indexed_step,
    left_query,
    range_step,
)

TRIES = 5
RETRIED = (DEADLOCK, LOCK_NOT_AVAILABLE)
ROWS_A_BLOCK = 100.0  # where nothing is known of a table


class Pace(NamedTuple):
    """How much is done at once, and in all."""

    rows: int
    pause: float
    lock_timeout: float
    statement_timeout: float
    budget: float


class Removed(NamedTuple):
    """What a run has done."""

    rows: int
    steps: int
    seconds: float
    longest: float  # of the steps, in seconds
    finished: bool


class Remover:
    """Removes step by step, within its time."""

    def __init__(
        self,
        ask: Callable[[str], Mapping[str, Any]],
        column: str,
        pace: Pace,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is removed yet.

        :param ask: runs one step as a transaction and returns what it tells
        """
        self._ask, self._column, self._pace, self._clock, self._sleep = ask, column, pace, clock, sleep
        self._began = clock()
        self.rows = self.steps = 0
        self.longest = 0.0

    def remove(self, table: Table) -> Removed:
        """Remove what is too old, until nothing is left or the time is up. What others hold is left, and told.

        :raises PgError: a step failed; what the ones before have removed is gone.
        """
        ends = []
        for part in table.parts:
            work = self._by_time if part.indexed else self._by_place
            ends.append(work(part, table.condition))
            if not ends[-1] and self._is_over():
                break
        return Removed(self.rows, self.steps, self.seconds, self.longest, all(ends) and len(ends) == len(table.parts))

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._clock() - self._began

    def _by_time(self, part: Part, condition: str) -> bool:
        after: str | None = None
        while True:
            told = self._step(indexed_step(part, self._column, condition, self._pace.rows, after))
            after = told["youngest"]
            if told["rows"] < self._pace.rows:  # the end, or some are locked, or were changed meanwhile
                if not self._try(left_query(part, condition))["left"]:
                    return True
                if not told["rows"]:
                    return False
                after = None
            if not self._may_go_on():
                return False

    def _by_place(self, part: Part, condition: str) -> bool:
        width = max(1, int(self._pace.rows / (part.rows_a_block or ROWS_A_BLOCK)))
        whole = True
        for first in range(0, part.blocks, width):
            told = self._step(range_step(part, self._column, condition, first, first + width))
            whole = whole and told["rows"] >= told["seen"]
            if first + width < part.blocks and not self._may_go_on(rest=told["rows"] > 0):
                return False
        return whole

    def _step(self, sql: str) -> Mapping[str, Any]:
        began = self._clock()
        told = self._try(sql)
        self.longest = max(self.longest, self._clock() - began)
        self.rows, self.steps = self.rows + told["rows"], self.steps + 1
        return told

    def _try(self, sql: str) -> Mapping[str, Any]:
        for left in reversed(range(TRIES)):
            try:
                return self._ask(sql)
            except PgError as exc:
                if exc.code not in RETRIED or not left:
                    raise
                self._sleep(self._pace.lock_timeout)
        raise RetentionError("no step was tried")

    def _may_go_on(self, *, rest: bool = True) -> bool:
        if rest:  # one that only looked has made nobody wait
            self._sleep(self._pace.pause)
        return not self._is_over()

    def _is_over(self) -> bool:
        return self.seconds >= self._pace.budget
