# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a moment is over."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.test.expired import is_expired

NOW = "2026-11-21T08:00:00Z"


@pytest.mark.parametrize(
    ("value", "within", "expected"),
    [
        pytest.param("2026-11-21T07:59:59Z", 0, True, id="over"),
        pytest.param("2026-11-21T08:00:01Z", 0, False, id="not over"),
        pytest.param("2026-11-21T08:30:00+01:00", 0, True, id="a zone counts"),
        pytest.param("2026-11-21T07:00:00", 0, True, id="no zone is UTC"),
        pytest.param("2026-11-27T08:00:00Z", "7d", True, id="over within a week"),
        pytest.param("2026-11-29T08:00:00Z", "7d", False, id="not over within a week"),
        pytest.param({"expires_at": "2026-11-20T00:00:00Z"}, 0, True, id="a certificate"),
        pytest.param({"expires_at": None}, 0, True, id="a certificate that could not be read"),
    ],
)
def test_a_moment_is_compared(value, within, expected):
    assert is_expired(value, within=within, now=NOW) is expected


@pytest.mark.parametrize(("value", "within"), [("soon", 0), (NOW, "a while"), ([], 0)])
def test_what_is_no_time_is_refused(value, within):
    with pytest.raises(AnsibleFilterError, match=r"runbook\.ops\.expired: "):
        is_expired(value, within=within)


def test_without_now_the_clock_decides():
    assert is_expired("2020-01-01T00:00:00Z")
    assert not is_expired("2999-01-01T00:00:00Z")
