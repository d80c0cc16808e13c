# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_work import working


@pytest.fixture
def paths(tmp_path):
    found = DeployPaths("api", root=str(tmp_path))
    found.make()
    return found


def test_a_second_call_is_refused_while_one_is_at_work_and_not_afterwards(paths):
    with (
        working(paths, seconds=0),
        pytest.raises(StateError, match="another call is at work on api"),
        working(paths, seconds=0.1),
    ):
        pass
    with working(paths, seconds=0):
        pass
