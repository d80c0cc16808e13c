# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases from a real repository, built by a real npm: killed at each step, and gone back to. A widely used rule beside ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_clean as clean
from ansible_collections.runbook.ops.plugins.module_utils import _release_ledger as ledger
from ansible_collections.runbook.ops.plugins.module_utils import _release_work as work
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError, listed, load
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import Place
from ansible_collections.runbook.ops.plugins.module_utils._slot import Standing

FREE = Fence("", 0, "")
PACKAGE = {
    "name": "shop",
    "version": "1.0.0",
    "scripts": {"build": "node build.js"},
    "dependencies": {"left": "file:left"},
}
BUILD = "require('fs').writeFileSync('built.txt', require('left') + ' ' + require('./package.json').version)\n"
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")

# One call of the module's function in a process of its own, so that it can be killed.
CALL = """
import json, sys
from ansible_collections.runbook.ops.plugins.module_utils import _release_work as work
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import Place
from ansible_collections.runbook.ops.plugins.module_utils._slot import Standing
service, state, version = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
place = Place(service, DeployPaths("shop", state), Fence("", 0, ""), "run", lambda directory: Standing({"script": "x"}, {}))
work.make(place, version, check_mode=False) if version else work.remove(place, None, check_mode=False)
"""


class Shop:
    """A repository with an application, and the service that is deployed from it."""

    def __init__(self, root: Path) -> None:
        self.root, self.tree = root, root / "tree"
        self.bare, self.state = root / "shop.git", root / "state"
        self.git("init", "-q", "--bare", str(self.bare), cwd=root)
        self.git("clone", "-q", str(self.bare), str(self.tree), cwd=root)
        (self.tree / "left").mkdir()
        (self.tree / "left" / "package.json").write_text('{"name": "left", "version": "1.0.0", "main": "x.js"}\n')
        (self.tree / "left" / "x.js").write_text("module.exports = 'left'\n")
        (self.tree / "build.js").write_text(BUILD)
        (self.tree / "run.sh").write_text("#!/bin/sh\n")
        (self.tree / "run.sh").chmod(0o755)
        (self.tree / "kept.txt").write_text("kept\n")
        (self.tree / ".gitattributes").write_text("kept.txt export-ignore\n")
        self.commit("1.0.0", lock=True)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run([*GIT, *arguments], cwd=cwd or self.tree, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, version: str, *, lock: bool = False, **package: Any) -> str:
        (self.tree / "package.json").write_text(json.dumps({**PACKAGE, "version": version, **package}))
        if lock:
            npm = ["npm", "install", "--package-lock-only", "--no-audit", "--no-fund", f"--cache={self.root}/cache"]
            subprocess.run(npm, cwd=self.tree, check=True, capture_output=True)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", version)
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def service(self, **deploy: Any) -> dict[str, Any]:
        known = {
            "kind": "git",
            "build": [],
            "build_timeout_seconds": 120,
            "releases": None,
            "keep": 2,
            "environment_file": None,
        }
        return {
            "name": "shop",
            "manager": "pm2",
            "user": None,
            "path": str(self.root / "srv" / "shop"),
            "entry_point": "x",
            "source": {"repository": str(self.bare), "branch": "main", "subdirectory": ".", "migrations": None},
            "deploy": {**known, **deploy},
        }

    @property
    def releases(self) -> Path:
        return self.root / "srv" / "shop.releases"

    @property
    def paths(self) -> DeployPaths:
        return DeployPaths("shop", str(self.state))

    def place(self, **deploy: Any) -> Place:
        return Place(self.service(**deploy), self.paths, FREE, "run", lambda _: Standing({"script": "x"}, {"A": "b"}))

    def make(self, version: str = "main", *, check_mode: bool = False, **deploy: Any) -> dict[str, Any]:
        return work.make(self.place(**deploy), version, check_mode=check_mode)

    def directories(self) -> list[str]:
        return sorted(one.name for one in self.releases.iterdir() if not one.name.startswith("."))

    def begin(self, version: str = "main", point: str = "", **deploy: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", CALL, json.dumps(self.service(**deploy)), str(self.state), version]
        return subprocess.Popen(command, env={**os.environ, "RUNBOOK_OPS_KILL_AT": point}, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    Shop(root)
    return root


@pytest.fixture
def shop(template, tmp_path) -> Shop:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True, symlinks=True)
    made = Shop.__new__(Shop)
    made.root, made.tree, made.bare, made.state = tmp_path, tmp_path / "tree", tmp_path / "shop.git", tmp_path / "state"
    made.git("remote", "set-url", "origin", str(made.bare))
    return made


def test_a_release_is_one_commit_built_in_its_own_directory_and_not_built_twice(shop):
    predicted = shop.make(check_mode=True)
    assert predicted["changed"] and predicted["release"]["id"] is None
    assert not shop.releases.exists() and not shop.state.exists()
    done = shop.make()
    release = done["release"]
    where = Path(release["path"])
    assert release["commit"] == predicted["release"]["commit"] == shop.git("rev-parse", "HEAD")
    assert (where / "built.txt").read_text() == "left 1.0.0"
    assert (where / "REVISION").read_text().strip() == release["commit"]
    assert (where / "kept.txt").is_file(), "what archives of Git leave out belongs to the commit all the same"
    assert os.access(where / "run.sh", os.X_OK)
    assert release["package_version"] == "1.0.0" and release["lock_sha256"] and release["tools"]["node"]
    assert json.loads(shop.paths.environment(release["id"]).read_text()) == {"A": "b"}
    assert shop.paths.environment(release["id"]).stat().st_mode & 0o777 == 0o600
    again = shop.make()
    assert not again["changed"] and again["release"]["id"] == release["id"]
    assert not shop.make(check_mode=True)["changed"]
    assert [event["event"] for event in ledger.events(shop.paths)] == ["built"]


@pytest.mark.parametrize("form", ["branch", "tag", "annotated tag", "commit", "short commit", "full ref"])
def test_a_version_may_be_named_in_each_way(shop, form):
    first = shop.git("rev-parse", "HEAD")
    shop.git("tag", "v1")
    shop.git("tag", "-a", "-m", "x", "v1-annotated")
    shop.git("push", "-q", "origin", "HEAD:old", "--tags")
    shop.commit("1.1.0")
    version = {
        "branch": "old",
        "tag": "v1",
        "annotated tag": "v1-annotated",
        "commit": first,
        "short commit": first[:9],
        "full ref": "refs/tags/v1-annotated",
    }[form]
    assert shop.make(version)["release"]["commit"] == first


def test_a_commit_that_was_fetched_once_needs_no_repository(shop):
    first = shop.make()["release"]
    second = shop.commit("1.1.0")
    shop.make()
    shop.bare.rename(shop.root / "away")
    assert not shop.make(first["commit"])["changed"]
    assert shop.make(second, build=[{"run": ["true"]}])["changed"]
    with pytest.raises(ReleaseError, match=r"git ls-remote failed: .*; "):
        shop.make("main")


def test_a_server_that_is_down_costs_nothing_that_was_fetched_before(shop):
    first = shop.make()["release"]["commit"]
    later = shop.commit("1.1.0")
    shop.bare.rename(shop.root / "away")
    with pytest.raises(ReleaseError, match=r"git (fetch|ls-remote) failed: .*; "):
        shop.make(later)
    assert shop.make(first, build=[{"run": ["true"]}])["changed"], "that commit is in the mirror"
    (shop.root / "away").rename(shop.bare)
    assert shop.make(later)["release"]["commit"] == later


def test_a_mirror_that_is_damaged_is_made_anew(shop):
    shop.make()
    (mirror,) = shop.releases.glob(".git-mirror-*")
    (mirror / "packed-refs").unlink(missing_ok=True)
    (mirror / "config").write_text("[core")
    later = shop.commit("1.1.0")
    assert shop.make(later)["release"]["commit"] == later
    assert list(shop.releases.glob(".git-mirror-*")) == [mirror]


def test_a_tag_that_was_moved_is_told_of(shop):
    shop.git("tag", "v1")
    shop.git("push", "-q", "origin", "v1")
    before = shop.make("v1")["release"]["commit"]
    after = shop.commit("1.1.0")
    shop.git("tag", "-f", "v1")
    shop.git("push", "-q", "-f", "origin", "v1")
    done = shop.make("v1")
    assert done["release"]["commit"] == after
    assert [check["status"] for check in done["checks"]] == ["warning"] and before[:12] in done["checks"][0]["detail"]


@pytest.mark.parametrize(
    ("package", "deploy", "words"),
    [
        pytest.param(
            {"scripts": {"build": "echo no such thing >&2; exit 3"}}, {}, "npm run build failed", id="build fails"
        ),
        pytest.param(
            {"dependencies": {"left": "file:left", "right": "file:right"}},
            {},
            "npm ci .* failed",
            id="lock file is stale",
        ),
        pytest.param({}, {"build": [{"run": ["no-such-program"]}]}, "not installed", id="program is missing"),
        pytest.param(
            {}, {"build": [{"run": ["sleep", "60"]}], "build_timeout_seconds": 1}, "may take 1 s", id="takes too long"
        ),
    ],
)
def test_a_build_that_fails_leaves_nothing_and_says_why(shop, package, deploy, words):
    good = shop.make()["release"]["id"]
    shop.commit("1.1.0", **package)
    with pytest.raises(ReleaseError, match=words) as failure:
        shop.make(**deploy)
    assert "\n" not in str(failure.value)
    assert shop.directories() == [good]
    assert [one.id for one in listed(shop.paths)] == [good]
    assert not list(shop.paths.releases.glob("*.begun"))


def test_a_secret_of_the_application_is_not_in_the_message_of_a_build_that_fails(shop):
    file = shop.root / "env"
    file.write_text("API_TOKEN=t0ps3cr3t-value\n")
    shop.commit("1.1.0", scripts={"build": "echo token is $API_TOKEN; exit 1"})
    with pytest.raises(ReleaseError, match="npm run build failed") as failure:
        shop.make(environment_file=str(file))
    assert "t0ps3cr3t" not in str(failure.value) and "token is" in str(failure.value)


def test_two_releases_of_one_commit_and_one_second_are_two(shop):
    steps = [[{"run": ["true", str(number)]}] for number in range(3)]
    made = [shop.make(build=build)["release"] for build in steps]
    assert len({release["id"] for release in made}) == 3 == len(shop.directories())


POINTS = [
    "release:noted",
    "release:begun",
    "release:mirror",
    "release:read",
    "release:filled",
    "release:step",
    "release:built",
    "release:variables",
    "release:saved",
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_leaves_no_release_or_a_whole_one_and_the_next_run_ends_it(shop, point):
    before = shop.make()["release"]["id"] if point != "release:mirror" else None
    commit = shop.commit("1.1.0")
    assert shop.begin(point=point).wait() == -signal.SIGKILL
    whole = [one.id for one in listed(shop.paths) if one.id != before]
    assert len(whole) == (point == "release:saved")
    done = shop.make()
    assert done["release"]["commit"] == commit
    assert done["release"]["id"] in {event["release"] for event in ledger.events(shop.paths)}
    assert Path(done["release"]["path"], "built.txt").read_text() == "left 1.1.0"
    assert shop.directories() == sorted(one for one in (before, done["release"]["id"]) if one)
    assert not list(shop.paths.releases.glob("*.begun"))
    assert not shop.make()["changed"]


def test_a_build_that_outlived_its_killed_run_is_ended_by_the_next_one(shop):
    started = shop.root / "started"
    slow = [{"run": ["sh", "-c", f"touch {started}; setsid sleep 300 & sleep 300"]}]
    process = shop.begin(build=slow, build_timeout_seconds=300)
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    (left,) = shop.directories()
    assert _running(shop.releases / left), "the test is worth nothing unless the build goes on"
    (
        shop.releases / left / "of-the-killed-run"
    ).touch()  # the next one may be made in the same second, and have the same name
    done = shop.make()
    assert shop.directories() == [done["release"]["id"]]
    assert not (shop.releases / done["release"]["id"] / "of-the-killed-run").exists()
    assert not _running(shop.releases / left)


def _running(path: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"RUNBOOK_OPS_BUILD={path}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_two_at_once_do_not_meet(shop, monkeypatch):
    monkeypatch.setattr(clean, "OTHERS_SECONDS", 0.5)
    started = shop.root / "started"
    process = shop.begin(build=[{"run": ["sh", "-c", f"touch {started}; sleep 300"]}], build_timeout_seconds=300)
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.02)
    with pytest.raises(ReleaseError, match="another call is at work on shop"):
        shop.make()
    process.kill()
    process.wait()
    shop.make()


def test_after_a_killed_run_we_go_back_to_the_last_good_release_and_a_rule_by_time_to_a_partial_one(shop):
    first = shop.make()["release"]["id"]
    for event in ("live", "good"):
        ledger.note(shop.paths, FREE, event, first)
    shop.commit("1.1.0")
    assert shop.begin(point="release:filled").wait() == -signal.SIGKILL
    (partial,) = set(shop.directories()) - {first}
    # A rule in wide use: the releases by time of change, the newest is current, the one before it is gone back to.
    shop.commit("1.2.0")
    third = shop.releases / "third"
    third.mkdir()
    by_time = subprocess.run(
        ["ls", "-1t", str(shop.releases)], check=True, capture_output=True, text=True
    ).stdout.split()
    assert by_time[1] == partial and not (shop.releases / partial / "built.txt").exists()
    third.rmdir()
    assert load(shop.paths, partial) is None
    live = shop.make()["release"]["id"]
    ledger.note(shop.paths, FREE, "live", live)
    assert ledger.last_good(ledger.events(shop.paths), but=live) == first
    assert partial not in shop.directories()


def test_pruning_leaves_what_is_needed_and_a_second_run_finds_nothing(shop):
    made = []
    for number in range(5):
        shop.commit(f"1.{number}.0")
        made.append(shop.make(build=[{"run": ["true"]}])["release"]["id"])
        for event in ("live", "good"):
            ledger.note(shop.paths, FREE, event, made[-1])
    inside = subprocess.Popen(["sleep", "300"], cwd=shop.releases / made[0])
    try:
        while Path(f"/proc/{inside.pid}/cwd").readlink() != (shop.releases / made[0]):
            time.sleep(0.01)
        predicted = work.remove(shop.place(), None, check_mode=True)
        assert len(shop.directories()) == 5
        done = work.remove(shop.place(), None, check_mode=False)
        assert done["diff"] == predicted["diff"]
        assert shop.directories() == done["releases"] == [made[0], *made[3:]]
        assert "process" in done["stays"][made[0]]
        assert not work.remove(shop.place(), None, check_mode=False)["changed"]
        with pytest.raises(ReleaseError, match="stays, for a process runs from it"):
            work.remove(shop.place(), [made[0]], check_mode=False)
    finally:
        inside.kill()
        inside.wait()
    assert work.remove(shop.place(), [made[0]], check_mode=False)["changed"]
    assert shop.directories() == made[3:]


@pytest.mark.parametrize("point", ["release:pruning", "release:unlisted"])
def test_a_prune_that_was_killed_is_finished_by_the_next_one(shop, point):
    made = []
    for number in range(4):
        shop.commit(f"1.{number}.0")
        made.append(shop.make(build=[{"run": ["true"]}])["release"]["id"])
        for event in ("live", "good"):
            ledger.note(shop.paths, FREE, event, made[-1])
    assert shop.begin("", point).wait() == -signal.SIGKILL
    assert ledger.good(ledger.events(shop.paths))[-2:] == made[2:]
    work.remove(shop.place(), None, check_mode=False)
    assert shop.directories() == made[2:]
    assert not list(shop.paths.releases.glob("*.begun"))


def test_a_directory_of_another_service_is_never_taken_away(shop):
    shop.releases.mkdir(parents=True)
    foreign = shop.releases / "20200101T000000Z-aaaaaaaaaaaa"
    foreign.mkdir()
    shop.make()
    work.remove(shop.place(), None, check_mode=False)
    assert foreign.is_dir()
