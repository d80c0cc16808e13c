#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the applications of one account's PM2."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2_info
short_description: List the applications of one account's PM2
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns each application of PM2 once, its instances taken together, and whether all of them are online and stay so.
  - Compares the version of the running daemon with the installed one. After an upgrade the daemon stays old until
    C(pm2 update).
  - Asks the daemon over its socket, which takes a few milliseconds. Where the daemon answers that in an unknown way,
    C(pm2 jlist) is run. A daemon that does not run is never started.
  - Never returns the environment of an application.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  user:
    description:
      - Account that runs PM2. Another one than the module's own needs root.
      - Without it the account that the module runs as.
    type: str
  pm2_home:
    description: Absolute directory of PM2's own files. C(.pm2) in the account's home without it.
    type: path
  check_latest:
    description: Whether to ask the package registry for the newest published version of PM2.
    type: bool
    default: false
  registry_timeout_seconds:
    description:
      - How many seconds the registry may take.
      - One that does not answer is a warning; RV(latest_version) is then V(null).
    type: int
    default: 10
seealso:
  - module: runbook.ops.pm2
"""

EXAMPLES = r"""
- name: List the applications that PM2 runs as owlivion
  runbook.ops.pm2_info:
    user: owlivion
  register: __pm2

- name: See whether a newer PM2 is published
  runbook.ops.pm2_info:
    user: owlivion
    check_latest: true
  register: __pm2
"""

RETURN = r"""
running:
  description: Whether a daemon runs for that account.
  returned: success
  type: bool
pm2_home:
  description: Directory of PM2's own files.
  returned: success
  type: str
  sample: /home/owlivion/.pm2
daemon_version:
  description: Version of the running daemon, V(null) where none runs.
  returned: success
  type: str
  sample: 7.0.4
installed_version:
  description: Version of the installed PM2, V(null) where it is not known.
  returned: success
  type: str
  sample: 7.0.4
latest_version:
  description: Newest published version, V(null) where it was not asked for or the registry did not answer.
  returned: success
  type: str
  sample: 7.0.5
apps:
  description: The applications, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name in PM2.
      type: str
    status:
      description: Status of all instances, such as V(online), V(stopped), V(errored); V(mixed) where they differ.
      type: str
    instances:
      description: Number of instances.
      type: int
    ids:
      description: PM2's numbers of the instances.
      type: list
      elements: int
    pids:
      description: Process numbers of the instances that run.
      type: list
      elements: int
    restarts:
      description: Restarts of all instances since they were added, wanted ones included.
      type: int
    unstable_restarts:
      description:
        - Restarts after less than PM2's C(min_uptime).
        - PM2 does not count back after a recovery. Together with a short RV(apps[].uptime_seconds) it is a crash loop.
      type: int
    uptime_seconds:
      description: For how long all instances run. V(null) where one does not.
      type: float
    started_at:
      description: When the instance that started last did so, ISO 8601 in UTC. V(null) where one does not run.
      type: str
    memory_bytes:
      description: Resident memory of all instances.
      type: int
    cpu_percent:
      description: CPU time of all instances, in percent of one core.
      type: float
    exec_mode:
      description: How instances are run, V(fork) or V(cluster).
      type: str
    version:
      description: Version in the application's C(package.json), V(null) where it has none.
      type: str
    node_version:
      description: Version of Node that runs it, V(null) where it is not known.
      type: str
    cwd:
      description: Working directory.
      type: str
    script:
      description: Absolute path of what is run.
      type: str
    out_log:
      description: File that holds what it prints.
      type: str
    error_log:
      description: File that holds what it prints to stderr.
      type: str
    is_module:
      description: Whether it is an extension of PM2 itself, such as pm2-logrotate.
      type: bool
checks:
  description: A check of each application, of the daemon's version, and with O(check_latest) of what is published.
  returned: success
  type: list
  elements: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import Pm2Error, app_check, as_result, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_checks import version_checks
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host

ARGUMENTS = {
    "user": {"type": "str"},
    "pm2_home": {"type": "path"},
    "check_latest": {"type": "bool", "default": False},
    "registry_timeout_seconds": {"type": "int", "default": 10},
}


def run(host: Any, *, check_latest: bool, registry_timeout_seconds: int, now: float) -> dict[str, Any]:
    processes = host.processes()
    apps = group(processes or [])
    daemon = host.daemon_version() if processes is not None else None
    installed = host.installed_version()
    latest = host.latest_version(registry_timeout_seconds) if check_latest else None
    return {
        "changed": False,
        "running": processes is not None,
        "pm2_home": host.pm2_home,
        "daemon_version": daemon,
        "installed_version": installed,
        "latest_version": latest,
        "apps": [as_result(app, now) for app in apps.values()],
        "checks": [
            *(app_check(app, now) for app in apps.values()),
            *version_checks(daemon, installed, user=host.user, latest=latest, asked=check_latest),
        ],
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wishes = dict(module.params)
    try:
        host = Pm2Host(module, wishes.pop("user"), wishes.pop("pm2_home"))
        result = run(host, **wishes, now=time.time())
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except Pm2Error as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
