# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a deployment on a host: slots, gate and switch are fakes, state and ledger are real files."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _change_lock, _deployment_parts, _gate
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import left_seconds
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, read_json
from ansible_collections.runbook.ops.plugins.module_utils._deployment import Deployment
from ansible_collections.runbook.ops.plugins.module_utils._deployment_parts import HostParts, Task
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live, Wish
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import (
    DeploymentError,
    StrandedError,
    TroubleError,
)
from ansible_collections.runbook.ops.plugins.module_utils._live_state import State, encode, make_live
from ansible_collections.runbook.ops.plugins.module_utils._release import Release, listed, save
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import events
from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotError, SlotSeen, Standing

DEPLOY = {"strategy": "in_place", "proxy": None, "drain_seconds": 1, "environment_file": None}
SERVICE = {"name": "api", "manager": "pm2", "user": None, "deploy": DEPLOY, "health": None}
DEPLOYMENT = {"watch_seconds": 0, "hotfix_watch_seconds": 0}


class FakeSlot:
    secrets = ()

    def __init__(self, name, port, runs=None):
        self.name, self.port, self.label, self.runs = name, port, f"api-{name}", runs
        self.started, self.broken = [], ()

    def look(self):
        return SlotSeen("running", self.runs) if self.runs else SlotSeen()

    def start(self, release, environment):
        self.started.append((release.id, dict(environment)))
        self.runs = None
        if release.id in self.broken:
            raise SlotError(f"{release.id} does not start")
        self.runs = release.id

    def stop(self, *, seconds):
        del seconds
        self.runs = None

    def remove(self):
        self.runs = None

    def standing(self):
        return Standing({"script": "server.js"}, {"SECRET": "of a person"}, "/")


class Module:
    run_command = None

    def warn(self, text):
        self.warned = text

    def get_bin_path(self, *_, **__):
        return None


