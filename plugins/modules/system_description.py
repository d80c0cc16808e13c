#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_description
short_description: Validate the variables that describe a system
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Reads all variables of the host that begin with C(ops_), resolves their templates, and compares them with the entry
    point C(description) of the role P(runbook.ops.system#role).
  - Fails with one line for each problem, all of them at once. Unknown variables are problems too.
  - Runs on the controller. The host is not connected to.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options: {}
notes:
  - The result is hidden from output when the description holds a secret.
seealso:
  - module: runbook.ops.run_record
"""

EXAMPLES = r"""
- name: Describe the system
  runbook.ops.system_description:
  register: system_description

- name: Use it
  ansible.builtin.debug:
    msg: "{{ system_description['services'] | map(attribute='name') }}"
"""

RETURN = r"""
system:
  description: The system as a whole, as in C(ops_system).
  returned: success
  type: dict
  sample: {name: owlivion, title: Owlivion Mail}
services:
  description:
    - What must run, in an order in which it can be started.
    - All parts of the description are returned under the name of their variable without C(ops_), with defaults filled
      in. What is missing is C(null) or an empty list.
    - Durations and sizes are numbers. Their keys say the unit, such as C(max_age_seconds) for C(max_age), and
      C(memory_bytes) for C(memory).
  returned: success
  type: list
  elements: dict
  sample:
    - {name: nginx, manager: systemd, unit: nginx.service}
run:
  description: What identifies this run of C(ansible-playbook). Equal for all its hosts and plays.
  returned: success
  type: dict
  sample: {id: 5f2b8c9d0e1a, playbook: weekly_maintenance, started_at: '2026-11-23T04:00:00Z', user: ada}
problems:
  description: What is wrong with the description, one line each.
  returned: failure
  type: list
  elements: str
  sample: ['ops_services[1].health.urll is not known (nginx): did you mean url?']
"""
