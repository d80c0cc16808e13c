# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors to sizes, durations, statuses and probes: what goes through, and what is refused under their names."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.filter import (
    health_probes,
    human_size,
    parse_duration,
    parse_size,
    worst_status,
)

DOORS = (health_probes, human_size, parse_duration, parse_size, worst_status)


def call(door, *arguments):
    (function,) = door.FilterModule().filters().values()
    return function(*arguments)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__.rpartition(".")[2])
def test_a_filter_is_named_after_its_file(door):
    assert list(door.FilterModule().filters()) == [door.__name__.rpartition(".")[2]]


@pytest.mark.parametrize(
    ("door", "value", "expected"),
    [
        (parse_size, "500MB", 500_000_000),
        (parse_duration, "26h", 93600.0),
        (human_size, 211_000_000, "211 MB"),
        (worst_status, [{"status": "ok"}, {"status": "warning"}], "warning"),
        (worst_status, [], "ok"),
    ],
)
def test_what_is_right_goes_through(door, value, expected):
    assert call(door, value) == expected


@pytest.mark.parametrize(
    ("door", "value"),
    [
        (parse_size, "many"),
        (parse_duration, "long"),
        (human_size, "1 MB"),
        (human_size, True),
        (worst_status, [{"state": "ok"}]),
        (worst_status, [{"status": "fine"}]),
        (health_probes, {"services": [{"name": "x"}]}),
    ],
)
def test_what_is_wrong_is_refused_under_the_filters_name(door, value):
    name = door.__name__.rpartition(".")[2]
    with pytest.raises(AnsibleFilterError, match=rf"runbook\.ops\.{name}: "):
        call(door, value)
