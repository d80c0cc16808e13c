# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that a killed run has written are read by the next one, which finds them as they should be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"


@pytest.mark.parametrize("role", ["alert_rules", "dashboards"])
def test_whoever_reads_rules_is_told_whether_this_run_wrote_them_or_one_before(role: str) -> None:
    tasks = yaml.safe_load((ROLES / role / "tasks" / "change.yml").read_text(encoding="utf-8"))
    (reload,) = [one for one in tasks if one.get("ansible.builtin.systemd_service", {}).get("state") == "reloaded"]
    assert "changed" not in str(reload["when"])
    assert "changed" in reload["changed_when"], "a second run says that it changed nothing"
