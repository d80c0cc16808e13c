# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many things side by side: in order, few at a time, and the first error ends it."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bucket_pool import AHEAD, in_order


def test_results_come_in_the_order_of_the_things():
    found = in_order(4, range(50), lambda one: (time.sleep(0.001 * (one % 5)), one)[1])
    assert list(found) == list(range(50))


def test_few_things_are_taken_ahead_and_what_is_known_is_not_worked_on():
    taken, worked = [], []

    def things():
        for one in range(1000):
            taken.append(one)
            yield one

    found = in_order(2, things(), lambda one: worked.append(one) or one, skip=lambda one: one if one % 2 else None)
    assert [next(found) for _one in range(10)] == list(range(10))
    assert len(taken) <= 10 + 2 * AHEAD + 1
    found.close()
    assert all(one % 2 == 0 for one in worked)


def test_the_first_error_ends_it_and_lets_the_others_know():
    stop = threading.Event()

    def work(one: int) -> int:
        if one == 3:
            raise OSError("full")
        stop.wait(60)
        return one

    began = time.monotonic()
    with pytest.raises(OSError, match="full"):
        list(in_order(4, range(3, 100), work, give_up=stop.set))
    assert time.monotonic() - began < 30
