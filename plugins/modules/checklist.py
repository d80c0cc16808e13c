#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirm that a person did what a checklist asks for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checklist
short_description: Confirm that a person did what a checklist asks for
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Says that items of a checklist were done, by whom and on which day. An item that asks for a figure gets it.
  - The confirmation is a change like any other. It is kept where the run is recorded, by the role P(runbook.ops.record#role), and nowhere
    else. M(runbook.ops.checklist_info) reads it there.
  - Refuses a name that is none, and a day that has not come yet.
attributes:
  check_mode:
    support: full
    details: [Says what would be confirmed.]
  diff_mode:
    support: full
  idempotent:
    support: full
    details: [What is confirmed already, by the same person for the same day, is not confirmed again.]
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.checklist
options:
  names:
    description: Names of the O(items) that were done.
    type: list
    elements: str
    required: true
  by:
    description: Name of who did it.
    type: str
    required: true
  done_on:
    description: Day on which it was done, YYYY-MM-DD. Today without it.
    type: str
  figure:
    description: The figure that the item asks for, in its unit.
    type: float
  note:
    description: What else is to be known, in a line.
    type: str
seealso:
  - module: runbook.ops.checklist_info
"""

EXAMPLES = r"""
- name: Confirm that access was reviewed
  runbook.ops.checklist:
    system: shop
    items: "{{ system_description | runbook.ops.checklist_items }}"
    names: [access reviewed]
    by: Ada Lovelace
    done_on: '2026-11-20'

- name: Enter what Stripe charged
  runbook.ops.checklist:
    system: shop
    items: "{{ system_description | runbook.ops.checklist_items }}"
    names: [fees of Stripe]
    by: Ada Lovelace
    figure: 231.40
"""

RETURN = r"""
changed:
  description: Whether something is, or would be, confirmed that was not.
  returned: always
  type: bool
changes:
  description: One change for each item that is confirmed.
  returned: always
  type: list
  elements: dict
done_on:
  description: Day on which it was done.
  returned: always
  type: str
  sample: '2026-11-20'
checks:
  description: The items as they are then.
  returned: always
  type: list
  elements: dict
"""

from datetime import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _checklist as checklist
from ansible_collections.runbook.ops.plugins.module_utils._checklist_records import ARGUMENTS, look, moment
from ansible_collections.runbook.ops.plugins.module_utils._words import closest

OWN: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "required": True},
    "by": {"type": "str", "required": True},
    "done_on": {"type": "str"},
    "figure": {"type": "float"},
    "note": {"type": "str"},
}


def chosen(items: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """Return the items of these names.

    :raises ChecklistError: there is none of a name.
    """
    known = {item["name"]: item for item in items}
    if not names:
        raise checklist.ChecklistError(
            f"nothing is confirmed: name it with checklist_confirm. Known are {', '.join(known) or 'none'}"
        )
    for name in names:
        if name not in known:
            near = closest(name, known)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(known) or 'none'}"
            raise checklist.ChecklistError(f"there is no item {name!r}: {hint}")
    return [known[name] for name in dict.fromkeys(names)]


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is confirmed; nothing is written here."""
    now, zone = moment(options)
    today = datetime.fromtimestamp(now, zone).date()
    items = chosen(options["items"], options["names"])
    day, name = checklist.day_of(options["done_on"], today=today), checklist.name_of(options["by"])
    done = checklist.Done(day, f"done by {name} on {day.isoformat()}", options["figure"], by=name)
    seen = look(options, items, now=now, zone=zone)
    changes, checks = [], []
    for item in items:
        before = seen.confirmed.get(item["name"])
        change = checklist.confirmation(item, done, before, options["note"])
        if before is None or (before.on, before.by, before.figure) != (done.on, done.by, done.figure):
            changes.append(change)
        checks.append(checklist.judge(item, done, today=today, asked=None))
    return {
        "changed": bool(changes),
        "changes": changes,
        "checks": checks,
        "done_on": day.isoformat(),
        "diff": {
            "before": {change["thing"]: change["before"] for change in changes},
            "after": {change["thing"]: f"{change['after']} {change['reason']}" for change in changes},
        },
    }


def main() -> None:
    module = AnsibleModule(argument_spec={**ARGUMENTS, **OWN}, supports_check_mode=True)
    try:
        result = run(module.params)
    except checklist.ChecklistError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
