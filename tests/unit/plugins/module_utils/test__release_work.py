# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases from an archive, which need neither Git nor npm: what the module does from one end to the other."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_compose as compose
from ansible_collections.runbook.ops.plugins.module_utils import _release_image as images
from ansible_collections.runbook.ops.plugins.module_utils import _release_ledger as ledger
from ansible_collections.runbook.ops.plugins.module_utils import _release_wish
from ansible_collections.runbook.ops.plugins.module_utils import _release_work as work
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, LockError, take
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError, listed, load
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import Place
from ansible_collections.runbook.ops.plugins.module_utils._slot import Standing

FREE = Fence("", 0, "")


class Host:
    """A host, and archives of an application."""

    def __init__(self, root: Path) -> None:
        self.root, self.fence = root, FREE
        self.standing = Standing({"script": "x"}, {"A": "b"})
        self.paths = DeployPaths("shop", str(root / "state" / "deploy"), str(root / "run"))
        self.service = {
            "name": "shop",
            "user": None,
            "path": str(root / "srv"),
            "source": {"repository": "unused", "subdirectory": ".", "migrations": "sql"},
            "deploy": {
                "kind": "artefact",
                "build": [],
                "build_timeout_seconds": 20,
                "releases": None,
                "keep": 1,
                "environment_file": None,
            },
        }

    def pack(self, version: str) -> str:
        path = self.root / f"{version}.tar"
        with tarfile.open(path, "w") as archive:
            for name, text in {
                "package.json": json.dumps({"version": version}),
                "sql/1_a.sql": "",
                "sql/readme": "",
            }.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        return f"{path}#{hashlib.sha256(path.read_bytes()).hexdigest()}"

    @property
    def place(self) -> Place:
        return Place(self.service, self.paths, self.fence, "run", lambda _: self.standing)

    def make(self, version: str, *, check_mode: bool = False):
        return work.make(self.place, version, check_mode=check_mode)

    def deploy(self, version: str) -> str:
        name = self.make(version)["release"]["id"]
        for event in ("live", "good"):
            ledger.note(self.paths, FREE, event, name)
        return name


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_a_prediction_writes_nothing_and_comes_true(host):
    version = host.pack("1")
    before = sorted(host.root.rglob("*"))
    predicted = host.make(version, check_mode=True)
    assert predicted["changed"] and sorted(host.root.rglob("*")) == before
    done = host.make(version)
    assert done["release"]["commit"] == predicted["release"]["commit"]
    assert done["release"]["migrations"] == ["1_a.sql"] and done["release"]["package_version"] == "1"
    assert [change["action"] for change in done["changes"]] == ["made"] == [c["action"] for c in predicted["changes"]]
    for again in (host.make(version), host.make(version, check_mode=True)):
        assert not again["changed"] and again["release"]["id"] == done["release"]["id"]


def test_other_variables_make_another_release(host):
    version = host.pack("1")
    first = host.make(version)["release"]
    host.service["deploy"]["environment_file"] = str(host.root / "env")
    (host.root / "env").write_text("A=c\n")
    second = host.make(version)["release"]
    assert second["id"] != first["id"] and second["environment_sha256"] != first["environment_sha256"]
    assert json.loads(host.paths.environment(second["id"]).read_text()) == {"A": "c"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"source": {"subdirectory": "nowhere"}}, "correct source.subdirectory", id="no such directory"),
        pytest.param({"source": {"subdirectory": "../.."}}, "correct source.subdirectory", id="a directory outside"),
        pytest.param({"deploy": {"build": [{"run": ["false"]}]}}, "false failed", id="the build fails"),
    ],
)
def test_what_fails_leaves_nothing(host, change, words):
    for key, more in change.items():
        host.service[key].update(more)
    with pytest.raises(ReleaseError, match=words):
        host.make(host.pack("1"))
    assert listed(host.paths) == [] and ledger.events(host.paths) == []
    assert [one.name for one in (host.root / "srv.releases").iterdir() if not one.name.startswith(".")] == []
    assert not list(host.paths.releases.iterdir())


def test_a_run_whose_lock_was_taken_over_writes_no_release(host):
    directory = str(host.root / "change")
    first, _ = take(directory, {"id": "run1"}, place={}, lease_seconds=60)
    host.fence = Fence(directory, first["number"], "run1")
    host.service["deploy"]["build"] = [{"run": ["true"]}]
    take(directory, {"id": "run2"}, place={}, lease_seconds=60, broken="run1")
    with pytest.raises(LockError, match="nothing was written after that"):
        host.make(host.pack("1"))
    assert listed(host.paths) == []


