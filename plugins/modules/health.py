#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: look at a host with any number of probes at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health
short_description: Look at a host with any number of probes at once
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Runs all probes side by side in one process on the host, each within its own time. One round trip, whatever is asked.
  - A probe that cannot look, or does not end in time, is V(unknown) with the reason. It never takes the others down.
  - The probes and their options stand in U(https://github.com/runbook-ops/runbook.ops/blob/main/docs/health.md).
    A probe or an option that does not exist is refused before anything is looked at.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  probes:
    description:
      - What to look at. Each has C(probe), the options of that probe, and where wanted C(name), C(section)
        and C(timeout_seconds).
      - The filter P(runbook.ops.health_probes#filter) makes them from a system's description.
    type: list
    elements: dict
    required: true
  secrets:
    description: Secrets by name. A probe names the one it needs, so that none stands among its options.
    type: dict
    default: {}
  timeout_seconds:
    description: Seconds for all probes together. What has no answer by then is V(unknown).
    type: float
    default: 30
  report_path:
    description:
      - File on the controller that gets the result as JSON, also when the task fails. Its directory must exist.
      - With several hosts it has to hold C(inventory_hostname). In check mode, and without it, no file is written.
    type: path
  fail_on:
    description:
      - Fail when the worst status is this one or a worse one; everything is returned all the same.
      - To find a bad state is not to fail at looking, so without it the module only tells.
    type: str
    choices: [critical, warning, unknown, never]
    default: never
"""

EXAMPLES = r"""
- name: See whether the host and its web server are well
  runbook.ops.health:
    probes:
      - {probe: disk}
      - {probe: memory}
      - {probe: systemd_unit, units: [nginx, 'postgresql@*.service']}
      - {probe: http, name: API, url: 'https://example.com/health', json: {status: ok}}
  register: report

- name: Look at all that the system's description names, and fail when something is critical
  runbook.ops.health:
    probes: "{{ system_description | runbook.ops.health_probes }}"
    secrets: "{{ system_description | runbook.ops.health_secrets }}"
    fail_on: critical

- name: Ask a database over TCP with a password
  runbook.ops.health:
    probes:
      - {probe: postgresql, database: shop, host: db.example.com, user: monitor, password: shop}
    secrets: {shop: '{{ vault_shop_password }}'}
"""

RETURN = r"""
checks:
  description: All observations, in the order of the probes.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable and unique on a host.
      type: str
      sample: disk:/
    name:
      description: What was looked at, for people.
      type: str
      sample: Disk /
    section:
      description: The heading it stands under.
      type: str
      sample: Host
    status:
      description: V(ok), V(unknown), V(warning) or V(critical).
      type: str
      sample: warning
    value:
      description: What was measured, null where there is no number or word for it.
      type: raw
      sample: 83.4
    unit:
      description: Unit of the value and of the limit.
      type: str
      sample: '%'
    limit:
      description: The limit that the value was compared with, null where there is none.
      type: raw
      sample: 80
    detail:
      description: One line for people.
      type: str
      sample: 6.6 GB of 40 GB free
    remedy:
      description: What to do next, null where all is well.
      type: str
      sample: 'find what grew: du -x --max-depth=2 /'
    because:
      description: The RV(checks[].id) of the bad check that this one follows from, null where it does not.
      type: str
      sample: postgresql:shop
status:
  description: The worst status, V(ok) where nothing was checked.
  returned: always
  type: str
  sample: warning
summary:
  description: How many checks are in each status.
  returned: always
  type: dict
  sample: {ok: 11, unknown: 0, warning: 1, critical: 0}
msg:
  description: The same in one line, with the worst by name.
  returned: always
  type: str
  sample: '1 warning, 11 ok; warning: Disk / (6.6 GB of 40 GB free)'
seconds:
  description: How long it took on the host.
  returned: always
  type: float
  sample: 0.061
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._health import check_health, fails

ARGUMENTS = {
    "probes": {"type": "list", "elements": "dict", "required": True},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "timeout_seconds": {"type": "float", "default": 30},
    "report_path": {"type": "path"},  # the action of the same name takes it: it is a path of the controller
    "fail_on": {"type": "str", "choices": ["critical", "warning", "unknown", "never"], "default": "never"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    try:
        result = check_health(given["probes"], secrets=given["secrets"], timeout_seconds=given["timeout_seconds"])
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    if fails(result["status"], given["fail_on"]):
        module.fail_json(**result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
