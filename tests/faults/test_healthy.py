# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is well is told to be well, however often it is looked at: no false alarm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ._matrix import NAMES, admit

RUNS = int(os.environ.get("RUNBOOK_HEALTHY_RUNS", "3"))


@pytest.mark.parametrize("name", NAMES)
def test_a_healthy_host_raises_no_false_alarm(name: str, tmp_path: Path) -> None:
    patient = admit(name, tmp_path)
    alarms = []
    for run in range(1, RUNS + 1):
        report = patient.check()
        alarms += [f"run {run}: {one['id']}: {one['detail']}" for one in report["checks"] if one["status"] != "ok"]
        assert {one["id"] for one in report["checks"]} == set(patient.before), f"run {run} looked at something else"
    assert alarms == []
