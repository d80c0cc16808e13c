# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter caches: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: caches
short_description: Say which caches of a system's description can be emptied, and how
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes C(ops_caches) of this host. No secret is in the result, only its name, as P(runbook.ops.health_secrets#filter) returns it.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  names:
    description: Names of those that are wanted. All of them without it.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what can be emptied
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.caches | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description:
    - For each cache its C(name), its C(kind), V(redis) or V(nginx), the C(options) of M(runbook.ops.redis_cache) or
      M(runbook.ops.nginx_cache), and C(secret), the name of the password.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._caches import plan_caches
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def caches(description: Mapping[str, Any], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the caches of ``description``."""
    return plan_caches(description, names)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"caches": caches}
