# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (
    DeployPaths,
    StateError,
    read_json,
    remove,
    write_json,
)


@pytest.fixture
def paths(tmp_path):
    found = DeployPaths("api", root=str(tmp_path / "state"), run=str(tmp_path / "run"))
    found.make()
    return found


def test_each_service_has_a_directory_for_root_alone(paths):
    assert paths.directory.name == "api"
    assert {path.stat().st_mode & 0o777 for path in (paths.directory, paths.releases, paths.slots)} == {0o700}


def test_facts_and_variables_of_a_release_stand_beside_each_other(paths):
    assert paths.release("20260101T000000Z-abc").parent == paths.environment("20260101T000000Z-abc").parent


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "", "a" * 101, "a\nb"], ids=repr)
def test_a_name_that_leads_elsewhere_is_refused(paths, name):
    with pytest.raises(StateError, match="cannot be the name of a file"):
        paths.release(name)


def test_what_is_written_is_read_again_and_nobody_else_may(paths):
    write_json(paths.live, {"slot": "blue"})
    assert read_json(paths.live) == {"slot": "blue"}
    assert paths.live.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in paths.directory.glob(".*")] == []


def test_what_is_not_there_is_none_and_can_be_removed(paths):
    assert read_json(paths.journal) is None
    remove(paths.journal)


@pytest.mark.parametrize("text", ["{", "[]", "1"])
def test_what_cannot_be_understood_stops_everything(paths, text):
    paths.live.write_text(text)
    with pytest.raises(StateError, match="move the file away"):
        read_json(paths.live)
