# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that a killed run has written are read by the next one, which finds them as they should be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._alert_rules import make_rules

from ._inventories import INVENTORIES, describe

ROLES = Path(__file__).parents[3] / "roles"
SYSTEMS = sorted(path.parent.name for path in INVENTORIES.glob("*/*/*/main.yml") if path.parent.name in path.parts[:-2])


@pytest.mark.parametrize("role", ["alert_rules", "dashboards"])
def test_whoever_reads_rules_is_told_whether_this_run_wrote_them_or_one_before(role: str) -> None:
    tasks = yaml.safe_load((ROLES / role / "tasks" / "change.yml").read_text(encoding="utf-8"))
    (reload,) = [one for one in tasks if one.get("ansible.builtin.systemd_service", {}).get("state") == "reloaded"]
    assert "changed" not in str(reload["when"])
    assert "changed" in reload["changed_when"], "a second run says that it changed nothing"


@pytest.mark.parametrize("role", ["alert_rules", "dashboards"])
def test_what_is_proven_is_what_was_read_after_it_was_written(role: str) -> None:
    """Rules that Prometheus evaluated before are no proof of those that were written just now."""
    written = [one["name"] for one in yaml.safe_load((ROLES / role / "tasks" / "change.yml").read_text("utf-8"))]
    noted = next(place for place, name in enumerate(written) if re.search("when .* last$", name))
    assert "Let " in written[noted + 1], "the time is noted right before the reload"
    proof = yaml.safe_load((ROLES / role / "tasks" / "verify.yml").read_text("utf-8"))
    assert "config_last_reload_successful 1" in str(proof[0]["until"])
    assert "_read_at) != " in str(proof[0]["until"])


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_alert_leads_to_a_playbook_that_is_there(system: str) -> None:
    groups = make_rules(describe(system).system, metrics=True, interval_seconds=300)["groups"]
    named = {rule["annotations"]["runbook"] for group in groups for rule in group["rules"]}
    assert named
    assert {name for name in named if not (ROLES.parent / "playbooks" / f"{name}.yml").is_file()} == set()
