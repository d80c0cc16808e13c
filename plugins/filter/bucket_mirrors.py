# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter bucket_mirrors: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bucket_mirrors
short_description: Say which buckets of a system's description have a mirror, and where
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes those of C(ops_buckets) that name another one as their C(mirror). No secret is in the result, only its name, as
    P(runbook.ops.health_secrets#filter) returns it.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  names:
    description: Names of those of C(ops_buckets) that are wanted. All that have a mirror without it.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what is mirrored
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.bucket_mirrors | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description:
    - For each bucket its C(name) and that of its C(mirror), C(source) and C(target) as M(runbook.ops.bucket_sync) takes them, but without
      keys, its other C(options), and C(secrets), the names of the keys of both.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._bucket_mirrors import plan_mirrors
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def bucket_mirrors(description: Mapping[str, Any], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the mirrors of ``description``."""
    return plan_mirrors(description, names)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"bucket_mirrors": bucket_mirrors}
