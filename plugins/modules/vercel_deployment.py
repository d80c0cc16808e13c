#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what is in production at Vercel once more, and wait until the new deployment serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_deployment
short_description: Bring a deployment into production at Vercel, or an earlier one back
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - With O(state=deployed) a commit of the linked repository is built for production, and served once it is ready. One that is built is not
    built again.
  - With O(state=promoted) the project's domains are led to a deployment that is ready, such as a staged one.
  - With O(state=rolled_back) they are led back to one that was in production. From then on Vercel builds what is pushed, and does not serve it,
    until something is promoted. A check says so.
  - With O(state=redeployed) what is in production is built once more, from the same commit. That is what a restart is there, and how changed
    environment variables are taken on.
  - Nothing of the working directory is uploaded. Until the new deployment is ready the old one serves, and it goes on where the new one fails.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.vercel
  - runbook.ops.change.fence
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - A redeployment is an event, not a state. It changes something each time. The other states are.
      - While a build for production is on its way, a second one is refused.
options:
  state:
    description: What is wanted.
    type: str
    choices: [redeployed, deployed, promoted, rolled_back]
    default: redeployed
  deployment:
    description:
      - Identifier, URL or commit of a deployment for production. A commit in full, required, with O(state=deployed).
      - Without it, O(state=promoted) takes the newest, and O(state=rolled_back) the newest before the live one that was in production.
    type: str
    default: ""
  ref:
    description: With O(state=deployed), the branch or tag that the commit is on. The production branch without it.
    type: str
    default: ""
  version:
    description: With O(state=deployed), what the commit was asked for by, such as a tag. It is kept with the deployment.
    type: str
    default: ""
  staged:
    description: With O(state=deployed), whether the domains stay where they are until it is promoted.
    type: bool
    default: false
  rebuild:
    description:
      - With O(state=deployed), whether a commit that is built already is built once more.
      - A deployment keeps the variables that it was built with, so one that was built with wrong ones needs this.
    type: bool
    default: false
    version_added: 0.2.0
  stays:
    description: What was done before for the same purpose and is not taken back where this fails, such as migrations. It is told then.
    type: str
    default: ""
    version_added: 0.2.0
  reason:
    description: Why this is done, for the record.
    type: str
    default: asked for
  wait_timeout_seconds:
    description: How many seconds it may take until the new deployment serves.
    type: int
    default: 600
seealso:
  - module: runbook.ops.vercel_deployment_info
"""

EXAMPLES = r"""
- name: Build production once more
  runbook.ops.vercel_deployment:
    project: lifeplatform
    token: "{{ vault_vercel_token }}"
    reason: a variable was changed
  delegate_to: localhost
  become: false

- name: Build a commit, and look at it before anybody else does
  runbook.ops.vercel_deployment:
    state: deployed
    deployment: 6d1f0c5f9b7a4e3d8c2b1a0f9e8d7c6b5a493827
    staged: true
    project: lifeplatform
    token: "{{ vault_vercel_token }}"
  delegate_to: localhost
  become: false

- name: Go back to what was in production before
  runbook.ops.vercel_deployment:
    state: rolled_back
    project: lifeplatform
    token: "{{ vault_vercel_token }}"
    reason: the login is broken
  delegate_to: localhost
  become: false
"""

RETURN = r"""
actions:
  description: What was asked of Vercel, or in check mode would be asked, in order.
  returned: success
  type: list
  elements: str
  sample: [redeploy shop-abc123.vercel.app]
live:
  description:
    - What is in production afterwards, in check mode what it is now.
    - The keys are those of RV(runbook.ops.vercel_deployment_info#module:live).
  returned: success
  type: dict
built:
  description: What was built; null where nothing was. The keys are the same.
  returned: success
  type: dict
deployment:
  description: Which deployment it was about; null where it is yet to be built. The keys are the same.
  returned: success
  type: dict
outcome:
  description: With O(staged=true), refused where nothing was begun, and rolled_back where a build failed. What served before serves.
  returned: failure
  type: str
checks:
  description: Whether a push to the production branch is served.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of each change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fence_of
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import PROVEN_SECONDS, LockError, keeping
from ansible_collections.runbook.ops.plugins.module_utils._vercel import VercelError
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import ARGUMENTS, Vercel, by_module
from ansible_collections.runbook.ops.plugins.module_utils._vercel_change import Wish, run
from ansible_collections.runbook.ops.plugins.module_utils._vercel_watch import Waiting

OWN: dict[str, Any] = {
    "state": {"type": "str", "choices": ["redeployed", "deployed", "promoted", "rolled_back"], "default": "redeployed"},
    "deployment": {"type": "str", "default": ""},
    "ref": {"type": "str", "default": ""},
    "version": {"type": "str", "default": ""},
    "staged": {"type": "bool", "default": False},
    "rebuild": {"type": "bool", "default": False},
    "stays": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": "asked for"},
    "wait_timeout_seconds": {"type": "int", "default": 600},
}


def failure(why: Exception, stays: str) -> str:
    return f"{why}. Done before, and not taken back: {stays}" if stays else str(why)


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, **OWN, **FENCE},
        supports_check_mode=True,
    )
    params = module.params
    try:
        vercel = Vercel(
            by_module(module, params["timeout_seconds"]),
            **{key: params[key] for key in ("project", "team", "token", "api")},
        )
        wish = Wish(**{key: params[key] for key in OWN if key != "stays"})
        holds = params["fence"] and not module.check_mode
        with keeping(fence_of(params), lease_seconds=PROVEN_SECONDS) if holds else nullcontext():
            result = run(vercel, wish, Waiting(), check_mode=module.check_mode)
    except VercelError as exc:
        # What is staged is served by nobody: what served before serves, whatever became of it.
        outcome = {"outcome": "rolled_back" if exc.details.get("changed") else "refused"} if params["staged"] else {}
        module.fail_json(msg=failure(exc, params["stays"]), **outcome, **exc.details)
    except LockError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
