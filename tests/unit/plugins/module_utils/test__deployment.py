# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
from contextlib import nullcontext, suppress
from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry, Journal
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._deployment import Deployment
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live, Wish, came_back
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import (
    DeploymentError,
    StrandedError,
    TroubleError,
)
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import good, last_good

BAD = {"exits": "start", "sick": "gate", "slow": "watch"}  # what a version is like, and which part finds it


class KilledError(BaseException):
    """As by kill -9: nothing catches it."""


class MemoryJournal:
    """As Journal, without a disk."""

    def __init__(self, world):
        self.world, self.entry = world, None

    def read(self):
        return self.entry

    def write(self, entry, phase, **more):
        self.world.tick()
        self.entry = entry._replace(phase=phase, **more)
        self.world.tick()
        return self.entry

    def clear(self):
        self.world.tick()
        self.entry = None
        self.world.tick()


class World:
    """A host with two slots and a proxy. What is done takes effect in one instant; it can be killed around each."""

    def __init__(self, *, beside=True):
        self.beside = beside
        self.slots = {"blue": "r0", "green": None}
        self.link = "blue"
        self.live = Live("blue", "r0")
        self.events = [{"release": "r0", "event": "live"}, {"release": "r0", "event": "good"}]
        self.journal = MemoryJournal(self)
        self.ticks = None
        self.broken_proxy = False
        self.taken = True  # the proxy is led by our files
        self.fails_after_the_switch = self.unmeasurable = False
        self.run, self.now = "run", 1e9
        self.spoilt = set()  # releases that start no more
        self.saved = dict(self.slots)  # what a boot brings back
        self.drained = []
        self.served_by_none = 0

    def tick(self):
        if self.ticks is not None:
            if self.ticks == 0:
                raise KilledError
            self.ticks -= 1

    def like(self, release, part):
        if part == "start" and release in self.spoilt:
            raise TroubleError(f"{release} does not start any more")
        if BAD.get(release.rstrip("0123456789")) == part:
            raise TroubleError(f"{release} fails at {part}")

    def look(self):
        return self.live, None, dict(self.slots), {"blue": 3000, "green": 3001}

    def last_good(self, but):
        return last_good(self.events, but=but)

    def came_back(self, live):
        return came_back(self.events, live, run=self.run, now=self.now)

    def settle(self):
        return self.live

    def start(self, slot, release, *, fresh):
        del fresh
        runs = self.slots[self.live.slot] == self.live.release
        assert slot != self.live.slot or not self.beside or not runs, "a slot that is live is never started anew"
        self.tick()
        self.slots[slot] = None
        self.tick()
        self.like(release, "start")
        self.slots[slot] = release
        self.tick()

    def gate(self, slot, release, *, standing):
        del standing
        assert self.slots[slot] == release
        self.like(release, "gate")
        return []

    def before(self):
        self.tick()
        if self.unmeasurable:
            raise TroubleError("/var is full")

    def switch(self, slot, release):
        return self._switch(slot, release) if self.beside else self._swap(slot, release)

    def _switch(self, slot, release):
        assert self.slots[slot] == release, "requests only go where it runs"
        if self.broken_proxy:
            raise TroubleError("nginx does not want to")
        self.tick()
        self.live = Live(slot, release)  # the rename
        self.tick()
        if self.fails_after_the_switch:
            self.fails_after_the_switch = False
            raise TroubleError("/etc is full")
        return []

    def _swap(self, slot, release):
        self.tick()
        self.slots[slot] = None
        try:
            self.start(slot, release, fresh=True)
            self.gate(slot, release, standing=False)
        except TroubleError as exc:
            try:
                self.start(slot, self.live.release, fresh=False)
            except TroubleError as worse:
                raise StrandedError(f"{exc}; and {worse}") from exc
            raise
        self.live = Live(slot, release)
        self.tick()
        return []

    def watch(self, slot, switched_at):
        del switched_at
        self.tick()
        try:
            self.like(self.slots[slot], "watch")
        except TroubleError as exc:
            return str(exc), []
        return None, []

    def drain(self, slot):
        assert slot != self.live.slot
        self.drained.append(slot)

    def stop(self, slot):
        assert slot != self.live.slot, "what is live is never stopped"
        self.tick()
        self.slots[slot] = None
        self.tick()

    def note(self, event, release, **more):
        self.tick()
        at = datetime.fromtimestamp(self.now, timezone.utc).isoformat()
        self.events.append({"event": event, "release": release, "at": at, "run": self.run, **more})
        self.tick()

    def save(self):
        self.tick()
        self.saved = dict(self.slots)
        self.tick()

    def give_back(self, *, check_mode):
        taken = self.taken
        if not check_mode and taken:
            self.tick()
            if self.broken_proxy:
                raise TroubleError("nginx does not take it")
            self.taken = False
            self.tick()
        return ["give"] if taken else []

    def reboot(self):
        self.slots = dict(self.saved)

    def call(self, state, release=None, **more):
        wish = Wish(state, release, beside=self.beside, **more)
        deployment = Deployment(self, wish, run=self.run)
        return deployment.run()

    def serves(self):
        return self.slots[self.live.slot]


