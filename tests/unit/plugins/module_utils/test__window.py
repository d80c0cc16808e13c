# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A maintenance window that is killed anywhere is undone by whoever comes next, and touches nothing that was so before."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _window, _window_guard
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import Clock
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, LockError, look, now, take
from ansible_collections.runbook.ops.plugins.module_utils._change_step import step
from ansible_collections.runbook.ops.plugins.module_utils._window import Keeper
from ansible_collections.runbook.ops.plugins.module_utils._window_guard import look_after
from ansible_collections.runbook.ops.plugins.module_utils._window_journal import Window, WindowError

RUN = {"playbook": "maintenance_window", "user": "ada", "controller": "laptop", "process": "", "started_at": ""}
STEPS = [{"kind": "thing", "name": name} for name in ("silence", "page", "queue", "services")]


class Killed(BaseException):
    """As by kill -9: nothing that follows is done."""


class World:
    """Things that are as they were, or as a window wants them; and hands that may die at any moment."""

    def __init__(self, already: set[str], moments: int = 10**6) -> None:
        self.changed, self.already, self.moments = set(already), already, moments
        self.order: list[str] = []
        self.broken: set[str] = set()

    def moment(self) -> None:
        self.moments -= 1
        if self.moments < 0:
            raise Killed

    def look(self, step: dict[str, Any], _secrets: Any) -> dict[str, Any]:
        return {**step, "ours": step["name"] not in self.changed}

    def do(self, step: dict[str, Any], _secrets: Any) -> dict[str, Any]:
        self.moment()
        self.changed.add(step["name"])
        self.order.append(step["name"])
        self.moment()
        return step

    def undo(self, step: dict[str, Any], _secrets: Any) -> None:
        self.moment()
        if step["name"] in self.broken:
            raise WindowError("it does not answer")
        self.changed.discard(step["name"])
        self.order.append(f"-{step['name']}")
        self.moment()


@pytest.fixture(autouse=True)
def words(monkeypatch):
    monkeypatch.setattr(_window, "DONE", {"thing": "done"})
    monkeypatch.setattr(_window, "UNDONE", {"thing": "undone"})


def keeper(directory: Path, world: World, *, number: int = 0, owner: str = "") -> Keeper:
    return Keeper(Window(str(directory / "window")), world, Fence(str(directory / "change"), number, owner))


def locked(directory: Path, world: World, run: str) -> Keeper:
    """Return the keeper of a run that has the lock, and whose lease is over as soon as another one asks."""
    state, _ = take(str(directory / "change"), {**RUN, "id": run}, place={}, lease_seconds=0)
    return keeper(directory, world, number=state["number"], owner=run)


def work(directory: Path, world: World, run: str) -> None:
    one = locked(directory, world, run)
    one.open("shop", run, seconds=60, secrets={"redis": "word"})
    one.do(STEPS)
    one.close(by=run)


def test_all_is_undone_from_the_last_to_the_first(tmp_path):
    world = World(set())
    work(tmp_path, world, "aaa")
    names = [step["name"] for step in STEPS]
    assert world.order == [*names, *(f"-{name}" for name in reversed(names))]
    assert Window(str(tmp_path / "window")).read() is None
    assert "word" not in "".join(path.read_text() for path in (tmp_path / "window").iterdir())


def test_what_was_so_before_is_neither_done_nor_undone(tmp_path):
    world = World({"queue"})
    work(tmp_path, world, "aaa")
    assert world.changed == {"queue"}
    assert "queue" not in world.order


def test_wherever_runs_are_killed_the_next_one_that_closes_leaves_the_world_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _handle: None)  # the disk is not what is tested, and slow
    chance = random.Random(5)
    for case in range(400):
        already = {step["name"] for step in STEPS if chance.random() < 0.2}
        world, place = World(already), tmp_path / str(case)
        for attempt in range(chance.randrange(1, 4)):
            world.moments = chance.randrange(0, 18)
            with contextlib.suppress(Killed):
                work(place, world, f"run-{attempt if chance.random() < 0.5 else 0}")
        world.moments = 10**6
        locked(place, world, "last").close(by="last")
        assert world.changed == already, f"case {case}"
        assert Window(str(place / "window")).read() is None


