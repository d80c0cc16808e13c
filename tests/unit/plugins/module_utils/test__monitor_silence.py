# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A silence of the monitor ends when its time is over, whatever becomes of who began it, of the host and of its clock."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_silence as silence
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import Clock
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError

NOW = Clock("boot", 1000.0, 1_800_000_000.0)


def begin(directory, work="deploy-shop", run="aaa", seconds=120.0, now=NOW):
    return silence.begin(work, run, reason="v2", seconds=seconds, now=now, directory=str(directory))


@pytest.mark.parametrize(
    ("now", "lasts"),
    [
        pytest.param(NOW._replace(ticks=1119.0), True, id="a moment before its end"),
        pytest.param(NOW._replace(ticks=1120.0), False, id="at its end"),
        pytest.param(NOW._replace(ticks=1119.0, at=0.0), True, id="the clock on the wall is set back"),
        pytest.param(NOW._replace(ticks=1121.0, at=0.0), False, id="its end, though the clock on the wall is set back"),
        pytest.param(Clock("next", 5.0, NOW.at + 60), True, id="after a reboot, before its end"),
        pytest.param(Clock("next", 5.0, NOW.at + 121), False, id="after a reboot, after its end"),
    ],
)
def test_it_lasts_for_its_time_and_no_longer(tmp_path, now, lasts):
    assert begin(tmp_path)
    assert bool(silence.lasting(now, str(tmp_path))) is lasts


def test_a_reboot_with_a_clock_that_was_set_back_makes_it_no_longer_than_it_was(tmp_path):
    begin(tmp_path)
    assert silence.lasting(Clock("next", 5.0, NOW.at - 86400), str(tmp_path))[0]["left"] == 120


def test_its_run_ends_it_and_another_does_not(tmp_path):
    begin(tmp_path)
    silence.end("deploy-shop", "bbb", directory=str(tmp_path))
    assert [silence.says(one) for one in silence.lasting(NOW, str(tmp_path))] == [
        "deploy-shop (run aaa: v2), 120 s more at most"
    ]
    silence.end("deploy-shop", "aaa", directory=str(tmp_path))
    silence.end("deploy-shop", "aaa", directory=str(tmp_path))
    assert silence.lasting(NOW, str(tmp_path)) == []


def test_two_works_silence_it_each_for_itself(tmp_path):
    begin(tmp_path)
    begin(tmp_path, work="maintenance-window", run="bbb")
    silence.end("deploy-shop", "aaa", directory=str(tmp_path))
    assert [one["work"] for one in silence.lasting(NOW, str(tmp_path))] == ["maintenance-window"]


def test_where_no_monitor_is_nothing_is_written(tmp_path):
    assert not begin(tmp_path / "none")
    assert silence.lasting(NOW, str(tmp_path / "none")) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"owner": "aaa", "work": "x", "reason": "y", "ends": 1}'])
def test_what_cannot_be_read_silences_nobody(tmp_path, content):
    begin(tmp_path)
    (tmp_path / silence.FOLDER / "deploy-shop.json").write_text(content)
    assert silence.lasting(NOW, str(tmp_path)) == []


def test_the_name_of_a_work_leads_nowhere_else(tmp_path):
    with pytest.raises(StateError, match="cannot be the name of a file"):
        begin(tmp_path, work="../x")