def release(name, kind="git"):
    return Release(name, "api", kind, None, "c" * 40, None, None, None, {}, None, None, [], "2026-01-01", {})


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a function that makes the parts of a service with the slots that are given."""
    paths = DeployPaths("api", root=str(tmp_path / "state"), run=str(tmp_path / "run"))
    paths.make()

    def make(*slots, **more):
        monkeypatch.setattr(_deployment_parts, "slots_of", lambda *_: {slot.name: slot for slot in slots})
        monkeypatch.setattr(_deployment_parts, "save", lambda *_: None)
        monkeypatch.setattr(_gate, "wishes_of", lambda _: _gate.GateWishes())
        monkeypatch.setattr(_gate, "pass_gate", lambda *_: [])
        monkeypatch.setattr(_deployment_parts._live, "adopt", lambda paths, _, slot, name: adopted(paths, slot, name))
        for name in ("r0", "r1"):
            save(paths, release(f"20260101T000000Z-{name[1] * 12}"))
        return HostParts(
            Task({**SERVICE, **more}, DEPLOYMENT, paths, Fence("", 0, ""), "run", hotfix=False, module=Module())
        )

    def adopted(paths, slot, name):
        from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import write_json  # noqa: PLC0415

        write_json(paths.live, encode(State(make_live(slot, name))))

    make.paths = paths
    return make


OLD, NEW = "20260101T000000Z-000000000000", "20260101T000000Z-111111111111"


def promote(parts, name=NEW):
    return Deployment(parts, Wish("promoted", name, beside=parts.beside), run="run")


def test_in_place_what_a_person_started_is_taken_first_and_then_replaced(host):
    slot = FakeSlot("blue", 3000, "adopted")
    parts = host(slot)
    assert promote(parts).run() == "promoted"
    first = next(one for one in listed(host.paths) if one.kind == "adopted")
    assert parts.live() == Live("blue", NEW)
    assert slot.runs == NEW
    assert read_json(host.paths.environment(first.id)) == {"SECRET": "of a person"}
    assert slot.started == [(NEW, {"SECRET": "of a person"})], "it gets the variables that only live there"
    assert [(event["event"], event["release"]) for event in events(host.paths)][-2:] == [("live", NEW), ("good", NEW)]


def test_in_place_the_old_one_is_started_again_where_the_new_one_does_not_start(host):
    slot = FakeSlot("blue", 3000, "adopted")
    slot.broken = (NEW,)
    parts = host(slot)
    with pytest.raises(DeploymentError, match=r"does not start; adopted-[0-9a-f]+ serves as before") as told:
        promote(parts).run()
    assert told.value.outcome == "rolled_back"
    assert slot.runs.startswith("adopted-")
    assert parts.journal.read() is None


def test_in_place_it_is_said_where_neither_starts_and_the_next_call_tries_again(host):
    slot = FakeSlot("blue", 3000, "adopted")
    parts = host(slot)
    parts.adopt()
    old = parts.live().release
    slot.broken = (NEW, old)
    with pytest.raises(DeploymentError, match="cannot be started again") as told:
        promote(parts).run()
    assert told.value.outcome == "not_rolled_back"
    slot.broken = ()
    assert Deployment(parts, Wish("recovered", None, beside=False), run="next").run() == "recovered"
    assert slot.runs == old


@pytest.mark.parametrize(
    ("servers", "adopted"),
    [
        ("server 127.0.0.1:3000;", "blue"),
        ("server 127.0.0.1:3001;", "green"),
        ("server localhost:3001; server 127.0.0.1:3000 down;", "green"),
        ("server 127.0.0.1:3000; server 127.0.0.1:3001;", None),
        ("server 127.0.0.1:9000;", None),
    ],
)
def test_of_two_that_a_person_has_started_the_one_that_nginx_leads_to_is_taken(host, tmp_path, servers, adopted):
    parts = host(FakeSlot("blue", 3000, "adopted"), FakeSlot("green", 3001, "adopted"))
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"http {{ upstream app {{ {servers} }} server {{ location / {{ proxy_pass http://app; }} }} }}\n")
    parts._proxy = SimpleNamespace(config=str(conf))
    if adopted is None:
        with pytest.raises(TroubleError, match="stop the one that is not to serve"):
            parts.adopt()
        assert parts.live() is None
    else:
        assert parts.look()[1] == adopted
        assert parts.adopt().slot == adopted


def test_a_stranded_service_is_a_trouble_of_its_own():
    assert issubclass(StrandedError, TroubleError)


def test_a_stop_that_takes_all_of_its_time_does_not_outlast_the_lease(host, tmp_path, monkeypatch):
    slot, left = FakeSlot("blue", 3000, "adopted"), []
    parts, directory = host(slot), str(tmp_path / "change")
    state, _before = _change_lock.take(directory, {"id": "run", "playbook": "deploy"}, place={}, lease_seconds=300)
    parts._task = parts._task._replace(fence=Fence(directory, state["number"], "run"))
    parts._deploy = {**DEPLOY, "drain_seconds": 600}
    monkeypatch.setattr(
        slot, "stop", lambda **_: left.append(left_seconds(_change_lock.look(directory), _change_lock.now()))
    )
    parts.stop("blue")
    assert left[0] > 600 + 2 * 60


def test_a_slot_with_the_same_port_is_stopped_before_the_other_is_started(host):
    base, blue, green = FakeSlot("base", 3000, OLD), FakeSlot("blue", 3000), FakeSlot("green", 3001)
    host(base, blue, green).start("blue", NEW, fresh=False)
    assert (base.runs, blue.runs) == (None, NEW)


def test_a_release_that_is_not_whole_is_never_started(host):
    slot = FakeSlot("blue", 3000)
    parts = host(slot)
    host.paths.release(NEW).unlink()
    with pytest.raises(TroubleError, match="no whole release"):
        parts.start("blue", NEW, fresh=True)
    assert slot.started == []


def test_a_release_that_is_not_whole_any_more_is_no_way_back(host):
    parts = host(FakeSlot("blue", 3000))
    for name in (OLD, NEW):
        parts.note("good", name)
    assert parts.last_good(None) == NEW
    host.paths.release(NEW).unlink()
    assert parts.last_good(None) == OLD


@pytest.mark.parametrize(("status", "runs"), [("stopped", None), ("absent", None), ("broken", ""), ("running", OLD)])
def test_only_what_runs_well_counts_as_its_release(host, status, runs):
    slot = FakeSlot("blue", 3000)
    slot.look = lambda: SlotSeen(status, OLD)
    assert host(slot).seen() == {"blue": runs}


@pytest.mark.parametrize(
    ("since", "runs", "waited"),
    [
        pytest.param(4, OLD, [pytest.approx(6, abs=1)], id="what was on its way has the rest of its time"),
        pytest.param(60, OLD, [0.0], id="its time is over"),
        pytest.param(-60, OLD, [10], id="the clock went back: never longer than is described"),
        pytest.param(4, NEW, [], id="it runs there already"),
        pytest.param(4, None, [], id="nothing runs there"),
    ],
)
def test_a_slot_is_taken_once_the_requests_of_its_old_release_had_their_time(host, monkeypatch, since, runs, waited):
    parts = host(FakeSlot("blue", 3000, "x"), FakeSlot("green", 3001, runs))
    parts.beside, parts._deploy = True, {**DEPLOY, "drain_seconds": 10}
    at = datetime.fromtimestamp(time.time() - since, timezone.utc).isoformat(timespec="milliseconds")
    monkeypatch.setattr(
        _deployment_parts._live, "read_live", lambda _: make_live(parts.slots["blue"], OLD)._replace(since=at)
    )
    found = []
    monkeypatch.setattr(_deployment_parts._live, "drain", lambda *_, seconds: found.append(seconds))
    parts.start("green", NEW, fresh=True)
    assert found == waited
    assert parts.slots["green"].started[0][0] == NEW


@pytest.mark.parametrize(
    ("now", "other", "wrong"),
    [
        pytest.param(SlotSeen("running"), SlotSeen(), None, id="it runs"),
        pytest.param(SlotSeen("starting"), SlotSeen(), None, id="its manager has not asked it yet, as the gate has"),
        pytest.param(
            SlotSeen("ill", trouble="unhealthy"), SlotSeen("running"), "ill (unhealthy)", id="it alone is ill"
        ),
        pytest.param(SlotSeen("ill"), SlotSeen("ill"), None, id="so is the other one: it is the host"),
        pytest.param(SlotSeen("stopped"), SlotSeen("ill"), "stopped", id="it has ended"),
        pytest.param(SlotSeen("running", restarts=1), SlotSeen(), "was restarted", id="it was restarted"),
        pytest.param(
            SlotSeen("running", memory_bytes=600), SlotSeen("running"), "uses 600 B of memory", id="it alone leaks"
        ),
        pytest.param(SlotSeen("running", memory_bytes=500), SlotSeen(), None, id="it uses what it may"),
        pytest.param(
            SlotSeen("running", memory_bytes=600),
            SlotSeen("running", memory_bytes=501),
            None,
            id="the limit was too low before as well",
        ),
    ],
)
def test_a_release_is_blamed_for_what_is_wrong_with_it_alone(host, now, other, wrong):
    slots = FakeSlot("blue", 3000), FakeSlot("green", 3001)
    for slot, seen in zip(slots, (other, now)):
        slot.look = lambda seen=seen: seen
    said = host(*slots, limits={"memory_bytes": 500})._ill(slots[1], SlotSeen("running"))
    assert (wrong in said) if wrong else said is None