def test_a_run_opens_no_window_over_that_of_a_dead_one(tmp_path):
    world = World(set(), moments=5)
    with pytest.raises(Killed):
        work(tmp_path, world, "aaa")
    world.moments = 10**6
    one = locked(tmp_path, world, "bbb")
    one.open("shop", "bbb", seconds=60, secrets={})
    assert world.changed == set()
    assert one.opened()["run"] == "bbb"


def test_a_run_that_was_refused_the_lock_leaves_the_window_of_another_that_works_in_it(tmp_path):
    world = World(set())
    state, _ = take(str(tmp_path / "change"), {**RUN, "id": "aaa"}, place={}, lease_seconds=9999)
    one = keeper(tmp_path, world, number=state["number"], owner="aaa")
    one.open("shop", "aaa", seconds=60, secrets={})
    one.do(STEPS)
    with pytest.raises(LockError):
        take(str(tmp_path / "change"), {**RUN, "id": "bbb"}, place={}, lease_seconds=9999)
    refused = keeper(tmp_path, world)
    assert "window of run aaa is left open" in refused.close(by="bbb")
    with pytest.raises(WindowError, match="window of run aaa is left open"):
        refused.open("shop", "bbb", seconds=60, secrets={})
    assert world.changed == {step["name"] for step in STEPS}
    one.close(by="aaa")
    assert (world.changed, one.journal.read()) == (set(), None)


def test_what_cannot_be_undone_stays_in_the_journal_and_all_the_rest_is_undone(tmp_path):
    world = World(set())
    one = keeper(tmp_path, world)
    one.open("shop", "aaa", seconds=60, secrets={})
    one.do(STEPS)
    world.broken = {"queue"}
    with pytest.raises(WindowError, match="not everything was undone: thing queue: it does not answer"):
        one.close(by="aaa")
    assert world.changed == {"queue"}
    world.broken = set()
    one.close(by="aaa")
    assert world.changed == set()


def test_what_a_run_could_not_undo_the_host_undoes_at_its_next_look(tmp_path):
    world, lock = World(set()), str(tmp_path / "change")
    one = locked(tmp_path, world, "aaa")
    one.open("shop", "aaa", seconds=3600, secrets={})
    one.do(STEPS)
    world.broken = {"services"}
    with pytest.raises(WindowError, match="The host tries again by itself"):
        one.close(by="aaa")
    with pytest.raises(WindowError, match="The host tries again by itself"):
        look_after(one.journal.directory, lock, world, say=print)
    world.broken = set()
    assert look_after(one.journal.directory, lock, world, say=print) == "closed"
    assert (world.changed, one.journal.read()) == (set(), None)


def test_who_was_taken_over_does_nothing_more(tmp_path):
    world, directory = World(set()), str(tmp_path / "change")
    state, _ = take(directory, {**RUN, "id": "aaa"}, place={}, lease_seconds=0)
    one = keeper(tmp_path, world, number=state["number"], owner="aaa")
    one.open("shop", "aaa", seconds=60, secrets={})
    take(directory, {**RUN, "id": "bbb"}, place={}, lease_seconds=60)
    with pytest.raises(LockError, match="taken over"):
        one.do(STEPS)
    assert world.changed == set()


