# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the monitor on the host looks, and whether its messages arrive."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import monitor

STATE = {"saved": 1, "at": 0, "msg": "9 ok", "outbox": [], "channels": {}}


def look(tmp_path, *states):
    paths = []
    for number, state in enumerate(states):
        path = tmp_path / f"{number}.json"
        path.write_text(state if isinstance(state, str) else json.dumps({**STATE, **state}), encoding="utf-8")
        paths.append(str(path))
    options = read_options({"probe": "monitor", "paths": paths or [str(tmp_path / "none")]}, monitor.OPTIONS, where="x")
    checks = monitor.judge(monitor.measure(options), {**options, "section": monitor.SECTION})
    return {check["id"]: (check["status"], check["detail"]) for check in checks}


@pytest.mark.parametrize(
    ("ago", "status"), [(10, "ok"), (840, "ok"), (1000, "warning"), (3700, "critical"), (-500, "ok")]
)
def test_a_monitor_must_have_looked_lately(tmp_path, ago, status):
    assert look(tmp_path, {"at": time.time() - ago})["monitor:look"][0] == status


def test_the_newest_of_what_it_keeps_counts(tmp_path):
    found = look(tmp_path, {"saved": 5, "at": time.time()}, {"saved": 4, "at": 0})
    assert found["monitor:look"][0] == "ok"


def test_a_receiver_that_takes_nothing_is_named(tmp_path):
    channels = {"email": {"failures": 3, "error": "no answer"}, "webhook": {"failures": 0, "error": None}}
    found = look(tmp_path, {"at": time.time(), "channels": channels, "outbox": [{}]})
    assert found["monitor:messages"] == ("warning", "email: no answer")


@pytest.mark.parametrize(("states", "words"), [([], "no monitor has looked"), (["{"], "is not JSON")])
def test_what_cannot_be_read_is_unknown(tmp_path, states, words):
    with pytest.raises(ProbeError, match=words):
        look(tmp_path, *states)
