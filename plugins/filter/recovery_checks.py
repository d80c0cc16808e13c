# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter recovery_checks: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recovery_checks
short_description: Judge how long a recovery took and how much it lost
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns recovery time and recovery point as checks, critical where they exceed what was promised, and one check for each step.
options:
  _input:
    description: What was done when, each with C(step) and C(at) in seconds since the epoch. The first is the beginning.
    type: list
    elements: dict
    required: true
  backups:
    description: Names of the backups that were restored.
    type: list
    elements: str
    required: true
  rto_seconds:
    description: The longest time to recover that was promised.
    type: float
  rpo_seconds:
    description: The longest time of which data may be lost that was promised.
    type: float
  failed:
    description: What failed, where the recovery did not come to its end.
    type: str
  for_real:
    description: Whether it was no drill. What was promised and not kept is a warning then, for the recovery itself has succeeded.
    type: bool
    default: false
  data_only:
    description: Whether only data was restored, as a test. Its time is then no recovery time.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Judge a recovery
  ansible.builtin.set_fact:
    __drill:
      checks: "{{ marks | runbook.ops.recovery_checks(backups=names, rto_seconds=14400, rpo_seconds=86400) }}"
"""

RETURN = r"""
_value:
  description: The checks.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._recovery_times import judge


def recovery_checks(
    marks: Sequence[Mapping[str, Any]],
    backups: Sequence[str] = (),
    *,
    rto_seconds: float | None = None,
    rpo_seconds: float | None = None,
    failed: str | None = None,
    data_only: bool = False,
    for_real: bool = False,
) -> list[dict[str, Any]]:
    """Return the checks for ``marks``."""
    try:
        promised = {"rto_seconds": rto_seconds, "rpo_seconds": rpo_seconds}
        return judge(marks, backups, **promised, failed=failed or None, data_only=data_only, for_real=for_real)
    except (KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(
            f"runbook.ops.recovery_checks: takes steps and names of backups ({type(exc).__name__}: {exc})"
        ) from exc


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"recovery_checks": recovery_checks}
