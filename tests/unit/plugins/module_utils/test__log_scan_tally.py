# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts are exact, and bounded where a log has no end of distinct values."""

from __future__ import annotations

import random

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import (
    MOST_ENDPOINTS,
    OTHERS,
    Requests,
    Tops,
    percentile,
    step_of,
)


@pytest.mark.parametrize("percent", [50, 95, 99, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_percentile_is_that_of_the_sorted_list(percent, seed):
    chance = random.Random(seed)
    values = [int(chance.lognormvariate(4, 1)) for _ in range(chance.randrange(1, 500))]
    histogram = {value: values.count(value) for value in values}
    assert percentile(histogram, percent) == sorted(values)[-(-len(values) * percent // 100) - 1]


def test_nothing_has_no_percentile():
    assert percentile({}, 95) is None


@pytest.mark.parametrize(
    ("milliseconds", "step"), [(0, 0), (0.4, 0), (34.0, 34), (9999.4, 9999), (12345.6, 12300), (1e9, 600_000)]
)
def test_durations_are_exact_to_a_millisecond_up_to_ten_seconds(milliseconds, step):
    assert step_of(milliseconds) == step


def test_a_top_list_is_bounded_and_loses_no_count():
    tops = Tops(most=10)
    tops.update([b"often"] * 50)
    for number in range(1000):
        tops.update([b"%d" % number])
    assert len(tops.counts) <= 20
    assert tops.total == 1050
    assert tops.top(1) == [(b"often", 50)]


def test_endpoints_are_bounded_and_lose_no_request():
    requests = Requests()
    for number in range(5 * MOST_ENDPOINTS):
        requests.add(f"GET /{number}", "200", 3)
        requests.add("GET /often", "200", 5)
        requests.trim()
    assert len(requests.endpoints) <= 2 * MOST_ENDPOINTS + 1
    assert requests.whole().count == 10 * MOST_ENDPOINTS
    assert requests.endpoints["GET /often"].count == 5 * MOST_ENDPOINTS
    assert requests.endpoints[OTHERS].count > 0


def test_durations_are_bounded_and_lose_no_request(monkeypatch):
    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally.MOST_STEPS", 100)
    requests = Requests()
    for number in range(1000):
        requests.add(f"GET /{number % 20}", "200", number)
        requests.trim()
    assert requests.whole().count == 1000
    assert sum(requests.whole().durations.values()) == 1000


def test_an_endpoint_that_is_described_is_never_one_of_the_others():
    requests = Requests()
    requests.asked = frozenset({"/pay"})
    requests.add("POST /pay", "200", 90_000.0)
    for number in range(1001):
        requests.add(f"GET /{number}", "200", 1.0, times=2)
    requests.trim()
    assert requests.folded
    assert requests.endpoints["POST /pay"].count == 1
