# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module looks at what is live, once for each directory, and never in it."""

from __future__ import annotations

import json
import os
import re

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._dependencies_host import Project, ask, copied
from ansible_collections.runbook.ops.plugins.modules import dependencies_info


def project(place, lock="package-lock.json"):
    place.mkdir(parents=True)
    (place / "package.json").write_text("{}")
    if lock:
        (place / lock).write_text("{}")
    return str(place)


def run(services, tmp_path, asked=lambda _project: ([], [])):
    params = {name: option.get("default") for name, option in dependencies_info.ARGUMENTS.items()}
    params.update(services=services, deploy_directory=str(tmp_path / "deploy"))
    return dependencies_info.run(params, asked=asked)


def test_services_of_one_directory_are_one_project_and_those_without_a_manifest_none(tmp_path):
    path = project(tmp_path / "app")
    services = [{"name": "api", "path": path}, {"name": "worker", "path": path}, {"name": "nginx", "path": None}]
    found = run(services, tmp_path)
    assert [one["name"] for one in found["projects"]] == ["api"]
    assert [check["id"] for check in found["checks"]] == ["dependencies:api:outdated", "dependencies:api:vulnerable"]


def test_the_release_that_is_live_is_looked_at(tmp_path):
    old, new = project(tmp_path / "app"), project(tmp_path / "release/server", "pnpm-lock.yaml")
    name = "20260301T120000Z-0123456789ab"
    (tmp_path / "deploy/api/releases").mkdir(parents=True)
    live = {"slot": "blue", "label": "api-blue", "port": 1, "release": name, "since": ""}
    (tmp_path / "deploy/api/live.json").write_text(json.dumps({"now": live, "next": None, "file": None}))
    release = dict.fromkeys(("commit", "ref", "image", "package_version", "environment_sha256", "lock_sha256"), None)
    release.update(
        format=1, id=name, service="api", kind="git", path=str(tmp_path / "release"), process={}, migrations=[]
    )
    release.update(built_at="", tools={}, commit="0123456789ab")
    (tmp_path / f"deploy/api/releases/{name}.json").write_text(json.dumps(release))
    (tmp_path / "release/REVISION").write_text("0123456789ab\n")
    found = run([{"name": "api", "path": old, "source": {"subdirectory": "server"}}], tmp_path)
    assert (found["projects"][0]["directory"], found["projects"][0]["manager"]) == (new, "pnpm")


def test_a_copy_holds_what_names_the_dependencies_and_goes_again(tmp_path):
    path = tmp_path / "app"
    project(path)
    (path / ".npmrc").write_text("registry=x")
    (path / "secret.env").write_text("x")
    with copied(Project(path, "package-lock.json", "npm"), str(tmp_path)) as (place, user):
        assert sorted(one.name for one in place.iterdir()) == [".npmrc", "package-lock.json", "package.json"]
        assert user is None
    assert not place.exists()


def test_without_a_lock_file_or_with_one_of_yarn_nothing_is_asked(tmp_path):
    for lock, manager, says in ((None, None, "no lock file"), ("yarn.lock", "yarn", "yarn")):
        outdated, vulnerable = ask(None, Project(tmp_path, lock, manager), timeout_seconds=1)
        assert says in outdated
        assert outdated == vulnerable


@pytest.mark.parametrize("name", [".npmrc", "package-lock.json"])
def test_a_link_leads_to_nothing_that_is_another_account_s(tmp_path, name):
    path = tmp_path / "app"
    project(path)
    (tmp_path / "secret").write_text("root's")
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(tmp_path / "secret")
    before = set(tmp_path.iterdir())
    with (
        pytest.raises(OSError, match=re.escape(name)),
        copied(Project(path, "package-lock.json", "npm"), str(tmp_path)),
    ):
        pass
    assert set(tmp_path.iterdir()) == before


def test_what_the_account_of_the_directory_cannot_read_is_not_copied_for_it(tmp_path, monkeypatch):
    path = tmp_path / "app"
    project(path)
    (path / ".npmrc").write_text("//r.io/:_authToken=x")
    (path / ".npmrc").chmod(0o600)
    real = os.fstat

    def fstat(handle):
        said = real(handle)
        return os.stat_result((*said[:4], said.st_uid + 7, said.st_gid + 7, *said[6:10]))

    monkeypatch.setattr(os, "fstat", fstat)
    if os.geteuid() == 0:
        os.chown(path, 1, 1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (path / "package.json").chmod(0o644)
    (path / "package-lock.json").chmod(0o644)
    with (
        pytest.raises(PermissionError, match="npmrc"),
        copied(Project(path, "package-lock.json", "npm"), str(tmp_path)),
    ):
        pass
