# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Healthy is what is no worse than allowed."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.test.healthy import is_healthy


def checks(*statuses):
    return [{"status": status} for status in statuses]


@pytest.mark.parametrize(
    ("value", "allow", "expected"),
    [
        (checks("ok", "ok"), "ok", True),
        (checks("ok", "unknown"), "ok", False),
        (checks("ok", "unknown"), "unknown", True),
        (checks("warning"), "unknown", False),
        ({"checks": checks("warning")}, "warning", True),
        ({"status": "critical"}, "warning", False),
        ([], "ok", True),
    ],
)
def test_healthy(value, allow, expected):
    assert is_healthy(value, allow) is expected


def test_a_status_that_does_not_exist_is_refused():
    with pytest.raises(AnsibleFilterError, match="allow must be one of"):
        is_healthy([], "fine")
    with pytest.raises(AnsibleFilterError, match="takes checks"):
        is_healthy([{"status": "fine"}])
