# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter alert_routes: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: alert_routes
short_description: Put a system's route into a configuration of Alertmanager
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Adds one route for alerts with the system's label, the receivers that the description names, and an inhibition of warnings
    where the same alert is critical. All else stays as it is, but for comments.
  - Where nothing has to change, the text is returned as it was given.
options:
  _input:
    description: The configuration as text.
    type: str
    required: true
  description:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  present:
    description: Whether the route is to be there.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: See what Alertmanager would read
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'alertmanager.yml') | runbook.ops.alert_routes(system_description) }}"
"""

RETURN = r"""
_value:
  description: The configuration as text.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._alert_rules import merge_route
from ansible_collections.runbook.ops.plugins.module_utils._contract import plain


def alert_routes(config: str, description: Mapping[str, Any], present: bool = True) -> str:
    """Return ``config`` with the route of ``description``."""
    try:
        read = yaml.safe_load(config) or {}
        merged = plain(merge_route(read, description, present=bool(present)))
    except yaml.YAMLError as exc:
        raise AnsibleFilterError(f"runbook.ops.alert_routes: the configuration is not YAML: {exc}") from exc
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(
            f"runbook.ops.alert_routes: cannot be understood ({type(exc).__name__}: {exc})"
        ) from exc
    return config if merged == read else yaml.safe_dump(merged, sort_keys=False, allow_unicode=True, width=120)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"alert_routes": alert_routes}
