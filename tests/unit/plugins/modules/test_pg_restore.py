# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore that is refused does about the writers that a killed one has left stopped."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.modules import pg_restore

PARAMS = {
    "state": "prepared",
    "backup": "latest",
    "directory": None,
    "set": None,
    "taken_before": None,
    "accept_unproven": "",
}
STOPPED = {"open": True, "stage": "preparing", "writers": [{"name": "api"}, {"name": "worker"}]}


class Refusing:
    """A restore whose plan refuses."""

    def __init__(self, entry: dict[str, Any] | None, trouble: str = "") -> None:
        self.journal = SimpleNamespace(locked=nullcontext)
        self.entry, self.trouble, self.started = entry, trouble, 0

    def observe(self) -> Any:
        return SimpleNamespace(entry=self.entry)

    def plan(self, *_arguments: Any) -> None:
        raise RestoreError("there is nothing to go back to")

    def start_left(self, _seen: Any) -> None:
        self.started += 1
        if self.trouble:
            raise RestoreError(self.trouble)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({}, "set directory and set", id="no backup"),
        pytest.param({"taken_before": "yesterday"}, "yesterday", id="no moment"),
        pytest.param({"state": "pruned", "directory": "/nowhere", "set": "x"}, "there is nothing", id="no plan"),
    ],
)
def test_whatever_it_is_refused_for_the_writers_are_started(options: dict[str, Any], said: str) -> None:
    restore = Refusing(STOPPED)
    with pytest.raises(
        RestoreError, match=f"{said}.*; what a run that was killed had stopped was started: api, worker"
    ):
        pg_restore.run(restore, {**PARAMS, **options}, check_mode=False)  # type: ignore[arg-type]
    assert restore.started == 1


def test_why_they_do_not_start_does_not_hide_why_it_is_refused() -> None:
    with pytest.raises(RestoreError, match="set directory and set; api does not start"):
        pg_restore.run(Refusing(STOPPED, "api does not start"), PARAMS, check_mode=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "way"), [("prepared", "reverted"), ("reverted", "restored")])
def test_a_prediction_starts_nothing_and_names_them(state: str, way: str) -> None:
    restore = Refusing(STOPPED)
    with pytest.raises(RestoreError, match=f"; still stopped .* api, worker; restore_state={way} starts them"):
        pg_restore.run(restore, {**PARAMS, "state": state}, check_mode=True)  # type: ignore[arg-type]
    assert restore.started == 0


def test_where_none_is_stopped_nothing_is_said_of_it() -> None:
    with pytest.raises(RestoreError, match=r"set directory and set$"):
        pg_restore.run(Refusing(None), PARAMS, check_mode=False)  # type: ignore[arg-type]
