#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: make releases of a service, and remove them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Make a release of a service ready beside what serves, or remove releases
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - A release is a directory of its own, or an image by digest, with all that is known of it in a file that is written last. What serves is
    never touched.
  - A release from Git is one commit, fetched by the account of the service into a mirror beside the releases, with that account's keys. A
    commit that was fetched once needs no network.
  - A release that was made from the same, in the same way, is not made again. What a killed run has left is no release, and the next run
    takes it away.
  - Nothing is started here. M(runbook.ops.deployment) does that.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.change.fence
attributes:
  check_mode:
    support: full
    details: [Asks the repository which commit a branch or a tag stands for, and writes nothing.]
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) makes the release of O(version).
      - V(absent) removes the release O(name), unless something serves from it, or is about to.
      - V(pruned) removes all but the live one, the last good one, the newest good ones, what a slot runs, what a journal names, what a process
        runs from, and what was built since and never tried.
    type: str
    choices: [present, absent, pruned]
    default: present
  service:
    description: The service, as the role P(runbook.ops.system#role) describes it. How it is fetched and built stands in C(deploy) and C(source).
    type: dict
    required: true
  version:
    description:
      - From Git a branch, a tag or a commit, also the first seven digits of one. C(refs/tags/x) and C(refs/heads/x) tell two of one name apart.
      - Of an artefact a URL or an absolute path on the host, and behind a C(#) the SHA-256 that it must have.
      - Of an image a tag or a digest.
    type: str
  name:
    description: The release that is to be V(absent).
    type: str
  run:
    description: The run that does it, for the ledger.
    type: str
    default: ''
  directory:
    description: Where the state of all deployments is kept.
    type: path
    default: /var/lib/runbook-ops/deploy
seealso:
  - module: runbook.ops.deployment
  - module: runbook.ops.change_lock
"""

EXAMPLES = r"""
- name: Say which commit a branch stands for now, and whether it was built before
  runbook.ops.release:
    service: "{{ system_description['services'] | selectattr('name', 'equalto', 'api') | first }}"
    version: main
  check_mode: true

- name: Make the release of a tag
  runbook.ops.release:
    service: "{{ system_description['services'] | selectattr('name', 'equalto', 'api') | first }}"
    version: v1.4.2

- name: Remove what is not needed
  runbook.ops.release:
    state: pruned
    service: "{{ system_description['services'] | selectattr('name', 'equalto', 'api') | first }}"
"""

RETURN = r"""
release:
  description: The release, with C(id), C(commit), C(path), C(image) and more. In check mode C(id) is null where it would be made.
  returned: success
  type: dict
releases:
  description: The names of all whole releases afterwards, oldest first; in check mode as they are.
  returned: success
  type: list
  elements: str
stays:
  description: With O(state=pruned), why each release that stays does so.
  returned: success
  type: dict
actions:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: success
  type: float
checks:
  description: What is worth a look, such as a tag that has moved.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _release_work as work
from ansible_collections.runbook.ops.plugins.module_utils._account import AccountError
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fence_of
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError
from ansible_collections.runbook.ops.plugins.module_utils._live_options import as_deployed
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import Place
from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotError, image_build_of, standing_of

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent", "pruned"], "default": "present"},
    "service": {"type": "dict", "required": True},
    "version": {"type": "str"},
    "name": {"type": "str"},
    "run": {"type": "str", "default": ""},
    **FENCE,
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/deploy"},
}
RULES: dict[str, Any] = {"required_if": [("state", "present", ["version"]), ("state", "absent", ["name"])]}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    params = module.params
    service = as_deployed(params["service"])
    try:
        place = Place(
            service=service,
            paths=DeployPaths(service["name"], params["directory"]),
            fence=fence_of(params),
            run=params["run"] or None,
            standing=lambda directory: standing_of(service, directory, module),
            image_build=lambda directory: image_build_of(service, directory, module),
        )
        if params["state"] == "present":
            result = work.make(place, params["version"], check_mode=module.check_mode)
        else:
            names = [params["name"]] if params["state"] == "absent" else None
            result = work.remove(place, names, check_mode=module.check_mode)
    except (ReleaseError, AccountError, StateError, LockError, SlotError, ValueError) as exc:
        module.fail_json(msg=str(exc), checks=[], changes=[])
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or service['name']}: {exc.strerror or exc}: remove the cause and run again"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
