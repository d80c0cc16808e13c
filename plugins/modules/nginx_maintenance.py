#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: show a maintenance page instead of an application, and take it away."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_maintenance
short_description: Show a maintenance page instead of an application
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Users get the status 503, the header C(Retry-After) and a page. Addresses of O(allow) see the application, and paths of
    O(open_paths), such as a health check, stay reachable.
  - The page is shown by a file that exists, so that showing it and taking it away needs no reload and closes no connection. nginx is
    made to look for the file once, by one line in each server, which C(nginx -t) has to accept and which can be taken back.
  - A request proves it. A page that is not seen within O(proof_seconds) is taken away again.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  name:
    description: Name of the system.
    type: str
    required: true
  state:
    description:
      - V(shown) makes nginx ready and shows the page.
      - V(ready) makes nginx ready, and shows no page.
      - V(absent) shows no page, and takes away what made nginx ready.
    type: str
    choices: [shown, ready, absent]
    required: true
  flag:
    description: The file that shows the page. Without it C(/var/lib/runbook-ops-maintenance/<name>.flag).
    type: path
  wire:
    description: Whether nginx is made to look for O(flag). V(false) where the site does it already.
    type: bool
    default: true
  server_names:
    description: Names of the servers that it stands before. Without them each server that passes requests on.
    type: list
    elements: str
  page:
    description: The page, as HTML. A short one in English without it.
    type: str
  retry_after:
    description: When to come back, in seconds.
    type: int
    default: 600
  allow:
    description: Addresses and networks that see the application. O(proof_address) cannot be one of them.
    type: list
    elements: str
  open_paths:
    description: Paths that stay reachable. A C(*) at the end stands for everything below.
    type: list
    elements: str
  config:
    description: The file that nginx begins with.
    type: path
    default: /etc/nginx/nginx.conf
  http_file:
    description: >-
      File for what stands in nginx's C(http) block, which must include it. Without it C(conf.d/runbook-ops-maintenance-<name>.conf) beside
      O(config).
    type: path
  proof_url:
    description: URL that must show the page, and not show it afterwards. Without it nothing is asked.
    type: str
  proof_address:
    description: Where to connect to instead of the URL's host.
    type: str
  proof_verify:
    description: Whether the certificate is checked.
    type: bool
    default: true
  proof_seconds:
    description: How long the right answer is waited for, in seconds.
    type: float
    default: 5
  directory:
    description: Where the journal and copies of what is edited are kept.
    type: path
    default: /var/lib/runbook-ops/nginx
seealso:
  - module: runbook.ops.nginx_upstream
  - name: RFC 9110, Retry-After
    description: What clients make of it.
    link: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
