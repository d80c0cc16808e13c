#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: empty a cache of nginx."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_cache
short_description: Empty a cache of nginx while it serves
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Deletes the answers that nginx has kept in O(directory), and nothing else that is there. What it is writing at this moment is left
    alone. nginx is neither reloaded nor restarted. It notices at the next request, and asks the application.
  - Refused where nginx's configuration has no cache in O(directory).
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  directory:
    description: Where the cache is, as C(proxy_cache_path) or one of its kind says.
    type: path
    required: true
  config:
    description: The file that nginx's configuration begins in.
    type: path
    default: /etc/nginx/nginx.conf
notes:
  - nginx knows of the answers until they would have expired, and then writes a line to its error log for each that it cannot delete
    any more.
seealso:
  - name: nginx, proxy_cache_path
    description: What a cache of nginx is.
    link: https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_path
"""

EXAMPLES = r"""
- name: Empty the cache
  runbook.ops.nginx_cache:
    directory: /var/cache/nginx/shop
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
files:
  description: How many answers were deleted, or in check mode would be.
  returned: success
  type: int
size_bytes:
  description: What they took.
  returned: success
  type: int
changes:
  description: A record of the change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._nginx_cache import cache_of, empty, look
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import read_conf
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "config": {"type": "path", "default": "/etc/nginx/nginx.conf"},
}


def run(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Delete what is kept, and say how much it was.

    :raises NginxError: there is no such cache.
    """
    directory = cache_of(read_conf(params["config"]).directives, params["directory"])
    found = look(directory)
    if found.files and not check_mode:
        found = empty(directory)
    said = f"{found.files} answers, {human_size(found.size_bytes)}"
    change = make_change(
        directory,
        action="delete answers",
        section="Caches",
        reason="asked for",
        before=found.files,
        after=0,
        unit="answers",
    )
    return {
        "changed": found.files > 0,
        "actions": [f"delete {said} in {directory}"] if found.files else [],
        **found._asdict(),
        "changes": [change] if found.files else [],
        "diff": {"before": f"{said}\n", "after": "0 answers\n" if found.files else f"{said}\n"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, check_mode=module.check_mode)
    except NginxError as exc:
        module.fail_json(msg=f"{exc}. Nothing was deleted.")
    except OSError as exc:
        module.fail_json(msg=f"not all could be deleted: {exc.filename}: {exc.strerror}; mend that and run again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
