# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter docker_log_limits: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_log_limits
short_description: Tell Docker how much it keeps of what containers print
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Everything else in the file stays. Where it has these limits already, however they are written, the text is returned as it is.
  - Docker reads the file when it starts. A container has the limits that were there when it was made.
options:
  _input:
    description: The text of Docker's C(daemon.json). Empty where there is none.
    type: str
    required: true
  max_size_bytes:
    description: Size of one file of a container's log.
    type: int
    required: true
  max_files:
    description: How many files of a container's log are kept.
    type: int
    required: true
seealso:
  - name: Docker, JSON file logging driver
    description: What the limits mean.
    link: https://docs.docker.com/engine/logging/drivers/json-file/
"""

EXAMPLES = r"""
- name: Show what Docker would be told
  ansible.builtin.debug:
    msg: "{{ '' | runbook.ops.docker_log_limits(10000000, 3) }}"
"""

RETURN = r"""
_value:
  description: The text of the file.
  type: str
"""

from collections.abc import Callable

from ansible_collections.runbook.ops.plugins.module_utils._docker_logs import bounded
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("the text of Docker's daemon.json")
def docker_log_limits(text: str, max_size_bytes: int, max_files: int) -> str:
    """Return ``text`` with these limits."""
    return bounded(text, max_size_bytes=max_size_bytes, max_files=max_files)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"docker_log_limits": docker_log_limits}
