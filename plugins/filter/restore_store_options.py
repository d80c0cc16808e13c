# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter restore_store_options: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: restore_store_options
short_description: Take what the restore of a Redis server or of files needs out of a system's description
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - How a Redis server or a MongoDB database is reached, or which paths are restored; where the backups are, and which services use them.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  redis:
    description: Name of the Redis server. Either this or O(mongodb) or O(files) is needed.
    type: str
    default: ""
  files:
    description: Name of the item of C(ops_backups) that saves the files.
    type: str
    default: ""
  paths:
    description: Only these, with O(files).
    type: list
    elements: str
    default: []
  mongodb:
    description: Name of the MongoDB database.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say who uses a Redis server
  ansible.builtin.debug:
    msg: "{{ (system_description | runbook.ops.restore_store_options(redis='sessions'))['writers'] }}"
"""

RETURN = r"""
_value:
  description:
    - C(reach), options of M(runbook.ops.redis_restore), M(runbook.ops.mongodb_restore) or
      M(runbook.ops.file_restore); C(secret), the name of the password in
      P(runbook.ops.health_secrets#filter); C(about), what the health check calls it; C(directory), C(set) and C(form), which is
      compression and encryption, of its backups; C(writers), which are stopped and started, in the order in which they are started;
      C(reloaded) services; C(unstoppable) ones.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _restore_store_options as options
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def restore_store_options(
    description: Mapping[str, Any], redis: str = "", files: str = "", paths: Sequence[str] = (), mongodb: str = ""
) -> dict[str, Any]:
    """Return what the restore of a Redis server, a MongoDB database or of files needs."""
    if [bool(redis), bool(files), bool(mongodb)].count(True) != 1:
        raise ValueError("name a Redis server, a MongoDB database, or files, and one of them only")
    if mongodb:
        return options.mongodb_options(description, mongodb)
    return options.redis_options(description, redis) if redis else options.file_options(description, files, paths)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"restore_store_options": restore_store_options}
