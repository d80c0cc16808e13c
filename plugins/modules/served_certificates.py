#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: have servers serve the certificates that are on disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: served_certificates
short_description: Have servers serve the certificates that are on disk
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Asks for each certificate under each of its names, and compares its fingerprint with that of the file. Where another one is served, the
    server's configuration is tested, the server is reloaded, and asked again until the new certificate is served under every name.
  - Nothing is remembered from run to run. What a run that was killed has left is found in the same way.
  - A server that refuses its configuration is not reloaded, and serves what it served. That is no failure of the module, see RV(failures).
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - nginx that has loaded the file and serves another one all the same is not reloaded again. Another server is, as nothing is known of
        when it was reloaded.
options:
  certificates:
    description: The certificates.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name for people, and of the lineage.
        type: str
        required: true
      path:
        description: File that it is served from, the certificate first.
        type: path
        required: true
      domains:
        description: Names that it must be valid for, and is asked for under.
        type: list
        elements: str
        required: true
      served_at:
        description: Places, as C(host:port), at which it must be served.
        type: list
        elements: str
        default: []
      address:
        description: Address to connect to, instead of the host of O(certificates[].served_at).
        type: str
      test_command:
        description: Program with its arguments that has to succeed before O(certificates[].reload_command).
        type: list
        elements: str
        default: []
      reload_command:
        description: Program with its arguments that has the server load it. Without it that is the nginx of this host.
        type: list
        elements: str
        default: []
  expected:
    description: Names of certificates that would be new, were this not a prediction. For check mode only.
    type: list
    elements: str
    default: []
  nginx_config:
    description: The file that nginx's configuration begins in.
    type: path
    default: /etc/nginx/nginx.conf
  verify:
    description: Whether what is served must be trusted.
    type: bool
    default: true
  ca_path:
    description: File of certificates to trust instead of the system's store.
    type: path
  timeout_seconds:
    description: How long one answer may take, in seconds.
    type: int
    default: 5
  proof_seconds:
    description: How long after a reload the new certificate may take to be served under every name, in seconds.
    type: int
    default: 20
  drain_seconds:
    description: How long to wait for nginx's old workers to end, in seconds. They take no new connections; one may last for hours.
    type: int
    default: 5
  command_seconds:
    description: How long a command may take, in seconds. A longer one is stopped.
    type: int
    default: 60
seealso:
  - module: runbook.ops.certbot_renewal
"""

EXAMPLES = r"""
- name: See whether the certificate on disk is served
  runbook.ops.served_certificates:
    certificates:
      - name: example.com
        path: /etc/letsencrypt/live/example.com/fullchain.pem
        domains: [example.com, www.example.com]
        served_at: ['example.com:443']
  check_mode: true
  register: served

- name: Have a server in a container load it
  runbook.ops.served_certificates:
    certificates:
      - name: example.com
        path: /etc/letsencrypt/live/example.com/fullchain.pem
        domains: [example.com]
        served_at: ['example.com:443']
        address: 127.0.0.1
        test_command: [docker, exec, front, nginx, -t]
        reload_command: [docker, exec, front, nginx, -s, reload]
"""

RETURN = r"""
reloaded:
  description: The servers that were reloaded, or in check mode would be.
  returned: success
  type: list
  elements: str
failures:
  description: For each certificate that is not served as it should be its name and the reason; in check mode none that a reload is due for.
  returned: success
  type: list
  elements: str
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
checks:
  description: One for each certificate.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of each reload, made or predicted.
  returned: success
  type: list
  elements: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._certbot import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._certbot_reload import (
    Nginx,
    ReloadError,
    needs_reload,
    server_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._certbot_served import (
    Look,
    Trust,
    judge,
    look,
    prove,
    servers_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._command import Command

ARGUMENTS: dict[str, Any] = {
    "certificates": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "domains": {"type": "list", "elements": "str", "required": True},
            "served_at": {"type": "list", "elements": "str", "default": []},
            "address": {"type": "str"},
            "test_command": {"type": "list", "elements": "str", "default": []},
            "reload_command": {"type": "list", "elements": "str", "default": []},
        },
    },
    "expected": {"type": "list", "elements": "str", "default": []},
    "nginx_config": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "verify": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout_seconds": {"type": "int", "default": 5},
    "proof_seconds": {"type": "int", "default": 20},
    "drain_seconds": {"type": "int", "default": 5},
    "command_seconds": {"type": "int", "default": 60},
}


def serve(
    members: list[Any], commands: tuple[Any, Any], given: dict[str, Any], nginx: Nginx, *, check_mode: bool
) -> tuple[dict[str, Look], dict[str, Any] | None, str | None]:
    """Have one server serve its certificates; return how they are served, the change, and why it was not made."""
    trust = Trust(given["timeout_seconds"], given["verify"], given["ca_path"])
    seen = {one["name"]: look(one, trust) for one in members}
    try:
        server = server_of(*commands, nginx, members)
        why = needs_reload(server, list(seen.values()), expected=given["expected"] if check_mode else [])
        if why is None:
            return seen, None, None
        change = make_change(server.name, action="reload", section=SECTION, reason=why)
        if check_mode:
            return seen, change, None
        began = time.monotonic()
        after = server.reload()
    except ReloadError as exc:
        return seen, None, str(exc)
    change.update(seconds=round(time.monotonic() - began, 1), after=after)
    return prove(members, trust, seconds=given["proof_seconds"]), change, None


def run(given: dict[str, Any], *, nginx: Nginx, check_mode: bool) -> dict[str, Any]:
    """Have all servers serve what is on disk; one that fails keeps no other from it."""
    checks, changes, failed = [], [], []
    for test, command, members in servers_of(given["certificates"]):
        seen, change, failure = serve(members, (test, command), given, nginx, check_mode=check_mode)
        changes += [change] if change else []
        for one in seen.values():
            check = judge(one, failure if one.others or not one.asked else None)
            checks.append(check)
            awaited = check_mode and change is not None and one.others == len(one.wrong)
            if check["status"] == "critical" and not awaited:
                failed.append(f"{one.name}: {check['detail']}")
    reloaded = [change["thing"] for change in changes]
    return {
        "changed": bool(changes),
        "actions": [f"reload {name}" for name in reloaded],
        "reloaded": reloaded,
        "failures": failed,
        "checks": checks,
        "changes": changes,
        "diff": {
            "before": "".join(f"{change['thing']}: {change['reason']}\n" for change in changes),
            "after": "".join(f"{change['thing']}: reloaded\n" for change in changes),
        },
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    limit = ["timeout", "--kill-after=5", str(given["command_seconds"])]

    def program(name: str) -> Command:
        found = module.get_bin_path(name, opt_dirs=["/usr/local/bin", "/usr/sbin", "/sbin"])
        return Command(module, found or name, within=limit)

    nginx = Nginx(program, given["nginx_config"], given["drain_seconds"])
    module.exit_json(**run(given, nginx=nginx, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
