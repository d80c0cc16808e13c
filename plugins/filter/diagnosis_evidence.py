# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter diagnosis_evidence: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnosis_evidence
short_description: Turn a system's description into the evidence that a diagnosis collects
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - So the inventory alone says what is collected on a host in an incident.
  - Returns what O(runbook.ops.diagnose#module:evidence) takes. No secret is in it, only its name.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Collect what the description names
  runbook.ops.diagnose:
    directory: /var/tmp/diagnosis
    evidence: "{{ system_description | runbook.ops.diagnosis_evidence }}"
"""

RETURN = r"""
_value:
  description: What to collect, what explains most first.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose_plan import plan_evidence
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def diagnosis_evidence(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the evidence for ``description``."""
    return plan_evidence(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"diagnosis_evidence": diagnosis_evidence}
