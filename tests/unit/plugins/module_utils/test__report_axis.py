# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Axes of a report's charts end at numbers, durations and days that people count in."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._report_axis import days, label, scale


@pytest.mark.parametrize(
    ("low", "high", "limit", "ends"),
    [
        pytest.param(0, 90, None, (0, 100), id="from nothing"),
        pytest.param(62, 66, 80, (60, 80), id="a near limit is in the picture"),
        pytest.param(2, 3, 1000, (0, 3), id="a far one is not"),
        pytest.param(5, 5, None, (4, 6), id="one value has a scale too"),
        pytest.param(-3, 4, None, (-5, 5), id="below nothing"),
        pytest.param(0, 0, None, (0, 0.5), id="all is nothing"),
    ],
)
def test_an_axis_ends_at_round_numbers(low: float, high: float, limit: float | None, ends: tuple[float, float]) -> None:
    first, last, ticks = scale(low, high, limit)
    assert (first, last) == ends
    assert ticks[0] == first and ticks[-1] == pytest.approx(last) and 2 <= len(ticks) <= 6


@pytest.mark.parametrize(
    ("high", "unit", "told"),
    [
        pytest.param(57, "s", ["0", "20 s", "40 s", "1 min"], id="seconds"),
        pytest.param(18600, "s", ["0", "2 h", "4 h", "6 h"], id="hours"),
        pytest.param(20 * 86400, "s", ["0", "7 d", "14 d", "21 d"], id="days"),
        pytest.param(0.15, "seconds", ["0", "50 ms", "100 ms", "150 ms"], id="milliseconds"),
        pytest.param(11.7e9, "B", ["0", "5 GB", "10 GB", "15 GB"], id="bytes"),
        pytest.param(1400, "orders", ["0", "500", "1\u202f000", "1\u202f500"], id="a unit that is a word stands above"),
        pytest.param(80, "percent", ["0", "50 %", "100 %"], id="a share"),
    ],
)
def test_ticks_are_what_people_count_in(high: float, unit: str, told: list[str]) -> None:
    assert [label(value, unit) for value in scale(0, high, None, unit)[2]] == told


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        pytest.param((2026, 12, 1), (2027, 1, 1), ["1 Dec", "16 Dec", "1 Jan"], id="month"),
        pytest.param((2026, 10, 1), (2027, 1, 1), ["1 Oct", "1 Nov", "1 Dec", "1 Jan"], id="quarter"),
        pytest.param((2026, 1, 1), (2027, 1, 1), ["1 Jan", "1 Apr", "1 Jul", "1 Oct", "1 Jan"], id="year"),
    ],
)
def test_a_long_time_is_told_by_months(
    since: tuple[int, int, int], until: tuple[int, int, int], told: list[str]
) -> None:
    begin, end = (datetime(*day, tzinfo=timezone.utc).timestamp() for day in (since, until))
    assert [words for _at, words in days(begin, end)] == told
