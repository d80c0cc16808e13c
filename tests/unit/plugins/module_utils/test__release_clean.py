# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_clean as clean
from ansible_collections.runbook.ops.plugins.module_utils import _release_ledger as ledger
from ansible_collections.runbook.ops.plugins.module_utils._account import Ended, account_of
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, take
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._release import Release, ReleaseError, listed, save

FREE = Fence("", 0, "")
A, B, C = (f"2026010{number}T000000Z-aaaaaaaaaaaa" for number in (1, 2, 3))


class Host:
    """The state and the releases of one service."""

    def __init__(self, root: Path) -> None:
        self.paths = DeployPaths("shop", str(root / "state"), str(root / "run"))
        self.paths.make()
        self.releases = root / "srv.releases"
        self.releases.mkdir()
        self.service = {
            "name": "shop",
            "user": None,
            "path": str(root / "srv"),
            "deploy": {"kind": "git", "releases": None},
        }

    def release(self, name: str, *, image: str | None = None, kind: str = "git") -> Release:
        path = None
        if image is None:
            path = str(self.releases / name)
            Path(path).mkdir()
            Path(path, "REVISION").write_text("f" * 40)
        made = Release(name, "shop", kind, path, "f" * 40, "main", image, None, {}, None, None, [], name, {})
        save(self.paths, made)
        return made


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("deploy", "path", "found"),
    [
        ({"releases": "/srv/r/"}, "/srv/shop", "/srv/r"),
        ({"releases": None}, "/srv/shop", "/srv/shop.releases"),
    ],
)
def test_releases_lie_where_they_are_described_or_beside_the_application(deploy, path, found):
    assert clean.releases_of({"name": "shop", "deploy": deploy, "path": path}) == found


def test_without_a_path_nothing_says_where_releases_lie():
    with pytest.raises(ReleaseError, match="has no path"):
        clean.releases_of({"name": "shop", "deploy": {}, "path": None})


def test_what_a_killed_run_has_left_is_taken_away_and_nothing_else(host):
    host.release(A)
    clean.begun(host.paths, B)
    (host.releases / B).mkdir()
    (host.releases / C).mkdir()  # not ours: we never began it
    assert clean.partial(host.paths) == [B]
    assert clean.remove_partial(host.paths, host.service, FREE) == [B]
    assert sorted(one.name for one in host.releases.iterdir()) == [A, C]
    assert clean.remove_partial(host.paths, host.service, FREE) == []


def test_what_made_a_release_is_gone_before_that_is_deleted(host, monkeypatch):
    told = []
    monkeypatch.setattr(clean, "end_marked", lambda *_, **__: told.append("kill") or ([1] if len(told) < 3 else []))
    monkeypatch.setattr(clean.place, "remove", lambda *_: told.append("delete"))
    clean.forget(host.paths, account_of(None), str(host.releases), B)
    assert told == ["kill", "kill", "kill", "delete"]


@pytest.mark.parametrize("file", ["live.json", "journal.json", "slots/blue/definition.json"])
def test_a_partial_release_that_something_names_stays(host, file):
    clean.begun(host.paths, B)
    (host.releases / B).mkdir()
    place = host.paths.directory / file
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps({"release": B}))
    assert clean.remove_partial(host.paths, host.service, FREE) == []
    assert (host.releases / B).is_dir()


def test_a_release_whose_run_was_killed_right_after_it_was_whole_is_noted(host):
    host.release(A)
    clean.begun(host.paths, A)
    assert clean.remove_partial(host.paths, host.service, FREE) == []
    assert [(one["event"], one["release"]) for one in ledger.events(host.paths)] == [("built", A)]
    assert not list(host.paths.releases.glob("*.begun")) and (host.releases / A).is_dir()


def test_nothing_is_removed_while_it_is_not_known_what_serves(host):
    host.release(A)
    host.paths.live.write_text("{")
    with pytest.raises(ReleaseError, match=r"live\.json cannot be read"):
        clean.look(host.paths, host.service, 0)


def test_what_ran_before_the_first_deployment_is_no_candidate(host):
    host.release("adopted-aaaaaaaaaaaa", kind="adopted")
    host.release(A)
    assert clean.look(host.paths, host.service, 0).goes == [A]


@pytest.mark.parametrize(
    ("image", "other", "removed"),
    [
        pytest.param("shop@sha256:1", None, True, id="of a registry"),
        pytest.param("shop@sha256:1", "shop@sha256:1", False, id="another release has it"),
        pytest.param("sha256:1", None, False, id="built on this host"),
    ],
)
def test_an_image_goes_with_its_last_release_where_it_can_be_fetched_again(host, monkeypatch, image, other, removed):
    ran = []
    monkeypatch.setattr(clean, "run_program", lambda _account, words, **_more: ran.append(words) or Ended(0, ""))
    host.service["deploy"]["kind"] = "image"
    host.release(A, image=image)
    if other:
        host.release(B, image=other)
    clean.prune(host.paths, host.service, FREE, [A], "run")
    assert ran == ([["docker", "image", "rm", image]] if removed else [])
    assert [one.id for one in listed(host.paths)] == ([B] if other else [])


def test_two_processes_do_not_work_on_one_service(host, monkeypatch):
    monkeypatch.setattr(clean, "OTHERS_SECONDS", 0.1)
    with (
        clean.alone(host.paths, FREE),
        pytest.raises(ReleaseError, match="another call is at work on shop"),
        clean.alone(host.paths, FREE),
    ):
        pass
    with clean.alone(host.paths, FREE):
        pass


def test_who_makes_a_release_for_a_run_that_was_taken_over_is_waited_for_and_then_ended(tmp_path):
    paths = DeployPaths("shop", root=str(tmp_path))
    paths.make()
    fences = []
    for run in ("one", "two"):
        state, _before = take(str(tmp_path / "change"), {"id": run}, place={}, lease_seconds=60, broken="one")
        fences.append(Fence(str(tmp_path / "change"), state["number"], run))
    script = f"""
import os, signal
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._release_clean import alone
with alone(DeployPaths("shop", root={str(tmp_path)!r}), Fence(*{tuple(fences[0])!r})):
    os.kill(os.getpid(), signal.SIGSTOP)
"""
    with subprocess.Popen([sys.executable, "-c", script]) as older:
        os.waitid(os.P_PID, older.pid, os.WSTOPPED | os.WNOWAIT)
        with clean.alone(paths, fences[1]):
            assert older.wait(20) == -signal.SIGKILL
