# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waste of an index: estimated from the catalogue on the safe side, exact once it was measured."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_bloat import (
    distinct_keys,
    key_bytes,
    measured_waste,
    smallest_bytes,
)

INT = {"width": 4, "fixed": True, "distinct": -1, "null_fraction": 0, "align": 4}
BIGINT = {"width": 8, "fixed": True, "distinct": -1, "null_fraction": 0, "align": 8}
TEXT = {"width": 33, "fixed": False, "distinct": -1, "null_fraction": 0, "align": 4}
UNKNOWN = {"width": None, "fixed": False, "distinct": None, "null_fraction": 0, "align": 4}
BUILT = 90  # percent of a page that a fresh build fills


@pytest.mark.parametrize(
    ("columns", "size"),
    [
        pytest.param([INT], 8, id="padded to eight"),
        pytest.param([INT, BIGINT], 16, id="aligned before the wider one"),
        pytest.param([TEXT], 40, id="text"),
        pytest.param([{**TEXT, "null_fraction": 0.5}], 24, id="nulls take no room"),
        pytest.param([INT, UNKNOWN], None, id="no statistics, no answer"),
    ],
)
def test_a_key_takes_what_its_columns_take(columns, size):
    assert key_bytes(columns) == size


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        pytest.param([INT], 1000, id="a share of the rows"),
        pytest.param([{**INT, "distinct": 7}], 7, id="a number"),
        pytest.param([{**INT, "distinct": 7}, {**INT, "distinct": 30}], 30, id="at least those of the best column"),
        pytest.param([{**INT, "distinct": 5000}], 1000, id="never more than rows"),
        pytest.param([UNKNOWN], 1000, id="unknown is taken for unique"),
    ],
)
def test_distinct_keys(columns, keys):
    assert distinct_keys(columns, 1000) == keys


# Sizes of real indexes right after REINDEX on PostgreSQL 15: the estimate may be smaller, by a few percent only.
@pytest.mark.parametrize(
    ("columns", "deduplicates", "real"),
    [
        pytest.param([INT], False, 2_260_992, id="primary key, 100 000 rows"),
        pytest.param([TEXT], False, 5_931_008, id="md5 texts, 100 000 rows"),
        pytest.param([{**INT, "distinct": 10}], True, 712_704, id="ten values, deduplicated"),
    ],
)
def test_the_smallest_size_is_near_a_fresh_build_and_never_above_it(columns, deduplicates, real):
    index = {"columns": columns, "rows": 100_000, "deduplicates": deduplicates, "fillfactor": BUILT}
    assert 0.9 * real <= smallest_bytes(index, 8192) <= real


def test_an_index_without_statistics_has_no_estimate():
    assert smallest_bytes({"columns": [UNKNOWN], "rows": 5, "deduplicates": False, "fillfactor": 90}, 8192) is None
    assert smallest_bytes({"columns": None, "rows": 5, "deduplicates": False, "fillfactor": 90}, 8192) is None


@pytest.mark.parametrize(
    ("leaf", "idle", "density", "dead", "pages"),
    [
        pytest.param(100, 0, 90.0, 0, 0, id="as built"),
        pytest.param(100, 0, 95.0, 0, 0, id="fuller than built is no waste, and not less than none"),
        pytest.param(100, 0, 45.0, 0, 50, id="half empty"),
        pytest.param(100, 20, 90.0, 0, 20, id="deleted pages"),
        pytest.param(100, 0, 90.0, 0.5, 50, id="what the vacuum before it empties"),
        pytest.param(100, 0, None, 0, 100, id="empty"),
    ],
)
def test_measured_waste_is_what_a_rebuild_gives_back(leaf, idle, density, dead, pages):
    measure = {"leaf_pages": leaf, "idle_pages": idle, "density": density}
    assert measured_waste({"fillfactor": BUILT}, measure, 8192, dead_share=dead) == pages * 8192


def test_less_live_rows_never_need_more_room():
    sizes = [
        smallest_bytes({"columns": [TEXT], "rows": rows, "deduplicates": False, "fillfactor": 90}, 8192)
        for rows in range(0, 50_000, 500)
    ]
    assert sizes == sorted(sizes)
