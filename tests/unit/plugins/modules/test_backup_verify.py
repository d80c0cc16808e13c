# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError
from ansible_collections.runbook.ops.plugins.modules import backup_verify


class EndedError(Exception):
    """The module has ended."""


class FakeModule:
    check_mode = True

    def __init__(self, **_options: Any) -> None:
        self.params = {"directory": "/backups", "set": "shop"}

    def exit_json(self, **result: Any) -> None:
        raise EndedError(json.dumps({"failed": False, **result}))

    def fail_json(self, **result: Any) -> None:
        raise EndedError(json.dumps({"failed": True, **result}))


def ended(monkeypatch: pytest.MonkeyPatch, outcome: dict[str, Any] | Exception) -> dict[str, Any]:
    def run(params: Any, *, check_mode: bool) -> dict[str, Any]:
        assert check_mode
        assert params["set"] == "shop"
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(backup_verify, "AnsibleModule", FakeModule)
    monkeypatch.setattr(backup_verify, "run", run)
    with pytest.raises(EndedError) as info:
        backup_verify.main()
    result: dict[str, Any] = json.loads(str(info.value))
    return result


def test_it_fails_when_anything_is_wrong_and_says_all_it_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ended(monkeypatch, {"changed": True, "problems": ["one is damaged", "two is"], "checks": [{"id": "x"}]})
    assert result["failed"]
    assert result["msg"] == "one is damaged (and 1 more)"
    assert result["checks"] == [{"id": "x"}]


def test_it_succeeds_when_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ended(monkeypatch, {"changed": False, "problems": []})["failed"]


def test_an_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(monkeypatch, SetError("somebody works on it"))["msg"] == "somebody works on it"
