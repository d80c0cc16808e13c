# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to bring the monitor of a host to a state. Private to this collection."""

from __future__ import annotations

import json

from ansible_collections.runbook.ops.plugins.module_utils import _engine_plan
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import ETC
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Cron, Installed, Step

SECTION = "Monitor"
CONFIG, SECRETS = f"{ETC}/monitor.json", f"{ETC}/monitor.secrets.json"


def plan(before: Installed, wanted: Installed, cron: Cron) -> list[Step]:
    """Return the steps, in order, from ``before`` to ``wanted``, which is nothing where the monitor is to go.

    A new one runs once before a line of cron goes, and before the old engine does.
    """
    steps = _engine_plan.plan(before, wanted, cron)
    if not wanted.files or not any(step.verb == "write" for step in steps):
        return steps
    metrics = json.loads(wanted.files[CONFIG].content)["textfile"]
    removes = [step for step in steps if step.verb == "remove" and step.path not in before.partials]
    removes += [Step("remove", path) for path in before.leftovers if path.endswith(".prom") and f"/{path}" != metrics]
    crontabs = [step for step in steps if step.verb == "crontab"]
    rest = [step for step in steps if step not in removes and step not in crontabs]
    return [*rest, Step("run"), *removes, *crontabs]
