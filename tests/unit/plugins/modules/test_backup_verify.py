# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError
from ansible_collections.runbook.ops.plugins.modules import backup_verify


@pytest.fixture
def ended(end_of, monkeypatch):
    def go(outcome: dict[str, Any] | Exception) -> dict[str, Any]:
        def run(params: Any, *, check_mode: bool) -> dict[str, Any]:
            assert check_mode
            assert params["set"] == "shop"
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(backup_verify, "run", run)
        return end_of(backup_verify, check_mode=True, directory="/backups", set="shop")

    return go


def test_it_fails_when_anything_is_wrong_and_says_all_it_has_seen(ended):
    result = ended({"changed": True, "problems": ["one is damaged", "two is"], "checks": [{"id": "x"}]})
    assert result["failed"]
    assert result["msg"] == "one is damaged (and 1 more)"
    assert result["checks"] == [{"id": "x"}]


def test_it_succeeds_when_all_is_well(ended):
    assert not ended({"changed": False, "problems": []})["failed"]


def test_an_error_is_one_line(ended):
    assert ended(SetError("somebody works on it"))["msg"] == "somebody works on it"
