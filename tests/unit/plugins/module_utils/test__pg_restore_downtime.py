# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever fails while nobody writes, the writers are started, and the first reason is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_restore_downtime
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_downtime import Downtime
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import JournalError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.module_utils._writers import WritersError

ENTRY: dict[str, Any] = {"stage": "swapped", "before": {"name": "shop_before", "oid": "1"}}
FAILURES = [
    pytest.param(PgError("the server is gone"), id="the server"),
    pytest.param(JournalError("the disk is full"), id="the journal"),
    pytest.param(RestoreError("in use"), id="the exchange"),
    pytest.param(WritersError("api does not stop"), id="a writer"),
]


class Run:
    """A restore, of which a verb can fail."""

    def __init__(self) -> None:
        self.options = SimpleNamespace(database="shop", wait_seconds=1)
        self.seconds: dict[str, float] = {}
        self.calls: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.journal = SimpleNamespace(read=lambda: ENTRY)
        self.writers = self

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        if verb in self.fails:
            raise self.fails[verb]

    def observe(self) -> Any:
        self._called("observe")
        return SimpleNamespace(entry=ENTRY, writers=[{"name": "api"}])

    def write(self, entry: Any) -> Any:
        self._called("write")
        return entry

    def stop(self, _writers: Any) -> None:
        self._called("stop")

    def start(self, _writers: Any, _seconds: float) -> None:
        self._called("start")

    def confirm(self, _writers: Any) -> None:
        self._called("confirm")

    def start_all(self, _writers: Any) -> list[str]:
        self.calls.append("start_all")
        return []


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    made = Run()
    exchange = SimpleNamespace(swap=lambda _entry: made._called("swap"), swap_back=lambda _entry: made._called("back"))
    monkeypatch.setattr(_pg_restore_downtime, "Exchange", lambda _run, _seen: exchange)
    return made


def exchange(run: Run) -> None:
    Downtime(run, SimpleNamespace(writers=[{"name": "api"}])).exchange("swap", ENTRY)  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", FAILURES)
def test_what_fails_in_the_exchange_is_told_with_the_writers_started(run: Run, failure: Exception) -> None:
    run.fails["swap"] = failure
    with pytest.raises(RestoreError, match=f"{failure}; the writers were started again"):
        exchange(run)
    assert "start_all" in run.calls


@pytest.mark.parametrize("verb", ["observe", "stop", "back"])
@pytest.mark.parametrize("failure", FAILURES)
def test_what_fails_on_the_way_back_leaves_no_writer_stopped(run: Run, verb: str, failure: Exception) -> None:
    run.fails["confirm"] = WritersError("api has ended again")
    if verb == "stop":  # the first time it is stopped for the exchange
        run.fails["start"] = run.fails["confirm"]
        run.start = lambda *_arguments: (run.fails.update(stop=failure), run._called("start"))  # type: ignore[method-assign, assignment, func-returns-value]
    else:
        run.fails[verb] = failure
    with pytest.raises(RestoreError, match=rf"api has ended again; it was not put back \({failure}\)"):
        exchange(run)
    assert run.calls[-2:] == ["start_all", "write"]


def test_a_journal_that_cannot_be_written_does_not_hide_the_first_reason(run: Run) -> None:
    run.fails["swap"] = RestoreError("in use")
    writes = iter([None, JournalError("the disk is full")])

    def write(entry: Any) -> Any:
        failure = next(writes)
        if failure:
            raise failure
        return entry

    run.write = write  # type: ignore[method-assign]
    with pytest.raises(RestoreError, match="in use; the disk is full"):
        exchange(run)
