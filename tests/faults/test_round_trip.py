# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the morning checklist looks at, Ansible goes to the host once."""

from __future__ import annotations

from .conftest import Host


def test_the_checklist_is_one_round_trip(host: Host) -> None:
    outcome = host.play("health_check", "-vvv", variables={"health_fail_on": "never"})
    assert outcome.code == 0, outcome.text
    assert len(outcome.lines_with("SSH: EXEC")) == 1
    assert not outcome.lines_with(" PUT ")  # nothing is copied to a file there first
