#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read which package updates and which reboot are pending."""

from __future__ import annotations

DOCUMENTATION = r"""
module: updates_info
short_description: Read pending package updates and reboots
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns the updates that apt knows of, security updates apart, held packages included, and whether a reboot is
    pending.
  - Simulates an upgrade, which takes no lock and needs no root. It does not refresh the package index, but says how old
    that is.
  - For Debian and its relatives.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  pending:
    description: Limits for the number of pending updates.
    type: dict
    default: {}
    suboptions: &limits
      warning:
        description: Warn at so many. Without it never.
        type: float
      critical:
        description: Critical at so many. Without it never.
        type: float
  security:
    description: Limits for the number of security updates among them.
    type: dict
    default: {warning: 1}
    suboptions: *limits
  index_age_days:
    description: Limits for the days since the package index was refreshed.
    type: dict
    default: {warning: 8}
    suboptions: *limits
  refresh_error:
    description: Why the index could not be refreshed just now. The check of the index warns and says it.
    type: str
"""

EXAMPLES = r"""
- name: Look at what is pending
  runbook.ops.updates_info:
  register: pending

- name: Treat five days with a security update as urgent
  runbook.ops.updates_info:
    security: {warning: 1, critical: 10}
    index_age_days: {warning: 2, critical: 5}
"""

RETURN = r"""
updates:
  description: Packages that have an update, security updates first, then by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the package.
      type: str
    installed:
      description: The version that is installed.
      type: str
    available:
      description: The version that an upgrade would install.
      type: str
    origins:
      description: Where it comes from, as apt names it.
      type: list
      elements: str
    security:
      description: Whether one of the origins publishes security updates.
      type: bool
    held:
      description: Whether the package is on hold, so that an upgrade would leave it out.
      type: bool
new:
  description: Packages that the upgrade would install anew, such as a new kernel.
  returned: success
  type: list
  elements: str
removed:
  description: Packages that the upgrade would remove.
  returned: success
  type: list
  elements: str
holds:
  description: All packages on hold.
  returned: success
  type: list
  elements: str
index_at:
  description: When the package index was refreshed, ISO 8601 in UTC, null without an index.
  returned: success
  type: str
index_age_seconds:
  description: Seconds since then.
  returned: success
  type: int
reboot:
  description: Whether packages ask for a reboot (C(required)), which, and the running and the newest kernel.
  returned: success
  type: dict
checks:
  description: Security updates, pending updates, age of the index, reboot.
  returned: success
  type: list
  elements: dict
"""

import os
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._apt import judge_reboot, judge_updates
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils.probes import reboot, updates

LIMITS = {"warning": {"type": "float"}, "critical": {"type": "float"}}
ARGUMENTS: dict[str, Any] = {
    "pending": {"type": "dict", "default": {}, "options": LIMITS},
    "security": {"type": "dict", "default": {"warning": 1}, "options": LIMITS},
    "index_age_days": {"type": "dict", "default": {"warning": 8}, "options": LIMITS},
    "refresh_error": {"type": "str"},
}


def run(
    options: dict[str, Any],
    *,
    apt_get: Callable[..., str],
    apt_mark: Callable[..., str],
    root: Path,
    running_kernel: str,
    now: float,
) -> dict[str, Any]:
    """Return what is pending on the host whose files are below ``root``; ``now`` in seconds since 1970."""
    measured = updates.collect(apt_get, apt_mark, root=root, now=now)
    boot = reboot.look(root, running_kernel)
    checks = judge_updates(measured, section=updates.SECTION, **options)
    checks.append(judge_reboot(boot, section=reboot.SECTION))
    at, age = measured["index_at"], measured["index_age_seconds"]
    when = None if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    known = {**measured, "index_at": when, "index_age_seconds": None if age is None else round(age)}
    return {"changed": False, **known, "reboot": boot, "checks": checks}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.get_bin_path("apt-get") is None:
        module.fail_json(msg=f"{updates.NOT_DEBIAN}; leave updates_info out for it")
    try:
        result = run(
            module.params,
            apt_get=Command(module, "apt-get"),
            apt_mark=Command(module, "apt-mark"),
            root=Path("/"),
            running_kernel=os.uname().release,
            now=time.time(),
        )
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
