# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a maintenance window does in which state, and that check mode only looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _window
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._window import Keeper
from ansible_collections.runbook.ops.plugins.module_utils._window_journal import Window, WindowError
from ansible_collections.runbook.ops.plugins.modules import maintenance_window

QUEUE, WORKER = {"queue": "emails"}, {"name": "worker", "manager": "pm2"}


class Hands:
    """Nothing is so before, and no monitor is here; what is done is noted."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.broken = False

    def look(self, step: dict[str, Any], _secrets: Any) -> dict[str, Any]:
        return {**step, "ours": step["kind"] != "silence" or step["url"] is not None}

    def do(self, step: dict[str, Any], _secrets: Any) -> dict[str, Any]:
        self.did.append(step["name"])
        return step

    def undo(self, step: dict[str, Any], _secrets: Any) -> None:
        if self.broken:
            raise WindowError("it does not answer")
        self.did.append(f"-{step['name']}")


def options(state: str, **more: Any) -> dict[str, Any]:
    defaults = {name: argument.get("default") for name, argument in maintenance_window.ARGUMENTS.items()}
    return {**defaults, "state": state, "name": "shop", "run": "aaa", **more}


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Window(str(tmp_path / "window")), Hands(), Fence("", 0, ""))


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        pytest.param(
            "opened", {}, [("silence", "all alerts")], id="a window of a system without page and Alertmanager"
        ),
        pytest.param(
            "opened",
            {"flag": "/x", "alertmanager": "http://a"},
            [("silence", "all alerts"), ("page", "maintenance page")],
            id="alerts are silenced before the page is shown",
        ),
        pytest.param(
            "still",
            {"queues": [QUEUE], "services": [WORKER]},
            [("queue", "queue emails"), ("services", "worker")],
            id="queues are paused before their workers stop",
        ),
        pytest.param("closed", {"queues": [QUEUE], "services": [WORKER]}, [], id="closing goes by the journal alone"),
    ],
)
def test_a_state_has_its_steps(state: str, more: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    steps = maintenance_window.steps_of(options(state, **more))
    assert [(step["kind"], step["name"]) for step in steps] == expected


def test_check_mode_looks_but_does_not_touch(keeper: Keeper) -> None:
    maintenance_window.predict(keeper, options("still", services=[WORKER]))
    assert [(change["thing"], change["action"]) for change in keeper.changes] == [("worker", "stopped")]
    assert keeper.hands.did == []
    assert not keeper.journal.directory.exists()


def test_the_host_is_on_guard_before_anything_is_done(keeper: Keeper) -> None:
    seen: list[int] = []

    def guard() -> None:
        assert keeper.journal.path.exists()
        seen.append(len(keeper.hands.did))

    maintenance_window.run(keeper, options("opened", flag="/x", alertmanager="http://a"), guard, print)
    assert (seen, keeper.hands.did) == ([0], ["all alerts", "maintenance page"])


def test_the_host_is_on_guard_again_before_the_work_is_brought_to_rest(keeper: Keeper) -> None:
    maintenance_window.run(keeper, options("opened"), lambda: None, print)
    seen: list[int] = []
    maintenance_window.run(
        keeper, options("still", services=[WORKER]), lambda: seen.append(len(keeper.hands.did)), print
    )
    assert (seen, keeper.hands.did) == ([0], ["worker"])


def test_a_window_that_the_host_has_closed_meanwhile_fails_the_run(keeper: Keeper) -> None:
    maintenance_window.run(keeper, options("opened", flag="/x"), lambda: None, print)
    keeper.close(by="the host itself", ended=True)
    with pytest.raises(WindowError, match="closed by the host itself: it had lasted longer than 3600 s"):
        maintenance_window.run(keeper, options("closed"), lambda: None, print)


def test_the_window_of_another_run_is_left_with_a_warning_by_who_has_no_lock(keeper: Keeper) -> None:
    maintenance_window.run(keeper, options("opened", flag="/x"), lambda: None, print)
    said: list[str] = []
    maintenance_window.run(keeper, options("closed", run="bbb"), lambda: None, said.append)
    assert "run aaa is left open" in said[0]
    assert keeper.hands.did == ["maintenance page"]


def test_a_run_that_could_not_undo_everything_is_not_told_that_it_lasted_too_long(keeper: Keeper) -> None:
    maintenance_window.run(keeper, options("opened", flag="/x"), lambda: None, print)
    keeper.hands.broken = True
    with pytest.raises(WindowError, match="maintenance page: it does not answer"):
        maintenance_window.run(keeper, options("closed"), lambda: None, print)
    keeper.hands.broken = False
    keeper.close(by="the host itself", ended=True)
    maintenance_window.run(keeper, options("closed"), lambda: None, print)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"prefix": "second"}, id="prefix"),
        pytest.param({"port": 6380}, id="port"),
        pytest.param({"host": "10.0.0.2"}, id="host"),
        pytest.param({"socket": "/run/redis.sock"}, id="socket"),
        pytest.param({"container": "redis"}, id="container"),
        pytest.param({"project": "shop", "service": "redis"}, id="service of a project"),
        pytest.param({"database": 2}, id="database"),
    ],
)
def test_queues_of_one_name_are_each_paused_and_each_waited_for(
    keeper: Keeper, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_window, "active", lambda queue, _password: 1 if queue == QUEUE else 0)
    queues = [QUEUE, {**QUEUE, **other}]
    maintenance_window.run(keeper, options("opened"), lambda: None, print)
    with pytest.raises(WindowError, match=r"still worked on after 0 s: 1 of emails\."):
        maintenance_window.run(keeper, options("still", queues=queues, drain_seconds=0), lambda: None, print)
    assert len(keeper.hands.did) == 2
    assert len(keeper.opened()["steps"]) == 2


def test_work_is_not_brought_to_rest_without_a_window(keeper: Keeper) -> None:
    with pytest.raises(WindowError, match="no maintenance window is open"):
        maintenance_window.run(keeper, options("still", services=[WORKER]), lambda: None, print)
