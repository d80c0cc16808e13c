# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that was just started for the first time is not restored into before it is there for good."""

from __future__ import annotations

from pathlib import Path

import yaml

TASKS = Path(__file__).parents[3] / "roles" / "disaster_recovery" / "tasks" / "databases.yml"


def test_the_first_that_asks_a_server_waits_for_it():
    asking = [one for one in yaml.safe_load(TASKS.read_text()) if "pg" in str(list(one))]
    assert asking[0]["runbook.ops.pg_role"]["wait_seconds"] >= 300
