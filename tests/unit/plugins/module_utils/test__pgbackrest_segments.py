# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A segment that is missing is found, where a recovery comes by it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import Lineage
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_segments import (
    Segment,
    first_needed,
    gaps,
    needed_gap,
    read_segments,
)


def listing(*numbers: str) -> str:
    known = {
        f"15-1/{name[:16]}/{name}-{'a' * 40}.zst": {"type": "file", "time": 100 + place}
        for place, name in enumerate(numbers)
    }
    return json.dumps({".": {"type": "path"}, "15-1/00000002.history": {"type": "file", "time": 1}, **known})


def names(numbers: list[int], timeline: int = 1) -> list[str]:
    return [f"{timeline:08X}{number >> 8:08X}{number & 0xFF:08X}" for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        pytest.param([3, 4, 5], [], id="none"),
        pytest.param([3, 5, 6, 9], [4, 7], id="two"),
        pytest.param([0xFE, 0xFF, 0x100], [], id="over the end of a log"),
        pytest.param([0xFE, 0x100], [0xFF], id="at the end of a log"),
    ],
)
def test_missing_segments_are_found(numbers: list[int], missing: list[int]) -> None:
    found = gaps(read_segments(listing(*names(numbers))))
    assert [name for name, _at in found] == names(missing)


def test_what_is_older_than_the_oldest_backup_is_not_looked_at() -> None:
    segments = read_segments(listing(*names([1, 4, 5, 6])))
    assert gaps(segments, after=names([4])[0]) == []
    assert [name for name, _at in gaps(segments, after=names([3])[0])] == names([3])
    assert [name for name, _at in gaps([], after=names([3])[0])] == names([3])


def test_a_new_timeline_is_no_gap() -> None:
    listed = [*names([3, 4]), *names([4, 5], timeline=2)]
    assert gaps(read_segments(listing(*listed)), after=names([3])[0]) == []


def test_a_gap_of_a_timeline_that_no_backup_is_on_harms_nobody() -> None:
    listed = read_segments(listing(*names([1, 3]), *names([4, 5], timeline=2)))
    assert gaps(listed, after=names([4], timeline=2)[0]) == []
    assert [name for name, _at in gaps(listed, after=names([1])[0])] == names([2])


def test_the_first_segment_that_is_needed_is_on_the_oldest_timeline_of_a_backup() -> None:
    def backup(start: str) -> Any:
        return type("Backup", (), {"wal_start": start})()

    first = first_needed([backup(names([4], timeline=2)[0]), backup(names([6])[0]), backup("")])
    assert first == names([6])[0]
    assert first_needed([backup("")]) == ""


def test_larger_segments_have_fewer_places_in_a_log() -> None:
    segments = [Segment(1, 0x3F, 1), Segment(1, 1 << 32, 2)]
    assert gaps(segments, segment_bytes=64 << 20) == []


def test_a_gap_counts_only_where_the_recovery_comes_by() -> None:
    found = [("000000010000000000000004", 1000), ("000000020000000000000009", None)]

    def needed(second: int, lineage: Lineage | None = None) -> str | None:
        return needed_gap(found, datetime.fromtimestamp(second, timezone.utc), lineage=lineage)

    assert needed(999, Lineage(1, {})) is None
    assert needed(1000, Lineage(1, {})) == found[0][0]
    assert needed(999, Lineage(2, {1: 5})) == found[1][0]
