#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what is in production at Vercel once more, and wait until the new deployment serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_deployment
short_description: Redeploy what is in production at Vercel
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Builds the deployment that is in production once more, from the same commit, and waits until the project's domains
    lead to the new one. That is what a restart is there, and how changed environment variables are taken on.
  - Nothing of the working directory is uploaded.
  - Until the new deployment is ready the old one serves, and it goes on where the new one fails.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.vercel
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: none
    details:
      - A redeployment is an event, not a state. It changes something each time.
      - While one is on its way, a second is refused.
options:
  state:
    description: V(redeployed) builds what is in production once more. Always changed.
    type: str
    choices: [redeployed]
    default: redeployed
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
changes:
  description: A record of each change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._service_state import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._vercel import (
    Deployment,
    VercelError,
    is_live,
    refuse_redeploy,
    version_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import ARGUMENTS, POLL_SECONDS, Vercel, by_module

OWN = {
    "state": {"type": "str", "choices": ["redeployed"], "default": "redeployed"},
    "reason": {"type": "str", "default": "asked for"},
    "wait_timeout_seconds": {"type": "int", "default": 600},
}


def settle(
    vercel: Any,
    new: Deployment,
    old: Deployment,
    *,
    wait_timeout_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Deployment:
    """Wait until ``new`` serves, and return it.

    :raises VercelError: it will not, or not in time.
    """
    start = clock()
    silence = ""
    while not is_live(new, old=old):
        if clock() - start >= wait_timeout_seconds:
            raise VercelError(
                f"the new deployment {new.url} is {new.state} after {wait_timeout_seconds:g} s{silence}; production is still "
                f"{old.url}. Look at it at Vercel, or raise wait_timeout_seconds"
            )
        sleep(POLL_SECONDS)
        try:
            new, silence = vercel.deployment(new.id), ""
        except VercelError as exc:  # it goes on there whether we see it or not
            silence = f", and {exc}"
    return new


def run(
    vercel: Any,
    *,
    reason: str,
    wait_timeout_seconds: float,
    check_mode: bool,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    old = refuse_redeploy(*vercel.look(), project=vercel.project)
    change = make_change(
        vercel.project, action="redeployed", section=SECTION, reason=reason, before=old.url, after=None
    )
    result: dict[str, Any] = {
        "changed": True,
        "actions": [f"redeploy {old.url}"],
        "changes": [change],
        "diff": {"before": {"built": version_of(old)}, "after": {"built": f"{version_of(old)}, once more"}},
    }
    live = old
    if not check_mode:
        start = clock()
        new = vercel.redeploy(old)
        change["after"] = new.url
        try:
            live = settle(vercel, new, old, wait_timeout_seconds=wait_timeout_seconds, clock=clock, sleep=sleep)
        except VercelError as exc:  # what was done was done, and belongs into the record
            raise VercelError(str(exc), **result) from exc
        change["seconds"] = round(clock() - start, 2)
    return {**result, "live": asdict(live)}


def main() -> None:
    module = AnsibleModule(argument_spec={**ARGUMENTS, **OWN}, supports_check_mode=True)
    params = module.params
    try:
        place = {key: params[key] for key in ("project", "team", "token", "api")}
        result = run(
            Vercel(by_module(module), **place),
            **{key: params[key] for key in ("reason", "wait_timeout_seconds")},
            check_mode=module.check_mode,
        )
    except VercelError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
