# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter human_size: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: human_size
short_description: Write a number of bytes as people read it
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description: Three significant digits, and a unit that says whether it is a power of 1000 or of 1024.
options:
  _input:
    description: The number of bytes.
    type: float
    required: true
  binary:
    description: Use powers of 1024 (KiB, MiB, GiB). Without it powers of 1000 are used.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show how large the backup is
  ansible.builtin.debug:
    msg: "{{ 211000000 | runbook.ops.human_size }}"  # 211 MB
"""

RETURN = r"""
_value:
  description: The size with its unit.
  type: str
"""

from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size


def filter_human_size(value: object, binary: bool = False) -> str:
    """Return ``value`` bytes as people read them."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise AnsibleFilterError(f"runbook.ops.human_size: {value!r} is not a number of bytes; parse_size makes one")
    return human_size(value, binary=binary)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"human_size": filter_human_size}
