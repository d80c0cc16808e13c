# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook and the timer do the parts of a backup in an order in which none keeps another from what it is there for."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import MODULES

MAIN = Path(__file__).parents[3] / "roles" / "backup" / "tasks" / "main.yml"


def test_mirrors_of_buckets_come_last_for_one_that_is_refused_ends_the_play():
    parts = [one["ansible.builtin.import_tasks"] for one in yaml.safe_load(MAIN.read_text())]
    assert {"change.yml", "change_mongodb.yml", "offsite.yml", "verify.yml"} <= set(parts[:-1])
    assert parts[-1] == "mirrors.yml"


def test_in_a_job_they_come_last_too_for_a_first_copy_may_take_longer_than_a_job_may():
    assert MODULES[-1] == "bucket_sync"
