# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter health_secrets: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: health_secrets
short_description: Take the secrets that probes need out of a system's description
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Passwords of databases and Redis servers, tokens of queues and keys of object storage, by the names that the probes of
    P(runbook.ops.health_probes#filter) know them by.
  - Returns what O(runbook.ops.health#module:secrets) takes. Keep it out of output with C(no_log).
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Look at all that the system's description names
  runbook.ops.health:
    probes: "{{ system_description | runbook.ops.health_probes }}"
    secrets: "{{ system_description | runbook.ops.health_secrets }}"
"""

RETURN = r"""
_value:
  description: The secrets by name.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_stores import secrets
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def health_secrets(description: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets in ``description``."""
    return secrets(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"health_secrets": health_secrets}
