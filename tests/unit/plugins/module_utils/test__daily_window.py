# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._daily_window import in_window, parse_window, seconds_to_end


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        pytest.param("02:00-05:00", ["02:00", "04:59"], ["01:59", "05:00", "14:00"], id="one night"),
        pytest.param(
            "22:30-04:00", ["22:30", "23:59", "00:00", "03:59"], ["22:29", "04:00", "12:00"], id="across midnight"
        ),
    ],
)
def test_a_window_holds_its_first_minute_and_not_its_last(window, inside, outside):
    for clock in inside + outside:
        assert in_window(window, time.strptime(clock, "%H:%M")) is (clock in inside)


@pytest.mark.parametrize(
    ("window", "now", "seconds"),
    [("02:00-05:00", "04:59:30", 30), ("02:00-05:00", "02:00:00", 10_800), ("22:30-04:00", "23:00:00", 18_000)],
)
def test_a_window_ends_in_so_many_seconds(window, now, seconds):
    assert seconds_to_end(window, time.strptime(now, "%H:%M:%S")) == seconds


@pytest.mark.parametrize("text", ["", "2-5", "24:00-05:00", "02:00", "02:60-03:00", "02:00-05:00x"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(ValueError, match=r"write it as HH:MM-HH:MM"):
        parse_window(text)
