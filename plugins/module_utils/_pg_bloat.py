# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a B-tree index is waste: estimated from the catalogue, or from what pgstatindex read. Private to this collection.

Page and tuple layout: https://www.postgresql.org/docs/current/storage-page-layout.html and
https://www.postgresql.org/docs/current/btree.html (deduplication).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

PAGE_OVERHEAD = 24 + 16  # header, and the B-tree's own space at the end
TUPLE_HEADER, LINE_POINTER, ROW_POINTER = 8, 4, 6
POSTING_BYTES = 1300  # about a sixth of a page: where deduplication begins a new posting list


def key_bytes(columns: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the bytes of one key, None where a column has no statistics."""
    total = 0.0
    for column in columns:
        if column["width"] is None:
            return None
        align = column["align"] if column["fixed"] else 1  # short values of varying length are packed
        total = math.ceil(total / align) * align
        total += column["width"] * (1 - (column["null_fraction"] or 0))
    return math.ceil(total / 8) * 8


def distinct_keys(columns: Sequence[Mapping[str, Any]], rows: float) -> float:
    """Return how many distinct keys ``rows`` have at least: those of the column with the most."""
    most = 1.0
    for column in columns:
        count = column["distinct"]
        if not count:
            return rows
        most = max(most, count if count > 0 else -count * rows)
    return min(most, rows)


def smallest_bytes(index: Mapping[str, Any], block_size: int) -> int | None:
    """Return the fewest bytes that a fresh build of ``index`` could take, None where it cannot be told.

    It errs on the small side, so that what is screened with it is measured rather than overlooked.
    """
    columns = index["columns"]
    width = key_bytes(columns) if columns else None
    if width is None:
        return None
    rows = float(index["rows"])
    item = TUPLE_HEADER + width + LINE_POINTER
    total = rows * item
    if index["deduplicates"] and rows:
        keys = distinct_keys(columns, rows)
        lists = keys * max(1, math.ceil(rows / keys * ROW_POINTER / POSTING_BYTES))
        total = min(total, lists * item + rows * ROW_POINTER)
    page = (block_size - PAGE_OVERHEAD) * index["fillfactor"] / 100
    return (math.ceil(total / page) + 1) * block_size


def measured_waste(index: Mapping[str, Any], measure: Mapping[str, Any], block_size: int, *, dead_share: float) -> int:
    """Return the bytes that a rebuild gives back, from what pgstatindex measured.

    :param dead_share: the part of the entries that the vacuum before the rebuild removes, 0 to 1
    """
    density = (float(measure["density"] or 0)) * (1 - dead_share)
    used = measure["leaf_pages"] * min(1.0, density / index["fillfactor"])
    return max(0, round((measure["leaf_pages"] - used + measure["idle_pages"]) * block_size))
