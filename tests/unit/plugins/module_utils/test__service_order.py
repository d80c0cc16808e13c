# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs what decides the order."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._service_order import steps

SERVICES = [
    {"name": "database", "after": []},
    {"name": "cache", "after": []},
    {"name": "api", "after": ["database", "cache"]},
    {"name": "worker", "after": ["cache"]},
    {"name": "proxy", "after": ["api", "elsewhere"]},
]


@pytest.mark.parametrize(
    ("name", "state", "with_dependants", "expected"),
    [
        pytest.param("proxy", "started", False, "database cache api proxy", id="what it needs starts first"),
        pytest.param("worker", "started", False, "cache worker", id="what it does not need stays as it is"),
        pytest.param("database", "started", True, "database", id="a start starts nothing that needs it"),
        pytest.param(
            "cache", "stopped", True, "proxy worker api cache", id="what needs it stops first, the outermost before"
        ),
        pytest.param("cache", "stopped", False, "cache", id="not unless that is wanted"),
        pytest.param("cache", "restarted", True, "cache", id="a restart is of one"),
        pytest.param("worker", "scaled", True, "worker", id="a scaling is of one"),
        pytest.param("elsewhere", "started", False, "elsewhere", id="one of another host"),
    ],
)
def test_services_are_acted_on_in_the_order_in_which_they_need_each_other(name, state, with_dependants, expected):
    found = steps(SERVICES, name, state, with_dependants=with_dependants)
    assert [one["name"] for one in found] == expected.split()
    assert {one["state"] for one in found} == {state}


def test_services_that_wait_for_each_other_come_to_an_end():
    circle = [{"name": "a", "after": ["b"]}, {"name": "b", "after": ["a"]}]
    assert [one["name"] for one in steps(circle, "a", "started")] == ["b", "a"]
