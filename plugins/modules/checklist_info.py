#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See what is due of a checklist."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checklist_info
short_description: See what is due of a checklist
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Tells of each item when it was last done, by whom or by which run, and whether that is too long ago. It reads the records of runs,
    where M(runbook.ops.checklist) had it written down.
  - Overdue is V(critical). What nobody has done yet is a warning, and V(critical) once it has been asked for that long.
  - Run it on the host that keeps the records.
extends_documentation_fragment:
  - runbook.ops.attributes.info
  - runbook.ops.checklist
seealso:
  - module: runbook.ops.checklist
"""

EXAMPLES = r"""
- name: See what the quarter asks for
  runbook.ops.checklist_info:
    system: shop
    items: "{{ system_description | runbook.ops.checklist_items('quarterly_review') }}"
"""

RETURN = r"""
checks:
  description: One check for each item, and one for records that are damaged where there are any.
  returned: always
  type: list
  elements: dict
overdue:
  description: Names of the items that are critical.
  returned: always
  type: list
  elements: str
  sample: [access reviewed]
damaged:
  description: Records that could not be read, each with the reason.
  returned: always
  type: list
  elements: dict
"""

from datetime import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checklist import SECTION, ChecklistError, judge
from ansible_collections.runbook.ops.plugins.module_utils._checklist_records import ARGUMENTS, look, moment
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is due."""
    items = options["items"]
    now, zone = moment(options)
    today = datetime.fromtimestamp(now, zone).date()
    seen = look(options, items, now=now, zone=zone)
    checks = [
        judge(item, seen.of(item), today=today, asked=seen.asked.get(item.get("playbook") or "")) for item in items
    ]
    overdue = [check["name"] for check in checks if check["status"] == "critical"]
    if seen.damaged:
        named = ", ".join(f"{one['name']} ({one['reason']})" for one in seen.damaged[:3])
        checks.append(
            make_check(
                "records:damaged",
                name="Damaged records",
                section=SECTION,
                status="warning",
                value=len(seen.damaged),
                unit="records",
                limit=0,
                detail=f"{named}{' and more' if len(seen.damaged) > 3 else ''}: what they confirm is not known",
                remedy="look at the file; confirm again what it said",
            )
        )
    return {"checks": checks, "overdue": overdue, "damaged": seen.damaged}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params)
    except ChecklistError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
