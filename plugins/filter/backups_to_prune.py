# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter: which backups a keep rule lets go."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backups_to_prune
short_description: Name the backups that a keep rule lets go
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Applies the rules of the module M(runbook.ops.backup_rotate) to a list of names, and deletes nothing.
  - It cannot look at files, so every finished backup is taken for a good one.
positional: _input, keep
options:
  _input:
    description: Names of backups, with a date in them.
    type: list
    elements: str
    required: true
  keep:
    description:
      - The rule, as in O(runbook.ops.backup_rotate#module:keep). A duration is a number of seconds, or V(90d).
    type: dict
    required: true
  pattern:
    description: Only names that match this glob are backups.
    type: str
    default: '*'
  minimum:
    description: So many of the newest backups stay whatever O(keep) says.
    type: int
    default: 3
  date_format:
    description: How the date is written, of C(%Y %m %d %H %M %S). Without it the usual forms are found.
    type: str
"""

EXAMPLES = r"""
- name: Show what a rule would let go
  ansible.builtin.debug:
    msg: "{{ names | runbook.ops.backups_to_prune({'within': '90d', 'monthly': 12}) }}"
"""

RETURN = r"""
_value:
  description: Names of the backups that go, oldest first.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, read_dates
from ansible_collections.runbook.ops.plugins.module_utils._retention import prune, read_keep
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("names, and a mapping of what is kept")
def backups_to_prune(
    names: list[str],
    keep: Mapping[str, Any],
    *,
    pattern: str = "*",
    minimum: int = 3,
    date_format: str | None = None,
) -> list[str]:
    """Return those of ``names`` that ``keep`` lets go."""
    found = read_dates(names, pattern=pattern, date_format=date_format)
    plan = prune(found.backups, keep=read_keep(keep), now=None, minimum=minimum)
    return [backup[NAME] for backup in plan.delete]


class FilterModule:
    """Offer the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"backups_to_prune": backups_to_prune}
