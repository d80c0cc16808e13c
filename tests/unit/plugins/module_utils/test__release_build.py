# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_build as build
from ansible_collections.runbook.ops.plugins.module_utils._account import Account
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError

NPM, PNPM = ["npm", "ci", "--no-audit", "--no-fund"], ["pnpm", "install", "--frozen-lockfile"]
NEEDS = {"dependencies": {"left": "1"}}
BUILDS = {"scripts": {"build": "next build"}}


@pytest.mark.parametrize(
    ("manifest", "locks", "steps"),
    [
        pytest.param(None, [], [], id="no package"),
        pytest.param({}, [], [], id="a package that needs nothing"),
        pytest.param(NEEDS, ["package-lock.json"], [NPM], id="npm"),
        pytest.param({**NEEDS, **BUILDS}, ["package-lock.json"], [NPM, ["npm", "run", "build"]], id="npm and a build"),
        pytest.param({**NEEDS, **BUILDS}, ["pnpm-lock.yaml"], [PNPM, ["pnpm", "run", "build"]], id="pnpm and a build"),
        pytest.param(BUILDS, [], [["npm", "run", "build"]], id="a build that needs nothing"),
        pytest.param({"scripts": None}, ["npm-shrinkwrap.json"], [NPM], id="scripts is null"),
    ],
)
def test_the_lock_file_says_what_is_installed(manifest, locks, steps):
    assert build.steps_for(manifest, locks) == steps


@pytest.mark.parametrize("key", ["dependencies", "devDependencies", "optionalDependencies"])
def test_two_builds_that_may_differ_are_refused(key):
    with pytest.raises(ReleaseError, match="no lock file"):
        build.steps_for({key: {"left": "1"}}, [])


def test_the_lock_file_of_a_workspace_counts_and_that_of_a_stranger_does_not(tmp_path):
    root, app = tmp_path / "release", tmp_path / "release" / "apps" / "api"
    app.mkdir(parents=True)
    (tmp_path / "package-lock.json").touch()
    assert build.find_locks(app, root) == {}
    (root / "pnpm-lock.yaml").touch()
    assert build.find_locks(app, root) == {"pnpm-lock.yaml": root / "pnpm-lock.yaml"}
    (app / "package-lock.json").touch()
    assert list(build.find_locks(app, root)) == ["package-lock.json"]


@pytest.mark.parametrize("text", ["{", "[1]", "\udcff"], ids=["cut off", "a list", "no text"])
def test_a_package_that_cannot_be_read_is_refused(tmp_path, text):
    (tmp_path / "package.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ReleaseError, match="correct it"):
        build.read_manifest(tmp_path)


def test_a_build_has_a_home_of_its_own_and_the_variables_of_the_application():
    account = Account("deploy", 1, 1, (), "/home/deploy")
    found = build.environment_for(account, "/srv/releases", {"NODE_ENV": "production", "HOME": "/root"}, "id1")
    assert found["HOME"] == "/srv/releases/.build-home" and found["npm_config_cache"].startswith("/srv/releases/")
    assert found["NODE_ENV"] == "production" and found["npm_config_include"] == "dev"
    assert found["npm_config_userconfig"] == "/home/deploy/.npmrc" and found["RUNBOOK_OPS_BUILD"] == "/srv/releases/id1"
