# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter compose_projects: which Compose projects a system has."""

from __future__ import annotations

DOCUMENTATION = r"""
name: compose_projects
short_description: Say which Compose projects a system has
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes the services, and returns each Compose project of them once.
options:
  _input:
    description: The services, as the role P(runbook.ops.system#role) registers them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say where Compose files are
  ansible.builtin.debug:
    msg: "{{ system_description['services'] | runbook.ops.compose_projects | map(attribute='directory') }}"
"""

RETURN = r"""
_value:
  description: For each project its C(directory), the C(file) in it, and C(project), its name, null where nobody has named it.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._compose_images import projects
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("services as the role system registers them")
def compose_projects(services: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the Compose projects of ``services``."""
    return projects(services)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"compose_projects": compose_projects}
