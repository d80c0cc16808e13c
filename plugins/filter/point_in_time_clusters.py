# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter point_in_time_clusters: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: point_in_time_clusters
short_description: Take what point in time needs out of a system's description
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Where a cluster is that pgBackRest saves, how it is kept, and which services write to it.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say who writes to the first cluster
  ansible.builtin.debug:
    msg: "{{ (system_description | runbook.ops.point_in_time_clusters | first)['writers'] }}"
"""

RETURN = r"""
_value:
  description:
    - Of each C(name), C(cluster), C(data_directory), C(config_directory), C(unit) and C(port); C(calendars) of V(full) and V(diff) backups;
      C(repository), options of pgBackRest, some of which are secret; C(databases); C(writers) in the order in which they are
      started; C(unstoppable) ones.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _point_in_time
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def point_in_time_clusters(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be known of each cluster."""
    return _point_in_time.point_in_time_clusters(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"point_in_time_clusters": point_in_time_clusters}
