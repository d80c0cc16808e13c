# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter logrotate_config: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: logrotate_config
short_description: Write rotations down as logrotate reads them
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - A log whose options do not say how its program is told to open another file is copied and emptied in place, or the program would go
    on writing into the one that was renamed.
  - Logs in a directory that is not root's are rotated as its owner, those of PM2 as the account that runs it. A log whose directory is
    not there is left out, since nobody knows yet whose it will be.
options:
  _input:
    description: Rotations, as P(runbook.ops.log_rotations#filter) returns them.
    type: list
    elements: dict
    required: true
  directories:
    description: For each directory the result of M(ansible.builtin.stat).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show what logrotate would be told
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.log_rotations | runbook.ops.logrotate_config([directory_of_logs['stat']]) }}"
"""

RETURN = r"""
_value:
  description: The text of a file for C(/etc/logrotate.d).
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._log_rotation import owned, render
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("what runbook.ops.log_rotations returns")
def logrotate_config(rotations: Sequence[Mapping[str, Any]], directories: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return ``rotations`` as a file."""
    return render(owned(rotations, directories))


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"logrotate_config": logrotate_config}
