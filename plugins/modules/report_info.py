#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the records of a period say."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report_info
short_description: Read what the records of a period say
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Reads the records of runs of a period and of the one before, and returns what of it wants attention, which targets were met, what
    of the calendar was missed, and when disks, databases, connections, memory and queues will be full.
  - Growth is a line through the values of the last months; a clean-up counts as a step. Where the values do not tell, it says so.
  - Run it on the host that keeps the records.
extends_documentation_fragment:
  - runbook.ops.attributes.info
  - runbook.ops.report
options:
  topics:
    description: What becomes checks.
    type: list
    elements: str
    choices: [capacity, kpis, calendar, records]
    default: [capacity, kpis, calendar, records]
  warning_days:
    description: What is full in less days is a warning.
    type: float
    default: 30
  critical_days:
    description: What is full in less days is critical.
    type: float
    default: 7
seealso:
  - module: runbook.ops.report
"""

EXAMPLES = r"""
- name: See when the disks will be full
  runbook.ops.report_info:
    system: shop
    period: quarter
    current: true
    topics: [capacity]
"""

RETURN = r"""
checks:
  description: One check for each thing of the O(topics).
  returned: always
  type: list
  elements: dict
verdict:
  description: The report in a sentence or two.
  returned: always
  type: str
  sample: Nothing needs attention. Since the period before, 0 new, 2 fixed, 1 unchanged.
period:
  description: The period.
  returned: always
  type: dict
  sample: {kind: month, name: 2026-10, label: October 2026}
counts:
  description: How much of everything there is.
  returned: always
  type: dict
  sample: {attention: 0, new: 0, fixed: 2, unchanged: 1, runs: 62, missed: 0}
attention:
  description: What wants attention, the worst first.
  returned: always
  type: list
  elements: dict
capacity:
  description: When what can be full will be, with the days between which that likely is.
  returned: always
  type: list
  elements: dict
  sample: [{host: shop-1, id: 'disk:/', verdict: days, days: 41.0, low_days: 36.2, high_days: 47.3, per_month: 9.1}]
kpis:
  description: Figures against their targets.
  returned: always
  type: list
  elements: dict
damaged:
  description: Records that could not be read, each with the reason.
  returned: always
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._report_checks import TOPICS, checks_of
from ansible_collections.runbook.ops.plugins.module_utils._report_options import ARGUMENTS, ReportError, build

OWN: dict[str, Any] = {
    "topics": {"type": "list", "elements": "str", "choices": list(TOPICS), "default": list(TOPICS)},
    "warning_days": {"type": "float", "default": 30},
    "critical_days": {"type": "float", "default": 7},
}


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the records say."""
    report = build(options)
    limits = {"warning_days": options["warning_days"], "critical_days": options["critical_days"]}
    return {
        "checks": checks_of(report, options["topics"], **limits),
        **{key: report[key] for key in ("verdict", "period", "counts", "attention", "capacity", "kpis")},
        "damaged": report["records"]["damaged"],
    }


def main() -> None:
    module = AnsibleModule(argument_spec={**ARGUMENTS, **OWN}, supports_check_mode=True)
    try:
        result = run(module.params)
    except ReportError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