"""

EXAMPLES = r"""
- name: Show the page while the database changes, and let the office and the health check in
  runbook.ops.nginx_maintenance:
    name: owlivion
    state: shown
    allow: [203.0.113.0/24]
    open_paths: [/api/v1/health, /.well-known/acme-challenge/*]
    proof_url: https://owlivion.com/
    proof_address: 127.0.0.1

- name: Let users back in
  runbook.ops.nginx_maintenance:
    name: owlivion
    state: ready
    allow: [203.0.113.0/24]
    open_paths: [/api/v1/health, /.well-known/acme-challenge/*]

- name: Show the page of a site that looks for a file of its own
  runbook.ops.nginx_maintenance:
    name: plugspace
    state: shown
    flag: /var/www/maintenance.flag
    wire: false
"""

RETURN = r"""
actions:
  description: What was done, or would be, and where.
  returned: success
  type: list
  elements: str
maintenance:
  description: The page afterwards.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the system.
      type: str
    shown:
      description: Whether users see the page.
      type: bool
    flag:
      description: The file that shows it.
      type: str
changes:
  description: What changed, or would.
  returned: success
  type: list
  elements: dict
"""

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_host import nginx_test
from ansible_collections.runbook.ops.plugins.module_utils._nginx_maintenance import Task, run
from ansible_collections.runbook.ops.plugins.module_utils._nginx_page import DEFAULT, Wish

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["shown", "ready", "absent"], "required": True},
    "flag": {"type": "path"},
    "wire": {"type": "bool", "default": True},
    "server_names": {"type": "list", "elements": "str"},
    "page": {"type": "str"},
    "retry_after": {"type": "int", "default": 600},
    "allow": {"type": "list", "elements": "str"},
    "open_paths": {"type": "list", "elements": "str"},
    "config": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "http_file": {"type": "path"},
    "proof_url": {"type": "str"},
    "proof_address": {"type": "str"},
    "proof_verify": {"type": "bool", "default": True},
    "proof_seconds": {"type": "float", "default": 5},
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/nginx"},
}
TIMEOUT_SECONDS = 5.0


def wish_of(params: dict[str, Any]) -> Wish:
    """Return what the options ask for."""
    beside, name = Path(params["config"]).parent, params["name"]
    return Wish(
        name=name,
        # nginx's workers must be allowed to look there, and the directory of the journals is root's alone.
        flag=params["flag"] or f"/var/lib/runbook-ops-maintenance/{name}.flag",
        server_names=tuple(params["server_names"] or ()),
        page=params["page"] or DEFAULT,
        retry_after=params["retry_after"],
        allow=tuple(params["allow"] or ()),
        open_paths=tuple(params["open_paths"] or ()),
        http_file=params["http_file"] or str(beside / "conf.d" / f"runbook-ops-maintenance-{name}.conf"),
        server_file=str(beside / "runbook-ops" / f"maintenance-{name}.conf"),
        page_file=str(beside / "runbook-ops" / f"maintenance-{name}.html"),
    )


def task_of(params: dict[str, Any], nginx: Command) -> Task:
    """Return what has to be done."""

    def status() -> tuple[int, bool] | str:
        try:
            answer = ask(
                params["proof_url"],
                timeout_seconds=TIMEOUT_SECONDS,
                address=params["proof_address"],
                verify=params["proof_verify"],
            )
        except HttpError as exc:
            return str(exc)
        return answer.status, "retry-after" in answer.headers

    def prove_shown() -> str | None:
        found = status()
        return None if found == (503, True) or (found == (503, False) and not params["wire"]) else _say(found)

    def prove_ready() -> str | None:
        found = status()
        return _say(found) if isinstance(found, str) or found[0] == 503 else None

    return Task(
        wish_of(params),
        state=params["state"],
        wired=params["wire"],
        config=params["config"],
        directory=Path(params["directory"]),
        test=nginx_test(nginx, params["config"]),
        prove_shown=prove_shown if params["proof_url"] else None,
        prove_ready=prove_ready if params["proof_url"] else None,
        proof_seconds=params["proof_seconds"],
    )


def refuse_blind_proof(params: dict[str, Any]) -> None:
    """Refuse a proof that would see the application though users see the page.

    :raises ValueError: it would.
    """
    if not params["proof_url"] or not params["wire"]:
        return
    path = urlsplit(params["proof_url"]).path or "/"
    if any(path == one or (one.endswith("*") and path.startswith(one[:-1])) for one in params["open_paths"] or ()):
        raise ValueError(f"proof_url asks for {path}, which open_paths leaves open: give another path")
    try:
        address = ipaddress.ip_address(params["proof_address"] or "")
        networks = [ipaddress.ip_network(one, strict=False) for one in params["allow"] or ()]
    except ValueError:
        return  # a name, or a network that is refused by its own name
    if any(address in network for network in networks):
        raise ValueError(
            f"a request from {address} is let in by allow, and proves nothing: leave it out, or give another proof_address"
        )


def _say(found: tuple[int, bool] | str) -> str:
    return found if isinstance(found, str) else f"HTTP {found[0]}{'' if found[1] else ' without Retry-After'}"


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    os.umask(0o022)  # nginx's workers must see the flag and the page; what is private is made so by name
    try:
        refuse_blind_proof(module.params)
        result = run(task_of(module.params, Command(module, "nginx")), check_mode=module.check_mode)
    except (NginxError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
