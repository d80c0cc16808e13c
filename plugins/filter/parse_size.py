# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter parse_size: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: parse_size
short_description: Turn a size as people write it into bytes
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - V(kB), V(MB), V(GB), V(TB) are powers of 1000, V(KiB), V(MiB), V(GiB), V(TiB) are powers of 1024.
  - A number is taken as bytes.
options:
  _input:
    description: The size.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the limit in bytes
  ansible.builtin.debug:
    msg: "{{ '500MB' | runbook.ops.parse_size }}"  # 500000000
"""

RETURN = r"""
_value:
  description: The size in bytes.
  type: int
"""

from collections.abc import Callable

from ansible_collections.runbook.ops.plugins.module_utils._units import parse_size as parse
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("a size")
def parse_size(value: object) -> int:
    """Return ``value`` in bytes."""
    return parse(value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"parse_size": parse_size}