def test_a_release_is_staged_beside_the_old_one_and_then_promoted():
    world = World()
    assert world.call("staged", "r1") == "staged"
    assert (world.serves(), world.slots["green"]) == ("r0", "r1")
    assert world.call("promoted") == "promoted"
    assert world.live == Live("green", "r1")
    assert world.slots["blue"] == "r0", "the way back takes a moment"
    assert good(world.events) == ["r0", "r1"]
    assert world.journal.read() is None


@pytest.mark.parametrize("state", ["staged", "promoted", "recovered", "retired"])
def test_a_second_call_has_nothing_to_do(state):
    world = World()
    world.call("promoted", "r1", keep_standing=False)
    before = dict(world.slots), world.live, list(world.events)
    assert world.call(state, "r1" if state in ("staged", "promoted") else None) == "unchanged"
    assert before == (world.slots, world.live, world.events)


def test_at_the_end_of_all_deploys_the_proxy_is_given_back_and_what_serves_serves():
    world = World()
    world.call("promoted", "r1")
    world.call("staged", "r2", parked=True)
    before = dict(world.slots), world.live, list(world.events), world.journal.read()
    assert world.call("absent") == "absent"
    assert world.call("absent") == "unchanged"
    assert before == (world.slots, world.live, world.events, world.journal.read())


def test_what_was_cut_off_is_ended_before_the_proxy_is_given_back():
    world = World()
    world.call("staged", "r1")
    assert world.call("absent") == "absent"
    assert world.slots == {"blue": "r0", "green": None}


def test_a_proxy_that_cannot_be_given_back_leaves_all_as_it_was():
    world = World()
    world.broken_proxy = True
    with pytest.raises(DeploymentError, match="r0 serves as before") as told:
        world.call("absent")
    assert told.value.outcome == "refused"
    assert world.taken


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("beside", [True, False], ids=["beside", "in place"])
def test_a_bad_version_does_not_stay(kind, beside):
    world = World(beside=beside)
    with pytest.raises(DeploymentError) as told:
        world.call("promoted", f"{kind}1")
    assert told.value.outcome == "rolled_back"
    assert "r0" in str(told.value)
    assert world.serves() == "r0"
    assert f"{kind}1" not in world.slots.values()
    assert world.journal.read() is None
    assert good(world.events) == ["r0"]


def test_the_old_one_is_drained_and_stopped_where_it_is_not_to_stand():
    world = World()
    world.call("promoted", "r1", keep_standing=False)
    assert world.slots == {"blue": None, "green": "r1"}
    assert world.drained == ["blue"]


def test_a_rollback_goes_to_the_last_good_one_and_stops_what_it_left():
    world = World()
    world.call("promoted", "r1")
    world.call("promoted", "r2")
    assert world.call("rolled_back") == "rolled_back"
    assert world.serves() == "r1"
    assert list(world.slots.values()).count(None) == 1
    assert good(world.events) == ["r0", "r1"]


def test_a_second_rollback_goes_on_to_the_one_before():
    world = World()
    for name in ("r1", "r2"):
        world.call("promoted", name)
    world.call("rolled_back")
    world.call("rolled_back")
    assert world.serves() == "r0"


@pytest.mark.parametrize("recovered", [True, False], ids=["ended first", "ended by the rollback"])
@pytest.mark.parametrize("after", range(1, 40))
def test_a_rollback_after_a_deploy_that_was_cut_off_leaves_the_release_before_it(after, recovered):
    world = World()
    world.call("promoted", "r1")
    world.run, world.ticks = "cut off", after
    with suppress(KilledError, DeploymentError):
        world.call("promoted", "slow2")
    world.run, world.ticks = "next", None
    begun = world.journal.read() is not None or world.events[-1].get("run") == "cut off"
    if recovered:
        world.call("recovered")
    outcome = world.call("rolled_back")
    assert (outcome, world.serves()) == (("unchanged", "r1") if begun else ("rolled_back", "r0"))
    assert world.call("rolled_back", "r0") == ("rolled_back" if begun else "unchanged"), "named, it goes further"


