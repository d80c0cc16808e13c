# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test healthy: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: healthy
short_description: Say whether no check is worse than allowed
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes a list of checks, a result that has one under C(checks), or one check.
  - Without an argument everything has to be V(ok).
options:
  _input:
    description: The checks.
    type: raw
    required: true
  allow:
    description: The worst status that still counts as healthy.
    type: str
    choices: [ok, unknown, warning, critical]
    default: ok
"""

EXAMPLES = r"""
- name: Stop unless all is well, warnings aside
  ansible.builtin.assert:
    that: report is runbook.ops.healthy(allow='warning')
"""

RETURN = r"""
_value:
  description: Whether it is healthy.
  type: bool
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, worst_status


def is_healthy(value: Any, allow: str = "ok") -> bool:
    """Return whether no check in ``value`` is worse than ``allow``."""
    checks = value.get("checks", [value]) if isinstance(value, dict) else value
    if allow not in STATUSES:
        raise AnsibleFilterError(f"runbook.ops.healthy: allow must be one of {', '.join(STATUSES)}, not {allow!r}")
    try:
        return STATUSES.index(worst_status(checks)) <= STATUSES.index(allow)
    except (KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError("runbook.ops.healthy: takes checks, or a result that holds them") from exc


class TestModule:
    """What Ansible looks for."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Return the tests of this file by name."""
        return {"healthy": is_healthy}
