# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter parse_duration: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: parse_duration
short_description: Turn a duration as people write it into seconds
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Numbers with V(ms), V(s), V(m) or V(min), V(h), V(d), V(w), one after the other where there are several.
  - A number is taken as seconds.
options:
  _input:
    description: The duration.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the age in seconds
  ansible.builtin.debug:
    msg: "{{ '26h' | runbook.ops.parse_duration }}"  # 93600.0
"""

RETURN = r"""
_value:
  description: The duration in seconds.
  type: float
"""

from collections.abc import Callable

from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration as parse
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("a duration")
def parse_duration(value: object) -> float:
    """Return ``value`` in seconds."""
    return parse(value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"parse_duration": parse_duration}