@pytest.mark.parametrize("later", [3600, pytest.param(-3600, id="a clock that was set back")])
def test_a_rollback_long_after_a_deploy_went_back_by_itself_goes_to_the_one_before(later):
    world = World()
    world.call("promoted", "r1")
    with pytest.raises(DeploymentError):
        world.call("promoted", "slow2")
    world.run, world.now = "next", world.now + later
    assert world.call("rolled_back") == "rolled_back"
    assert world.serves() == "r0"


def test_a_release_that_was_parked_keeps_nobody_from_a_rollback():
    world = World()
    world.call("promoted", "r1")
    world.call("staged", "r2", parked=True)
    assert world.call("rolled_back") == "rolled_back"
    assert world.serves() == "r0"


def test_without_another_good_release_a_rollback_is_refused():
    world = World()
    with pytest.raises(DeploymentError, match="no other release that is known to be good") as told:
        world.call("rolled_back")
    assert told.value.outcome == "refused"


def test_a_proxy_that_cannot_be_changed_leaves_the_old_one_and_blames_no_release():
    world = World()
    world.broken_proxy = True
    with pytest.raises(DeploymentError, match="r0 serves as before"):
        world.call("promoted", "r1")
    assert (world.serves(), world.slots["green"]) == ("r0", None)
    assert not [event for event in world.events if event["event"] == "bad"]


def test_a_switch_that_fails_after_its_effect_is_gone_back_from():
    world = World()
    world.fails_after_the_switch = True
    with pytest.raises(DeploymentError, match="/etc is full; back on r0, which serves as before") as told:
        world.call("promoted", "r1")
    assert told.value.outcome == "rolled_back"
    assert (world.serves(), world.live, world.journal.read()) == ("r0", Live("blue", "r0"), None)


def stranded(*, beside, release="slow2"):
    """Return a world in which r1 served, ``release`` is bad, and r1 starts no more."""
    world = World(beside=beside)
    world.call("promoted", "r1", keep_standing=False)
    world.spoilt = {"r1"}
    watch = world.watch

    def and_ends(slot, switched_at):
        for other in world.slots:
            if other != world.live.slot:
                world.slots[other] = None  # what stood there has ended
        return watch(slot, switched_at)

    world.watch = and_ends
    with pytest.raises(DeploymentError) as told:
        world.call("promoted", release)
    world.watch = watch
    assert told.value.outcome == "not_rolled_back"
    return world


@pytest.mark.parametrize(("beside", "release"), [(True, "slow2"), (False, "sick2"), (False, "slow2")])
@pytest.mark.parametrize(("state", "name"), [("promoted", "r3"), ("rolled_back", "r0")])
def test_a_way_back_that_fails_bars_no_other_release(beside, release, state, name):
    world = stranded(beside=beside, release=release)
    for again in (None, "r1", release):
        with pytest.raises(DeploymentError, match="name another release") as told:
            world.call("rolled_back", again)
        assert told.value.outcome == "refused"
    assert world.call(state, name) == state
    assert (world.serves(), world.live.release, world.journal.read()) == (name, name, None)
    assert release not in good(world.events)


def test_a_switch_that_was_not_made_is_undone_though_what_serves_is_ill():
    world = World()
    world.call("staged", "r1")
    world.journal.entry = world.journal.entry._replace(phase="switching")
    world.broken_proxy = True  # the proof fails
    assert world.call("recovered") == "recovered"
    assert (world.serves(), world.slots["green"], world.journal.read()) == ("r0", None, None)
    world.broken_proxy = False
    assert world.call("promoted", "r2") == "promoted"


@pytest.mark.parametrize("beside", [True, False], ids=["beside", "in place"])
@pytest.mark.parametrize("release", ["r2", "slow2"])
@pytest.mark.parametrize("after", range(40))
def test_a_host_that_boots_at_any_instant_serves_what_the_requests_go_to(after, release, beside):
    world = World(beside=beside)
    world.call("promoted", "r1")
    world.ticks = after
    with suppress(KilledError, DeploymentError):
        world.call("promoted", release)
    world.ticks = None
    world.reboot()
    if beside:
        assert world.serves() == world.live.release
    world.call("recovered")
    assert world.serves() == world.live.release
    assert good(world.events)[-1] == world.serves()


@pytest.mark.parametrize("runs", ["r0", None])
@pytest.mark.parametrize(("stands", "serves"), [("r1", "r1"), (None, "r2")])
def test_what_is_finished_is_what_runs(runs, stands, serves):
    world = World()
    for name in ("r1", "r2"):
        world.call("promoted", name)
    deploy = Entry("old", "deploy", "r2", world.live.slot, "r1", "green", "switched", 0.0, switched_at=0.0)
    world.journal.entry = deploy
    world.slots = {world.live.slot: runs, "green": stands}
    world.call("recovered")
    assert (world.live.release, world.serves()) == (serves, serves)


