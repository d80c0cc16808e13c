# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter served_certificates: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: served_certificates
short_description: Say which certificates a host serves, and from which files
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes C(ops_certificates) of this host, and returns what M(runbook.ops.served_certificates) takes. Lineages of certbot that are not
    described are among them, with the names that they are valid for; a described one that certbot does not have is not.
options:
  _input:
    description: The described certificates.
    type: list
    elements: dict
    required: true
  lineages:
    description: What M(runbook.ops.certbot_info) found.
    type: list
    elements: dict
    default: []
  names:
    description: Names of those that are wanted. All of them without it.
    type: list
    elements: str
    default: []
  directory:
    description: The configuration directory of certbot.
    type: path
    default: /etc/letsencrypt
"""

EXAMPLES = r"""
- name: Say what should be served
  ansible.builtin.debug:
    msg: "{{ ops_certificates | runbook.ops.served_certificates(lineages=found['certificates']) }}"
"""

RETURN = r"""
_value:
  description: The certificates, as M(runbook.ops.served_certificates) takes them.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._certbot_described import served
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes


@takes("certificates as the role system describes them")
def served_certificates(
    described: Sequence[Mapping[str, Any]],
    lineages: Sequence[Mapping[str, Any]] = (),
    names: Sequence[str] = (),
    directory: str = "/etc/letsencrypt",
) -> list[dict[str, Any]]:
    """Return the certificates that a host serves."""
    return served(described, lineages, names, directory)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"served_certificates": served_certificates}
