# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations mean what people mean by them."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._units import (
    human_duration,
    human_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("500MB", 500_000_000, id="MB is a power of 1000"),
        pytest.param("1MiB", 1_048_576, id="MiB is a power of 1024"),
        pytest.param("1kB", 1000, id="kB"),
        pytest.param("1 KB", 1000, id="case and a blank do not matter"),
        pytest.param("1.5GB", 1_500_000_000, id="a fraction"),
        pytest.param(4096, 4096, id="a number is bytes"),
        pytest.param("4096", 4096, id="a number as text is bytes"),
        pytest.param("9007199254740993", 9007199254740993, id="large whole numbers stay exact"),
        pytest.param(0, 0, id="nothing"),
    ],
)
def test_a_size_is_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "MB", "5 apples", "-1kB", -1, True, None, [], "1e3", float("nan"), "500M"])
def test_what_is_not_a_size_is_refused_in_one_line_with_the_value_and_the_forms(value):
    with pytest.raises(ValueError, match="is not a size") as refused:
        parse_size(value)
    assert repr(value) in str(refused.value)
    assert "MiB" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("26h", 93600.0),
        ("90d", 7_776_000.0),
        ("15m", 900.0),
        ("1h30m", 5400.0),
        ("1h 30min", 5400.0),
        ("2w", 1_209_600.0),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("60", 60.0),
        (5, 5.0),
        (0.5, 0.5),
    ],
)
def test_a_duration_is_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)
    assert isinstance(parse_duration(text), float)


@pytest.mark.parametrize("value", ["", "h", "5 years", "-5m", -1, False, None, "1h30", "1h,30m", float("inf")])
def test_what_is_not_a_duration_is_refused_in_one_line_with_the_value_and_the_forms(value):
    with pytest.raises(ValueError, match="is not a duration") as refused:
        parse_duration(value)
    assert repr(value) in str(refused.value)
    assert "26h" in str(refused.value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (500_000_000, "500 MB"),
        (999_999, "1 MB"),
        (-2_000_000, "-2 MB"),
    ],
)
def test_a_size_reads_with_three_digits(size, text):
    assert human_size(size) == text


def test_a_binary_size_says_so():
    assert human_size(1_048_576, binary=True) == "1 MiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0123, "12ms"),
        (1.25, "1.2s"),
        (59, "59s"),
        (60, "1m"),
        (93600, "1d 2h"),
        (86400 * 90, "90d"),
        (86400 + 5, "1d"),
        (-90, "-1m 30s"),
    ],
)
def test_a_duration_reads_in_its_two_largest_units(seconds, text):
    assert human_duration(seconds) == text


@pytest.mark.parametrize("seconds", [1, 61, 3600, 93600, 7_776_000])
def test_what_is_written_for_people_can_be_read_back(seconds):
    assert parse_duration(human_duration(seconds)) == seconds
