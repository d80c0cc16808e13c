# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys at Vercel from build to ledger, over HTTP, against a stub of the documented API whose deployments answer too."""

from __future__ import annotations

import importlib.util
import json
import random
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _vercel_change as change
from ansible_collections.runbook.ops.plugins.module_utils import _vercel_gate as gate
from ansible_collections.runbook.ops.plugins.module_utils import _vercel_order as order
from ansible_collections.runbook.ops.plugins.module_utils import _vercel_parts as parts
from ansible_collections.runbook.ops.plugins.module_utils import _watch
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._deployment import Deployment
from ansible_collections.runbook.ops.plugins.module_utils._deployment_parts import Task
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Wish, plan
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import DeploymentError, TroubleError
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import events, good
from ansible_collections.runbook.ops.plugins.module_utils._vercel import VercelError
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import Vercel
from ansible_collections.runbook.ops.plugins.module_utils._vercel_watch import Waiting

STUB = Path(__file__).parents[3] / "stubs" / "vercel" / "vercel.py"
specification = importlib.util.spec_from_file_location("vercel_sites", STUB)
stub = importlib.util.module_from_spec(specification)
specification.loader.exec_module(stub)

FIRST, A, F = "0" * 40, "a" * 40, "f" * 40
LIMITS = {
    "watch_seconds": 0.1,
    "hotfix_watch_seconds": 0.05,
    "watch_requests": 2,
    "rollback_error_percent": 5,
    "rollback_slowdown_percent": 50,
}


class KilledError(BaseException):
    """As by kill -9: nothing catches it."""


