# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _slot_compose
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose import ComposeSlot


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({"Name": "always"}, "always"),
        ({"Name": "on-failure", "MaximumRetryCount": 3}, "on-failure:3"),
        ({"Name": "unless-stopped"}, None),
        ({"Name": "no"}, None),
    ],
    ids=lambda value: value["Name"] if isinstance(value, dict) else None,
)
def test_what_a_person_brought_up_stays_down_at_a_boot_once_it_is_stopped_for_a_release(
    tmp_path, monkeypatch, policy, kept
):
    told = []
    base = ComposeSlot(
        None,
        lambda *arguments, **_more: told.append(arguments),
        name="base",
        label="shop",
        compose_service="app",
        port=3000,
        directory=tmp_path / "base",
    )
    container = {"Id": "c1", "State": {"Status": "running"}, "HostConfig": {"RestartPolicy": policy}}
    monkeypatch.setattr(base, "_containers", lambda: [container])
    monkeypatch.setattr(_slot_compose, "wait_for_port", lambda *_arguments, **_more: None)
    base.stop(seconds=5)
    stop = ("stop", "--time", "5", "c1")
    assert told == ([("update", "--restart", "unless-stopped", "c1"), stop] if kept else [stop])
    container["State"]["Status"] = "exited"
    told.clear()
    base.start(SimpleNamespace(kind="adopted", id="a"), {})
    assert told == [("start", "c1"), *([("update", "--restart", kept, "c1")] if kept else [])]
    assert not (tmp_path / "base" / "restart.json").exists()