@pytest.mark.parametrize(("parked", "outcome", "stands"), [(True, "refused", "r1"), (False, "rolled_back", None)])
def test_a_host_that_cannot_be_measured_is_no_fault_of_the_release(parked, outcome, stands):
    world = World()
    world.call("staged", "r1", parked=parked)
    world.unmeasurable = True
    with pytest.raises(DeploymentError, match="/var is full; r0 serves as before") as told:
        world.call("promoted")
    assert told.value.outcome == outcome
    assert not [event for event in world.events if event["event"] == "bad"]
    assert world.call("recovered") == "unchanged"
    assert (world.serves(), world.slots["green"]) == ("r0", stands)
    world.unmeasurable = False
    assert world.call("promoted", "r1") == "promoted"


def test_what_is_parked_stays_until_it_is_promoted_or_another_comes():
    world = World()
    world.call("staged", "r1", parked=True)
    assert world.call("recovered") == "unchanged"
    assert world.slots["green"] == "r1"
    world.call("promoted", "r2")
    assert world.serves() == "r2"


def test_what_is_staged_by_a_run_that_is_gone_is_taken_away():
    world = World()
    world.call("staged", "r1")
    assert world.call("recovered") == "recovered"
    assert world.slots["green"] is None


@pytest.mark.parametrize("beside", [True, False], ids=["beside", "in place"])
@pytest.mark.parametrize("release", ["r1", "exits1", "sick1", "slow1"])
@pytest.mark.parametrize("after", range(40))
def test_a_deploy_killed_at_any_instant_is_ended_by_the_next_call(after, release, beside):
    world = World(beside=beside)
    world.ticks = after
    with suppress(KilledError, DeploymentError):
        world.call("promoted", release)
    if beside:
        assert world.serves() in ("r0", release), "one whole release serves, killed or not"
        assert world.serves() == world.live.release
    world.ticks = None
    switched = world.live.release == "r1"
    world.call("recovered")
    assert world.journal.read() is None
    assert world.serves() == world.live.release
    assert (world.serves() == "r1") == switched, "before the switch it is undone, after it finished"
    assert good(world.events)[-1] == world.serves()
    if release != "r1":
        assert world.serves() == "r0"
    world.call("promoted", "r9")
    assert world.serves() == "r9"


def random_step(world, rng, number):
    state = rng.choice(["staged", "promoted", "promoted", "rolled_back", "recovered", "retired"])
    names = [f"{rng.choice(['r', 'r', 'r', *BAD])}{number}"]
    if state == "rolled_back":
        names = [None, None, *good(world.events)]
    name = rng.choice(names) if state in ("staged", "promoted", "rolled_back") else None
    world.broken_proxy = rng.random() < 0.1
    world.ticks = rng.randrange(45) if rng.random() < 0.6 else None
    try:
        world.call(
            state,
            name,
            parked=rng.random() < 0.5,
            keep_standing=rng.random() < 0.5,
        )
    except DeploymentError:
        return "failed"
    except KilledError:
        return "killed"
    return "done"


@pytest.mark.parametrize("seed", range(200))
def test_whatever_is_called_and_killed_in_whatever_order_one_whole_release_serves(seed):
    rng = random.Random(seed)
    world = World()
    for number in range(1, 26):
        random_step(world, rng, number)
        assert world.slots[world.live.slot] == world.live.release
        assert world.live.release is not None
    world.ticks, world.broken_proxy = None, False
    try:
        world.call("recovered")
    except DeploymentError as exc:
        pytest.fail(f"recovery must end: {exc}")
    entry = world.journal.read()
    assert entry is None or (entry.phase == "gated" and entry.parked)
    assert good(world.events)[-1] == world.live.release
    world.call("promoted", "r99")
    assert world.serves() == "r99"


@pytest.mark.parametrize("phase", ["prepared", "switching", "returning"])
def test_the_journal_on_disk_is_read_as_it_was_written(tmp_path, phase):
    paths = DeployPaths("api", root=str(tmp_path / "state"))
    paths.make()
    journal = Journal(paths, nullcontext)
    assert journal.read() is None
    world = World()
    world.call("staged", "r1")
    entry = journal.write(world.journal.entry, phase, reason="because")
    assert journal.read() == entry
    assert (entry.phase, entry.reason) == (phase, "because")
    journal.clear()
    assert journal.read() is None