class Shop:
    """A project with a first version in production, and whoever deploys it from a machine."""

    def __init__(self, root: Path) -> None:
        self.project = stub.Project("shop", "t0ken")
        self.project.sites = True
        self.project.deploy(FIRST, ready=True)
        self.api, self.public = stub.serve(self.project), stub.production(self.project, 0)
        for server in (self.api, self.public):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.public.server_address[1]}"
        self.paths = DeployPaths("app", str(root / "deploy"))
        self.paths.make()
        self.left: int | None = None  # requests and noted moments until it is killed
        self.warnings: list[str] = []
        self.runs = 0
        self.limits = dict(LIMITS)

    def close(self) -> None:
        for server in (self.api, self.public):
            server.shutdown()
            server.server_close()

    def tick(self, _point: str = "") -> None:
        if self.left is not None:
            if self.left == 0:
                raise KilledError
            self.left -= 1

    def fetch(self, method, url, headers, body):
        self.tick()
        request = urllib.request.Request(url, data=body.encode() if body else None, headers=headers, method=method)  # noqa: S310  # the stub
        try:
            with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
                answer = response.status, response.read().decode(), ""
        except urllib.error.HTTPError as exc:
            answer = exc.code, exc.read().decode(), exc.reason
        self.tick()
        return answer

    def vercel(self) -> Vercel:
        api = f"http://127.0.0.1:{self.api.server_address[1]}"
        return Vercel(self.fetch, project="shop", team=None, token="t0ken", api=api)

    def described(self) -> dict:
        return {
            "name": "app",
            "manager": "vercel",
            "vercel": {"project": "shop", "token": "t0ken", "api": "", "bypass": None},
            "health": {"url": f"{self.url}/health", "status": 200},
            "deploy": {
                "url": f"{self.url}/health",
                "smoke": [{"request": "/api/tasks", "status": 200, "json": None}],
                "version": {"url": f"{self.url}/api/version", "json": "commit", "is": "commit"},
                "start_timeout_seconds": 0.2,
                "stable_seconds": 0,
            },
        }

    def parts(self, wanted: str | None = None) -> parts.VercelParts:
        module = SimpleNamespace(warn=self.warnings.append)
        task = Task(self.described(), self.limits, self.paths, Fence("", 0, ""), f"run-{self.runs}", False, module)
        found = parts.VercelParts(task, wanted, vercel=self.vercel(), waiting=WAITING)
        wishes = found._watch_wishes
        found._watch_wishes = lambda **late: wishes(**late)._replace(pause_seconds=0.01)
        return found

    def to(self, state: str, release: str | None = None, *, parked: bool = False) -> Deployment:
        found = Deployment(
            self.parts(release), Wish(state, release, parked, ends=False), run=f"run-{self.runs}", reason="the test"
        )
        found.outcome = found.run()
        return found

    def build(self, commit: str, *, rebuild: bool = False) -> str:
        wish = change.Wish("deployed", commit, "", True, "the test", 60, rebuild=rebuild)
        return change.run(self.vercel(), wish, WAITING, check_mode=False)["deployment"]["id"]

    def deploy(self, commit: str, *, rebuild: bool = False) -> Deployment:
        """As the playbook: the lock's run ends what was cut off, then it is built, staged and promoted."""
        self.runs += 1
        self.to("recovered")
        release = self.build(commit, rebuild=rebuild)
        self.to("staged", release)
        return self.to("promoted", release)

    def serves(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/api/version", timeout=5) as response:  # noqa: S310
                return json.load(response)["commit"]
        except urllib.error.HTTPError as exc:
            return json.load(exc)["commit"]

    def good(self) -> list[str]:
        return good(events(self.paths))


WAITING = Waiting(time.monotonic, lambda seconds: time.sleep(min(seconds, 0.01)))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    found = Shop(tmp_path)
    monkeypatch.setattr(gate, "PROOF_SECONDS", 0.2)
    monkeypatch.setattr(order, "DOUBT_SECONDS", 0.1)
    monkeypatch.setattr(order, "ORDER_SECONDS", 0.3)
    monkeypatch.setattr(_watch, "NOISE_SECONDS", 0.3)  # other work on this machine is no slowdown
    yield found
    found.close()


def test_a_commit_is_built_asked_served_watched_and_marked_good_once(shop):
    done = shop.deploy(A)
    assert (shop.serves(), shop.project.live, done.outcome) == (A, "dpl_2", "promoted")
    assert shop.good() == ["dpl_1", "dpl_2"]
    assert shop.parts().journal.read() is None
    again = shop.deploy(A)
    assert (again.outcome, len(shop.project.deployments)) == ("unchanged", 2)


def test_it_is_the_same_once_more_before_anything_was_deployed_by_us(shop):
    assert shop.deploy(FIRST).outcome == "unchanged"
    assert len(shop.project.deployments) == 1


def test_what_is_staged_gets_no_request_and_waits_for_its_promotion(shop):
    release = shop.build(A)
    assert shop.to("staged", release, parked=True).outcome == "staged"
    assert (shop.serves(), shop.project.live) == (FIRST, "dpl_1")
    assert shop.to("recovered").outcome == "unchanged"
    assert shop.to("promoted").outcome == "promoted"
    assert shop.serves() == A


@pytest.mark.parametrize(
    ("commit", "why"),
    [
        pytest.param("b" * 40, "did not pass the gate at http.*HTTP 500", id="never healthy"),
        pytest.param("c" * 40, "is answered by '0000000000", id="another version answers"),
        pytest.param("d" * 40, "the domains lead to dpl_2, but .* HTTP 500.*back on dpl_1", id="fails where users ask"),
        pytest.param("e" * 40, "95th percentile .*back on dpl_1", id="slow where users ask"),
    ],
)
def test_a_bad_version_does_not_stay(shop, monkeypatch, commit, why):
    if commit[0] == "d":
        monkeypatch.setattr(gate, "PROOF_SECONDS", 60)  # errors are not waited out
    began = time.monotonic()
    shop.limits["watch_seconds"] = 1.7 if commit[0] == "e" else 0.1  # it takes some answers to be slow
    with pytest.raises(DeploymentError, match=why) as raised:
        shop.deploy(commit)
    assert raised.value.outcome == "rolled_back"
    assert time.monotonic() - began < 50
    assert (shop.serves(), shop.project.live) == (FIRST, "dpl_1")
    assert shop.good() == ["dpl_1"]
    assert shop.parts().journal.read() is None


def test_a_build_that_fails_leaves_all_as_it_was(shop):
    shop.project.outcome = "ERROR"
    with pytest.raises(VercelError, match="ended as ERROR"):
        shop.deploy(A)
    assert (shop.serves(), shop.good()) == (FIRST, [])


def test_the_way_back_by_itself_says_that_pushes_are_not_served_any_more(shop):
    release = shop.build("d" * 40)
    done = Deployment(shop.parts(release), Wish("promoted", release, ends=False), run="run")
    with pytest.raises(DeploymentError):
        done.run()
    (told,) = [one for one in done.checks if "auto_assign" in one["id"]]
    assert (told["status"], shop.project.follows) == ("warning", False)
    assert "Deploy a release that is good" in told["remedy"]
    shop.deploy(A)
    assert shop.project.follows is True


def test_a_rollback_goes_to_the_last_good_one_and_a_second_to_none(shop):
    shop.deploy(A)
    shop.deploy(F)
    done = shop.to("rolled_back")
    assert (done.outcome, shop.serves(), shop.good()) == ("rolled_back", A, ["dpl_1", "dpl_2"])
    assert [one["status"] for one in done.checks if "auto_assign" in one["id"]] == ["warning"]
    assert "retired" not in {one["event"] for one in events(shop.paths)}  # nothing is stopped there
    assert shop.to("rolled_back").outcome == "rolled_back"
    assert shop.serves() == FIRST
    with pytest.raises(DeploymentError, match="no other release that is known to be good"):
        shop.to("rolled_back")


def test_what_vercel_will_not_roll_back_to_is_promoted(shop):
    shop.deploy(A)
    shop.project.refuses = True
    assert shop.to("rolled_back").outcome == "rolled_back"
    assert (shop.serves(), shop.project.follows) == (FIRST, True)
    assert shop.warnings == [
        "Vercel refused to roll back (402 payment_required Not on this plan); it was promoted instead"
    ]


def test_a_rollback_right_after_a_way_back_stays(shop):
    with pytest.raises(DeploymentError):
        shop.deploy("d" * 40)
    assert shop.to("rolled_back").outcome == "unchanged"
    assert shop.serves() == FIRST


def test_what_was_pushed_past_us_is_gone_back_from_to_the_last_good_one(shop):
    shop.deploy(A)
    shop.project.deploy("b" * 40, ready=True)  # served by itself, and sick
    done = shop.to("rolled_back")
    assert (done.outcome, shop.serves(), shop.project.live) == ("rolled_back", A, "dpl_2")
    assert any("not healthy" in one for one in shop.warnings)


def test_the_same_commit_built_once_more_is_no_way_back(shop):
    shop.deploy(A)
    change.run(shop.vercel(), change.Wish("redeployed", "", "", False, "a variable", 60), WAITING, check_mode=False)
    assert (shop.project.live, shop.serves()) == ("dpl_3", A)
    shop.to("rolled_back")
    assert (shop.project.live, shop.serves()) == ("dpl_1", FIRST)


def test_a_redeployment_after_a_rollback_serves_and_says_that_pushes_are_served_again(shop):
    shop.deploy(A)
    shop.to("rolled_back")
    wish = change.Wish("redeployed", "", "", False, "a variable", 60)
    for check_mode, told in ((True, "will be served again"), (False, "is served again")):
        (check,) = change.run(shop.vercel(), wish, WAITING, check_mode=check_mode)["checks"]
        assert (check["status"], check["detail"].endswith(told)) == ("warning", True)
    assert (shop.project.live, shop.serves(), shop.project.follows) == ("dpl_3", FIRST, True)
    assert [one["status"] for one in change.run(shop.vercel(), wish, WAITING, check_mode=False)["checks"]] == ["ok"]


def test_who_has_switched_automatic_assignment_off_is_not_warned_of_it(shop):
    shop.deploy(A)
    shop.project.follows = False
    vercel = shop.vercel()
    vercel.look()
    (check,) = change.follow_checks(vercel)
    assert (check["status"], check["value"]) == ("ok", False)
    assert "is off in the project's settings" in check["detail"]


def test_a_commit_that_was_built_with_wrong_variables_is_built_once_more_where_that_is_asked_for(shop):
    maintenance = {"key": "MAINTENANCE_MODE", "target": ["production"], "id": "e", "value": "1", "type": "plain"}
    shop.project.variables = [maintenance]
    with pytest.raises(DeploymentError, match=r"did not pass the gate.*deploy_rebuild=true"):
        shop.deploy(A)
    shop.project.variables = []
    with pytest.raises(DeploymentError, match="did not pass the gate"):
        shop.deploy(A)
    assert len(shop.project.deployments) == 2
    assert shop.deploy(A, rebuild=True).outcome == "promoted"
    assert (shop.serves(), shop.project.live, len(shop.project.deployments)) == (A, "dpl_3", 3)


def test_a_release_that_vercel_has_no_more_is_no_target(shop):
    shop.deploy(A)
    shop.deploy(F)
    shop.project.deployments[1]["readyState"] = "DELETED"
    shop.to("rolled_back")
    assert shop.serves() == FIRST
    with pytest.raises(DeploymentError, match=r"any more"):
        shop.to("rolled_back", "dpl_2")
    assert shop.serves() == FIRST


def test_a_release_of_which_vercel_does_not_tell_is_not_taken_for_gone(shop):
    shop.deploy(A)
    for _number in range(25):  # failed builds push it out of the newest
        shop.project.finish(shop.project.deploy("7" * 40, ready=False), "ERROR")
    shop.deploy(F)
    found = shop.parts()
    asked = found._vercel.deployment

    def deployment(name):
        if name == "dpl_2":
            raise VercelError("Vercel did not answer")
        return asked(name)

    found._vercel.deployment = deployment
    with pytest.raises(DeploymentError, match="did not answer") as raised:
        Deployment(found, Wish("rolled_back", None, ends=False), run="run").run()
    assert (raised.value.outcome, shop.serves()) == ("refused", F)
    assert shop.to("rolled_back").outcome == "rolled_back"
    assert shop.serves() == A


def begin(shop: Shop, commit: str, *, killed_in: str) -> str:
    """Deploy ``commit``, and be killed."""
    release = shop.build(commit)
    found = shop.parts(release)

    def killed(*_arguments):
        raise KilledError

    setattr(found, killed_in, killed)
    with pytest.raises(KilledError):
        Deployment(found, Wish("promoted", release, ends=False), run="killed", reason="the test").run()
    return release


@pytest.mark.parametrize("killed_in", ["switch", "watch"])
def test_what_was_pushed_past_a_deploy_that_was_cut_off_is_left_alone(shop, killed_in):
    shop.deploy(A)
    release = begin(shop, F, killed_in=killed_in)
    shop.project.deploy("9" * 40, ready=True)
    done = shop.to("recovered")
    assert (shop.serves(), shop.project.follows, done.outcome) == ("9" * 40, True, "recovered")
    assert "somebody else led the requests to" in done.notes[0]
    assert shop.parts().journal.read() is None
    assert release not in shop.good()
    assert shop.to("rolled_back").outcome == "rolled_back"  # one that is asked for goes back from it
    assert shop.serves() == A


def test_what_was_pushed_past_a_way_back_that_was_cut_off_is_left_alone(shop):
    shop.deploy(A)
    release = begin(shop, F, killed_in="watch")
    journal = shop.parts().journal
    journal.write(journal.read(), "returning", reason="it did worse")
    shop.project.deploy("9" * 40, ready=True)
    shop.to("recovered")
    assert (shop.serves(), shop.project.follows) == ("9" * 40, True)
    assert release not in shop.good()


def test_a_release_that_somebody_has_gone_back_from_is_not_marked_good(shop):
    shop.deploy(A)
    release = begin(shop, F, killed_in="watch")
    shop.project.order("rollback", "dpl_2")
    done = shop.to("recovered")
    assert (shop.serves(), release in shop.good()) == (A, False)
    assert "does not serve, and was not marked good" in done.notes[0]
    assert shop.to("rolled_back").outcome == "unchanged"  # it is done already


def test_what_is_pushed_in_the_midst_of_a_watch_is_not_taken_for_the_release(shop):
    shop.deploy(A)
    release = shop.build(F)
    found = shop.parts(release)
    watch = found.watch

    def watched(*arguments):
        shop.project.deploy("9" * 40, ready=True)
        return watch(*arguments)

    found.watch = watched
    with pytest.raises(DeploymentError, match=r"dpl_4 serves, .*not marked good") as raised:
        Deployment(found, Wish("promoted", release, ends=False), run="run").run()
    assert (raised.value.outcome, shop.serves()) == ("not_rolled_back", "9" * 40)
    assert release not in shop.good()
    assert shop.parts().journal.read() is None


def test_an_order_whose_answer_is_lost_is_looked_for(shop):
    shop.project.lost = 1
    assert shop.deploy(A).outcome == "promoted"
    assert "the answer was lost" in shop.warnings[0]


def test_an_order_that_vercel_carries_out_late_is_ended_by_the_next_run(shop):
    release = shop.build(A)
    shop.project.stuck = True
    with pytest.raises(DeploymentError, match="the next run ends it") as raised:
        shop.to("promoted", release)
    assert raised.value.outcome == "not_rolled_back"
    shop.project.stuck = False
    shop.project.request["jobStatus"] = "succeeded"
    shop.project.lead_to(shop.project.deployments[1])
    shop.to("recovered")
    assert (shop.serves(), shop.good()) == (A, ["dpl_1", "dpl_2"])


def test_while_vercel_does_not_answer_nothing_is_touched(shop):
    release = shop.build(A)
    shop.project.down = True
    with pytest.raises(DeploymentError, match=r"vercel-status\.com") as raised:
        shop.to("promoted", release)
    assert raised.value.outcome == "refused"


@pytest.mark.parametrize(
    ("hotfix", "late", "seconds"),
    [(False, 0, 300), (True, 0, 900), (False, 3600, 300)],
    ids=["as described", "a hotfix, longer here", "long after the switch"],
)
def test_it_is_watched_for_as_long_as_the_description_says(shop, hotfix, late, seconds):
    limits = {**LIMITS, "watch_seconds": 300, "hotfix_watch_seconds": 900}
    task = Task(shop.described(), limits, shop.paths, Fence("", 0, ""), "run", hotfix, None)
    wishes = parts.VercelParts(task, vercel=shop.vercel())._watch_wishes(late=late)
    assert (wishes.seconds, wishes.error_percent, wishes.slowdown_percent) == (seconds, 5, 50)
    assert [one["url"].rpartition("/")[2] for one in wishes.requests] == ["health", "tasks"]


def test_a_token_or_an_address_that_is_missing_is_said(shop):
    described = shop.described()
    for part, key, why in (("vercel", "token", "no vercel.token"), ("deploy", "url", "no deploy.url")):
        service = {**described, part: {**described[part], key: None}}
        with pytest.raises(TroubleError, match=why):
            parts.VercelParts(Task(service, LIMITS, shop.paths, Fence("", 0, ""), "", False, None))


def test_a_prediction_says_what_will_be_done_and_asks_only(shop):
    seen = Deployment(shop.parts("not-built"), Wish("promoted", "not-built", ends=False), run="").observe()
    steps = plan(seen, Wish("promoted", "not-built", ends=False))
    assert steps == ["adopt", "prepare", "gate", "switch", "watch", "mark"]
    assert (len(shop.project.deployments), shop.good()) == (1, [])


def test_the_releases_are_those_that_one_can_go_to(shop):
    shop.deploy(A)
    shop.to("staged", shop.build(F), parked=True)
    told = shop.parts().releases()
    assert [(one["id"], one["good"]) for one in told] == [("dpl_3", False), ("dpl_2", True), ("dpl_1", True)]
    assert told[1]["commit"] == A


@pytest.mark.parametrize("bad", [False, True], ids=["a good version", "one that goes back"])
def test_killed_anywhere_one_whole_version_serves_and_the_next_run_converges(shop, monkeypatch, bad):
    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._deploy_journal.reached", shop.tick)
    monkeypatch.setattr(order, "reached", shop.tick)
    monkeypatch.setattr(parts, "reached", shop.tick)
    shop.deploy(A)
    chosen, kills, point = random.Random(5), 0, 0
    while True:
        commit = f"{'d' if bad else 'f'}{chosen.randrange(1 << 60):039x}"
        shop.left = point
        try:
            shop.deploy(commit)
            shop.left = None
            break
        except KilledError:
            kills += 1
        except DeploymentError:
            shop.left = None
            break
        shop.left = None
        assert shop.serves()  # answered, and by one of them whole
        wish = chosen.choice(["the same", "another", "recover", "back"])
        if wish == "another":
            expected = f"{chosen.randrange(1 << 60):040x}"
            shop.deploy(expected)
            assert shop.serves() == expected
        elif wish == "the same" and not bad:
            shop.deploy(commit)
            assert shop.serves() == commit
        else:
            shop.runs += 1
            shop.to("recovered")
            if wish == "back":
                shop.to("rolled_back")
            assert not bad or shop.serves() != commit
        entry = shop.parts().journal.read()
        assert entry is None or entry.parked
        assert shop.project.live in shop.good()
        point += chosen.choice([2, 3, 4])
    assert kills > 15
