# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import NamedTuple

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, write_json
from ansible_collections.runbook.ops.plugins.module_utils._deployment_environment import environment_of
from ansible_collections.runbook.ops.plugins.module_utils._slot import Standing


class Kept(NamedTuple):
    id: str
    kind: str


class Running:
    def standing(self):
        return Standing({}, {"DATABASE_URL": "postgres://live", "A": "of what is live"})


@pytest.mark.parametrize(
    ("file", "kind", "fresh", "wanted"),
    [
        pytest.param(
            None,
            "git",
            True,
            {"DATABASE_URL": "postgres://live", "A": "1"},
            id="the first start adds what only lives there",
        ),
        pytest.param("/etc/api.env", "git", True, {"A": "1"}, id="a described file is all of it"),
        pytest.param(None, "git", False, {"A": "1"}, id="later it keeps what it had"),
        pytest.param(None, "adopted", True, {"A": "1"}, id="what a person started keeps its own"),
    ],
)
def test_a_release_runs_with_its_own_variables(tmp_path, file, kind, fresh, wanted):
    paths = DeployPaths("api", root=str(tmp_path))
    paths.make()
    write_json(paths.environment("r1"), {"A": "1"})
    service = {"deploy": {"environment_file": file}}
    assert environment_of(service, Kept("r1", kind), Running(), paths, fresh=fresh) == wanted