def test_the_host_closes_a_window_that_has_lasted_too_long_and_says_so(tmp_path):
    world, lock = World(set()), str(tmp_path / "change")
    take(lock, {**RUN, "id": "aaa"}, place={}, lease_seconds=9999)
    directory = str(tmp_path / "window")
    one = keeper(tmp_path, world)
    assert look_after(directory, lock, world, say=lambda _line: None) == "none"
    one.open("shop", "aaa", seconds=60, secrets={})
    one.do(STEPS)
    assert look_after(directory, lock, world, say=lambda _line: None) == "open"
    one.prolong(0)
    assert look_after(directory, lock, world, say=lambda _line: None) == "closed"
    assert world.changed == set()
    assert Window(directory).ended("aaa")["closed_by"] == "the host itself"
    assert _window_guard.take(lock, {**RUN, "id": "ccc"}, place={}, lease_seconds=1)[1] == "free"


@pytest.mark.parametrize(
    ("over", "later", "expected"),
    [
        pytest.param(3600, 0, "busy", id="it has just taken the lock"),
        pytest.param(0, 300, "busy", id="it may be closing the window"),
        pytest.param(0, 900, "closed", id="it did not close the window"),
    ],
)
def test_the_host_closes_a_window_beside_a_run_that_took_over_and_died_too(
    tmp_path, monkeypatch, over, later, expected
):
    world, lock = World(set()), str(tmp_path / "change")
    one = keeper(tmp_path, world)
    one.open("shop", "aaa", seconds=-over, secrets={})
    one.do(STEPS)
    state, _ = take(lock, {**RUN, "id": "bbb"}, place={}, lease_seconds=21600)
    boot, ticks, at = now()
    monkeypatch.setattr(_window_guard, "now", lambda: Clock(boot, ticks + later, at + later))
    assert look_after(one.journal.directory, lock, world, say=print) == expected
    assert world.changed == (set() if expected == "closed" else {step["name"] for step in STEPS})
    assert look(lock) == state, "the lock is no matter of the window"


def test_who_closes_a_window_beside_another_leaves_the_one_that_is_opened_next(tmp_path):
    world = World(set())
    slow = keeper(tmp_path, world)
    slow.open("shop", "aaa", seconds=0, secrets={})
    slow.do(STEPS)
    undo = world.undo

    def meanwhile(step: dict[str, Any], secrets: Any) -> None:
        world.undo = undo
        undo(step, secrets)
        work_on = locked(tmp_path, world, "bbb")
        work_on.open("shop", "bbb", seconds=60, secrets={})
        work_on.do(STEPS)

    world.undo = meanwhile
    slow.close(by="the host itself", ended=True)
    assert (slow.opened()["run"], world.changed) == ("bbb", {step["name"] for step in STEPS})


def test_the_guard_of_a_dead_window_leaves_that_of_the_next_one_in_place(tmp_path):
    lock, asked = str(tmp_path / "change"), []
    one = locked(tmp_path, World(set()), "bbb")  # opened after the guard had closed the one before
    one.open("shop", "bbb", seconds=60, secrets={})

    def systemctl(*words: str, **_more: Any) -> str:
        with pytest.raises(LockError), step(lock, 0):
            pass  # nobody opens one meanwhile
        asked.append(words[0])
        return ""

    engine = tmp_path / _window_guard.ENGINE
    engine.parent.mkdir(parents=True)
    engine.touch()
    _window_guard.dismiss(systemctl, one.journal, lock, root=str(tmp_path))
    assert (asked, engine.exists()) == ([], True)
    one.close(by="bbb")
    _window_guard.dismiss(systemctl, one.journal, lock, root=str(tmp_path))
    assert (asked, engine.exists()) == (["daemon-reload"], False)


def test_the_host_leaves_a_window_to_the_run_that_has_taken_over(tmp_path):
    world, lock = World(set()), str(tmp_path / "change")
    one = keeper(tmp_path, world)
    one.open("shop", "aaa", seconds=0, secrets={})
    one.do(STEPS)
    take(lock, {**RUN, "id": "bbb"}, place={}, lease_seconds=9999)
    assert look_after(str(tmp_path / "window"), lock, world, say=lambda _line: None) == "busy"
    assert world.changed == {step["name"] for step in STEPS}
