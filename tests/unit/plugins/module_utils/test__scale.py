# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many instances fit."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._scale import Database, Instances, Memory, bounds, judge

MB = 1 << 20


@pytest.mark.parametrize(
    ("instances", "memory", "most"),
    [
        pytest.param(Instances(2, 200 * MB), Memory(4000 * MB, 1000 * MB), 8, id="as large as those that run"),
        pytest.param(Instances(2, 200 * MB, 300 * MB), Memory(4000 * MB, 1000 * MB), 2, id="those that run may grow"),
        pytest.param(Instances(0, 0), Memory(4000 * MB, 1000 * MB), 4, id="none runs and nobody says"),
        pytest.param(Instances(3, 900 * MB), Memory(4000 * MB, 100 * MB), 2, id="too many already"),
    ],
)
def test_memory_carries_what_is_available_less_what_stays_free(instances: Instances, memory: Memory, most: int) -> None:
    assert bounds(instances, memory, [], keep_percent=10)[0].most == most


@pytest.mark.parametrize(
    ("instances", "database", "most"),
    [
        pytest.param(
            Instances(2, 0, connections=10), Database("shop", 40, 97), 6, id="as many as the description says"
        ),
        pytest.param(Instances(2, 0), Database("shop", 40, 97), 4, id="as many as each has on average"),
        pytest.param(Instances(0, 0), Database("shop", 8, 97), 8, id="none runs"),
        pytest.param(Instances(2, 0), Database("shop", None, said="it is down"), None, id="it does not tell"),
    ],
)
def test_a_database_carries_what_is_left_of_its_connections(
    instances: Instances, database: Database, most: int | None
) -> None:
    (_memory, bound) = bounds(instances, Memory(1 << 40, 1 << 39), [database], keep_percent=10)
    assert bound.most == most


def test_the_smallest_bound_decides_and_is_named() -> None:
    found = bounds(
        Instances(2, 200 * MB, connections=10),
        Memory(4000 * MB, 1000 * MB),
        [Database("shop", 40, 97)],
        keep_percent=10,
    )
    told = judge("worker", 2, 7, found)
    assert (told["fits"], told["most"]) == (False, 6)
    assert told["why"].startswith("connections of shop: 40 of 97 are in use, an instance opens up to 10")
    assert [check["status"] for check in told["checks"]] == ["ok", "critical"]
    assert judge("worker", 2, 6, found)["fits"]


def test_a_database_that_does_not_tell_carries_no_more_and_fewer_fit_always() -> None:
    found = bounds(
        Instances(3, 30 * MB), Memory(4000 * MB, 0), [Database("shop", None, said="it is down")], keep_percent=10
    )
    assert not judge("worker", 3, 4, found)["fits"]
    assert judge("worker", 3, 4, found[1:])["checks"][0]["status"] == "unknown"
    assert judge("worker", 3, 2, found)["fits"]
