# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter: what is started or stopped along with a service, and in which order."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_steps
short_description: Order what is done to a service and those around it
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns the services that are started before a service, because it needs them, or stopped before it, because they need
    it, and the service itself at the end.
  - Services that are on another host, and therefore not in the list, are left out.
positional: _input, name, state
options:
  _input:
    description: The services, as M(runbook.ops.system_description) returns them, each after those in its C(after).
    type: list
    elements: dict
    required: true
  name:
    description: Name of the service.
    type: str
    required: true
  state:
    description: What is to be done. Only with V(started) and V(stopped) are there others.
    type: str
    required: true
  with_dependants:
    description: Whether what needs the service is stopped before it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what is stopped when the database is
  ansible.builtin.debug:
    msg: "{{ services | runbook.ops.service_steps('postgresql', 'stopped', with_dependants=true) }}"
"""

RETURN = r"""
_value:
  description: The services in the order in which they are acted on, each with C(name) and C(state).
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._service_order import steps
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("a list of services")
def service_steps(
    services: list[dict[str, Any]], name: str, state: str, *, with_dependants: bool = False
) -> list[dict[str, str]]:
    """Return what is done, in order."""
    return steps(services, name, state, with_dependants=with_dependants)


class FilterModule:
    """Offer the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, str]]]]:
        return {"service_steps": service_steps}
