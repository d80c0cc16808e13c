# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter migration_options: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: migration_options
short_description: Take what the migrations of a service need out of a system's description
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Options of M(runbook.ops.database_migration), how the database is reached, and where its backups are.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  service:
    description: Name of the service.
    type: str
    required: true
  release:
    description: Absolute directory of the application in a release. What the description names without it.
    type: str
    default: ""
  identity:
    description: Name of the release. Required where Compose runs it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say which database a release may change
  ansible.builtin.debug:
    msg: "{{ (system_description | runbook.ops.migration_options('owlivion-sync-server'))['database'] }}"
"""

RETURN = r"""
_value:
  description:
    - Options of M(runbook.ops.database_migration), and C(reach), those of the connection; C(secret), the name of its password in
      P(runbook.ops.health_secrets#filter). Empty where the service has no migrations.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _migration_options
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def migration_options(
    description: Mapping[str, Any], service: str, release: str = "", identity: str = ""
) -> dict[str, Any]:
    """Return what the migrations of ``service`` need."""
    return _migration_options.migration_options(description, service, release, identity)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"migration_options": migration_options}