def test_what_is_not_needed_goes_and_a_second_run_finds_nothing(host):
    names = [host.deploy(host.pack(str(number))) for number in range(4)]
    host.paths.live.write_text(
        json.dumps(
            {"now": {"slot": "blue", "label": "shop", "port": 1, "release": names[3], "since": "x"}, "next": None}
        )
    )
    predicted = work.remove(host.place, None, check_mode=True)
    assert predicted["changed"] and len(listed(host.paths)) == 4
    done = work.remove(host.place, None, check_mode=False)
    assert done["diff"] == predicted["diff"] and done["releases"] == names[2:]
    assert done["stays"] == {names[2]: "it is the last good one", names[3]: "it is live"}
    assert not work.remove(host.place, None, check_mode=False)["changed"]
    with pytest.raises(ReleaseError, match="for it is live: deploy another release first"):
        work.remove(host.place, [names[3]], check_mode=False)


def test_a_release_that_was_never_tried_may_be_removed_by_name_only(host):
    name = host.make(host.pack("1"))["release"]["id"]
    assert not work.remove(host.place, None, check_mode=False)["changed"]
    assert work.remove(host.place, [name], check_mode=False)["changed"]
    assert load(host.paths, name) is None
    assert not work.remove(host.place, [name], check_mode=False)["changed"]


def test_a_service_without_a_deploy_is_refused(host):
    host.service["deploy"] = None
    with pytest.raises(ReleaseError, match="has no deploy in the description"):
        host.make("main")
    with pytest.raises(ReleaseError, match="has no deploy in the description"):
        work.remove(host.place, None, check_mode=True)


def test_what_compose_runs_is_built_as_an_image_that_lives_as_long_as_its_release(host, monkeypatch):
    built, gone = [], []

    def build(plan, **more):
        assert (Path(plan.context) / "REVISION").is_file(), "the image tells its commit"
        built.append(more["release"])
        return "sha256:" + "a" * 64

    monkeypatch.setattr(compose, "build", build)
    monkeypatch.setattr(compose, "plan_of", lambda *_, where, **__: compose.Plan(where, f"{where}/Dockerfile"))
    monkeypatch.setattr(compose, "remove", lambda _service, release: gone.append(release))
    host.service["manager"] = "compose"
    host.service["deploy"]["keep"] = 0
    names = [host.deploy(host.pack(version)) for version in ("1", "2", "3")]
    assert names == built
    assert load(host.paths, names[0]).image == "sha256:" + "a" * 64
    assert not host.make(host.pack("3"))["changed"]
    host.standing = Standing({"script": "y"}, {"A": "b"})
    assert host.make(host.pack("3"), check_mode=True)["changed"], "the Compose file was edited"
    work.remove(host.place, None, check_mode=False)
    assert gone == [name for name in names if load(host.paths, name) is None] != []


@pytest.fixture
def composed(host, monkeypatch):
    """A host whose Compose file runs an image that is here."""
    found = images.Found("shop@sha256:" + "a" * 64, "sha256:" + "a" * 64, None, None, 1)
    monkeypatch.setattr(images, "look", lambda *_: found)
    monkeypatch.setattr(images, "take", lambda *_: found)
    host.service.update(manager="compose")
    host.service["deploy"].update(kind="image", image="shop")
    host.standing = Standing({"service": {"mem_limit": "1g"}}, {"DB_PASSWORD": "old"})
    return host


@pytest.mark.parametrize(
    "standing",
    [
        pytest.param(Standing({"service": {"mem_limit": "2g"}}, {"DB_PASSWORD": "old"}), id="its definition"),
        pytest.param(Standing({"service": {"mem_limit": "1g"}}, {"DB_PASSWORD": "new"}), id="its variables"),
    ],
)
def test_a_compose_file_that_was_edited_makes_another_release_of_the_same_image(composed, standing):
    first = composed.make("v1")["release"]
    for check_mode in (True, False):
        assert not composed.make("v1", check_mode=check_mode)["changed"]
    composed.standing = standing
    assert composed.make("v1", check_mode=True)["changed"]
    second = composed.make("v1")["release"]
    assert second["id"] != first["id"] and second["process"] == standing.process
    assert json.loads(composed.paths.environment(second["id"]).read_text()) == standing.environment
    assert not composed.make("v1")["changed"] and len(listed(composed.paths)) == 2


def test_the_secrets_of_an_image_whose_run_was_killed_are_taken_away(composed, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(_release_wish, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            composed.make("v1")
    assert list(composed.paths.releases.glob("*.env"))
    work.remove(composed.place, None, check_mode=False)
    assert not list(composed.paths.releases.iterdir())
