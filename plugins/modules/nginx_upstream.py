#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: point an upstream of nginx at other servers, prove it, and go back where that fails."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_upstream
short_description: Point an upstream of nginx at other servers, prove it, or go back
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - The switch of a blue-green deployment in one call. The new servers must accept a connection, the one small file that names the
    servers is replaced, C(nginx -t) passes, nginx reloads, only new workers take connections, and a request through nginx is answered
    by what it was switched to. Where one of these fails, the files are put back and nginx serves as before.
  - Takes a configuration over that was written by hand. Where O(replaces) stands in C(proxy_pass) or C(grpc_pass), or in the upstream
    of this name, the upstream takes its place; nothing else in the file changes, and a copy is kept. Every site and every included
    file is read. An address that stands where it is not understood is refused with its line.
  - The second call with the same servers changes nothing. A killed call is finished, or undone, by the next one.
extends_documentation_fragment:
  - runbook.ops.attributes.full
notes:
  - A reload closes idle connections that clients keep open. A client that sends a request on one in the same instant sees it closed
    without an answer and has to send it again, as RFC 9112, section 9.3.1 asks of it.
options:
  name:
    description: Name of the upstream.
    type: str
    required: true
  state:
    description:
      - V(present) points the upstream at O(servers).
      - V(absent) writes the server to which it points into the configuration in its place, and removes what this module has written.
    type: str
    choices: [present, absent]
    default: present
  servers:
    description: Where requests go, C(host:port) or C(unix:/path). Needed for O(state=present).
    type: list
    elements: str
  replaces:
    description:
      - Addresses that stand in the configuration today and become this upstream, such as V(localhost:3000). They are compared letter by
        letter.
    type: list
    elements: str
  config:
    description: The file that nginx begins with.
    type: path
    default: /etc/nginx/nginx.conf
  file:
    description: File that holds the servers. Without it C(runbook-ops/<name>.servers) beside O(config).
    type: path
  block_file:
    description:
      - File for the upstream's block where the configuration has none. The C(http) block must include it. Without it
        C(conf.d/runbook-ops-<name>.conf) beside O(config).
    type: path
  proof:
    description: The request that proves the switch. Without it, that all of nginx's workers are new is the proof.
    type: dict
    suboptions:
      url:
        description: What is asked.
        type: str
        required: true
      address:
        description: Where to connect to instead of the URL's host.
        type: str
      status:
        description: Status that is right.
        type: int
        default: 200
      json:
        description: Keys and values that the answer must hold, such as the new version.
        type: dict
      contains:
        description: Text that the answer must hold.
        type: str
      verify:
        description: Whether the certificate is checked.
        type: bool
        default: true
  proof_seconds:
    description: How long the right answer is waited for before the switch is taken back, in seconds.
    type: float
    default: 5
  drain_seconds:
    description: How long the old workers may finish what they have, in seconds. They are left alone afterwards.
    type: float
    default: 60
  directory:
    description: Where the journal and the copies are kept.
    type: path
    default: /var/lib/runbook-ops/nginx
seealso:
  - name: nginx, upstream
    description: What an upstream is.
    link: https://nginx.org/en/docs/http/ngx_http_upstream_module.html
  - name: nginx, controlling nginx
    description: How it takes a new configuration.
    link: https://nginx.org/en/docs/control.html
"""

EXAMPLES = r"""
- name: Send requests to the new instance, which must answer as version 1.4.2
  runbook.ops.nginx_upstream:
    name: owlivion_sync_server
    servers: [127.0.0.1:3001]
    replaces: [localhost:3000]
    proof:
      url: https://owlivion.com/api/v1/health
      address: 127.0.0.1
      json: {status: ok, version: 1.4.2}

- name: Write the address into the configuration again, as it was by hand
  runbook.ops.nginx_upstream:
    name: owlivion_sync_server
    state: absent
"""

RETURN = r"""
actions:
  description: What was changed, or would be, and where.
  returned: success
  type: list
  elements: str
upstream:
  description: The upstream afterwards.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    servers:
      description: Where requests go.
      type: list
      elements: str
    servers_before:
      description: Where they went.
      type: list
      elements: str
    drained:
      description: Whether no old worker is left.
      type: bool
    switch_seconds:
      description: From the first file to the moment that only new workers took connections; null where nothing was switched.
      type: float
    drain_seconds:
      description: How long the old workers took to finish; null where nothing was switched.
      type: float
    copies:
      description: Copies of files of others that were edited.
      type: list
      elements: str
checks:
  description: What is to be known about the switch.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or would.
  returned: success
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import Nginx
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_host import nginx_test
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import Wish
from ansible_collections.runbook.ops.plugins.module_utils._nginx_upstream import Task, run
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import http

PROOF: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "address": {"type": "str"},
    "status": {"type": "int", "default": 200},
    "json": {"type": "dict"},
    "contains": {"type": "str"},
    "verify": {"type": "bool", "default": True},
}
ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "servers": {"type": "list", "elements": "str"},
    "replaces": {"type": "list", "elements": "str"},
    "config": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "file": {"type": "path"},
    "block_file": {"type": "path"},
    "proof": {"type": "dict", "options": PROOF},
    "proof_seconds": {"type": "float", "default": 5},
    "drain_seconds": {"type": "float", "default": 60},
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/nginx"},
}


def task_of(params: dict[str, Any], nginx: Command) -> Task:
    """Return what the options ask for."""
    beside, name = Path(params["config"]).parent, params["name"]
    wish = Wish(
        name,
        tuple(params["servers"] or ()),
        tuple(params["replaces"] or ()),
        params["file"] or str(beside / "runbook-ops" / f"{name}.servers"),
        params["block_file"] or str(beside / "conf.d" / f"runbook-ops-{name}.conf"),
    )

    proof = params["proof"]
    options = read_options({"probe": "http", **proof}, http.OPTIONS, where="proof") if proof else None

    def prove() -> str | None:
        if options is None:
            return None
        (check,) = http.judge(http.measure(options), options)
        return str(check["detail"]) if check["status"] == "critical" else None

    return Task(
        wish,
        present=params["state"] == "present",
        config=params["config"],
        directory=Path(params["directory"]),
        nginx=Nginx(nginx_test(nginx, params["config"]), prove if proof else None, params["proof_seconds"]),
        drain_seconds=params["drain_seconds"],
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ("servers",))],
    )
    try:
        task = task_of(module.params, Command(module, "nginx"))
        result = run(task, check_mode=module.check_mode)
    except (NginxError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
