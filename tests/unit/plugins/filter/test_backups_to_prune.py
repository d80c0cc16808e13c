# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second door to the keep rules."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.filter.backups_to_prune import backups_to_prune

NAMES = [f"b_202611{day:02d}.sql" for day in range(1, 11)]


def test_it_names_what_goes_oldest_first():
    assert backups_to_prune(NAMES[::-1], {"within": "3d"}) == NAMES[:6]


def test_the_minimum_stays():
    assert backups_to_prune(NAMES, {"last": 1}, minimum=8) == NAMES[:2]


@pytest.mark.parametrize(
    ("keep", "message"), [({"dayly": 1}, "does not know dayly"), ({"within": "soon"}, "not a duration")]
)
def test_a_rule_that_cannot_be_meant_is_refused(keep, message):
    with pytest.raises(AnsibleFilterError, match=rf"runbook.ops.backups_to_prune: .*{message}"):
        backups_to_prune(NAMES, keep)
