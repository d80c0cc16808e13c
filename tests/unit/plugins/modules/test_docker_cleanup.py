# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module predicts what it does, touches nothing in check mode, and nothing at all where it cannot know what is needed."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup_host import CleanupError
from ansible_collections.runbook.ops.plugins.modules import docker_cleanup

NUMBERS = {name: "sha256:" + letter * 64 for name, letter in (("old", "a"), ("live", "b"), ("base", "c"))}
NOW = 1_800_000_000.0


class FakeDocker:
    """Stands for the engine and its client: three images, one of which runs."""

    def __init__(self, config='{"name": "shop", "services": {"web": {"image": "base"}}}', refuses=None):
        self.config, self.refuses, self.calls = config, refuses, []
        self.images = dict(NUMBERS)

    def ask(self, path, **_more):
        if path.startswith("/containers/json"):
            return [{"Id": "c", "ImageID": NUMBERS["live"], "State": "running"}]
        if path.startswith("/volumes"):
            return {"Volumes": [{"Name": "data"}]}
        return {
            "Images": [
                {"Id": number, "RepoTags": [f"{name}:latest"], "Size": 5} for name, number in self.images.items()
            ]
        }

    def __call__(self, *arguments, **_more):
        if arguments[0] == "compose":
            return self.config
        self.calls.append(arguments)
        if self.refuses:
            raise CommandError("docker image failed (1)", stderr=self.refuses)
        self.images.pop(arguments[-1].partition(":")[0])
        return ""


def run(fake, place, *, check_mode=False, warnings=None, **more):
    params = {name: option.get("default") for name, option in docker_cleanup.ARGUMENTS.items()}
    params.update(
        unused_image_days=0,
        projects=[{"directory": "/srv/shop", "file": "compose.yml", "project": None}],
        deploy_directory=str(place / "deploy"),
        state_directory=str(place / "state"),
        **more,
    )
    warn = (warnings if warnings is not None else []).append
    return docker_cleanup.run(params, asked=fake.ask, docker=fake, check_mode=check_mode, now=NOW, warn=warn)


def test_what_is_done_was_predicted_and_a_second_run_finds_nothing(tmp_path):
    fake = FakeDocker()
    predicted = run(fake, tmp_path, check_mode=True)
    assert fake.calls == []
    assert list(tmp_path.iterdir()) == []
    done = run(fake, tmp_path)
    assert predicted["actions"] == done["actions"] == ["docker image rm --no-prune old:latest"]
    assert (predicted["freed_bytes"], done["freed_bytes"]) == (5, 5)
    assert predicted["diff"] == done["diff"]
    again = run(fake, tmp_path)
    assert not again["changed"]
    assert again["changes"] == []


def test_what_a_compose_file_and_the_deploys_name_stays(tmp_path):
    (tmp_path / "deploy/shop/releases").mkdir(parents=True)
    (tmp_path / "deploy/shop/releases/r1.json").write_text(json.dumps({"image": NUMBERS["old"]}))
    said = run(FakeDocker(), tmp_path)
    assert said["changed"] is False
    stays = {one["name"]: one["stays"] for one in said["things"]}
    assert stays["base:latest"] == "named by /srv/shop/compose.yml"
    assert stays["old:latest"] == "named by the deploys of shop"


def test_what_a_compose_file_names_in_full_stays(tmp_path):
    fake = FakeDocker('{"name": "shop", "services": {"web": {"image": "docker.io/library/base"}}}')
    stays = {one["name"]: one["stays"] for one in run(fake, tmp_path)["things"]}
    assert stays["base:latest"] == "named by /srv/shop/compose.yml"


@pytest.mark.parametrize(
    ("config", "state", "says"),
    [
        pytest.param("no JSON", "{}", "Compose cannot read /srv/shop/compose.yml", id="a Compose file"),
        pytest.param("{}", "{", "live.json cannot be read", id="what is live"),
    ],
)
def test_nothing_goes_while_it_is_not_known_what_is_needed(tmp_path, config, state, says):
    (tmp_path / "deploy/shop").mkdir(parents=True)
    (tmp_path / "deploy/shop/live.json").write_text(state)
    fake = FakeDocker(config)
    with pytest.raises(CleanupError, match=says):
        run(fake, tmp_path)
    assert fake.calls == []


def test_an_engine_that_does_not_tell_its_images_is_refused_and_the_notes_stay(tmp_path):
    fake = FakeDocker()
    run(fake, tmp_path)
    noted = (tmp_path / "state/unused.json").read_text()

    def ask(path, **_more):
        return {"ImageUsage": {}} if path == "/system/df" else FakeDocker.ask(fake, path)

    fake.ask = ask
    with pytest.raises(CleanupError, match="no Images in /system/df"):
        run(fake, tmp_path)
    assert (tmp_path / "state/unused.json").read_text() == noted


@pytest.mark.parametrize(
    "refuses",
    [
        "conflict: unable to delete, image is being used",
        "You cannot remove a running container c. Stop the container before attempting removal or force remove",
        'cannot remove container "c": container is running: stop the container before removing or force remove',
        'cannot remove container "c": container is paused and must be unpaused first',
        "removal of container c is already in progress",
    ],
)
def test_what_came_into_use_since_stays_and_is_no_change(tmp_path, refuses):
    warnings = []
    said = run(FakeDocker(refuses=refuses), tmp_path, warnings=warnings)
    assert (said["changed"], said["changes"], said["freed_bytes"]) == (False, [], 0)
    assert "came into use" in warnings[0]


def test_another_failure_is_one_and_tells_what_was_done_before(tmp_path):
    with pytest.raises(CommandError) as caught:
        run(FakeDocker(refuses="no space left on device"), tmp_path)
    assert caught.value.details["changes"] == []


def test_an_image_is_counted_from_the_first_look_and_damaged_notes_start_anew(tmp_path):
    fake = FakeDocker()
    assert not run(fake, tmp_path, remove=["containers"])["changed"]
    assert set(json.loads((tmp_path / "state/unused.json").read_text())) == {NUMBERS["old"], NUMBERS["base"]}
    (tmp_path / "state/unused.json").write_text("{broken")
    assert run(fake, tmp_path)["things"][0]["days"] == 0


def test_volumes_are_named_and_no_choice(tmp_path):
    said = run(FakeDocker(), tmp_path, check_mode=True)
    assert said["volumes"] == ["data"]
    assert said["checks"][2]["value"] == 1
    assert "volumes" not in docker_cleanup.ARGUMENTS["remove"]["choices"]


@pytest.mark.parametrize("days", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["container_days", "dangling_image_days", "build_cache_days"])
def test_days_that_would_remove_what_was_just_used_are_refused(tmp_path, name, days):
    with pytest.raises(CleanupError, match=f"{name} is .*: say a number of days"):
        run(FakeDocker(), tmp_path, **{name: days})


def test_nothing_goes_while_a_directory_of_the_deploys_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / "deploy/shop").mkdir(parents=True)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("shop"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    fake = FakeDocker()
    with pytest.raises(CleanupError, match=r"cannot read .*deploy/shop \(Permission denied\)"):
        run(fake, tmp_path)
    assert fake.calls == []
