#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage, promote and take back a release of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment
short_description: Have a release of a service run beside the old one, send the requests to it, or go back
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - One call does all that must not depend on who called it. It starts the release beside the old one, asks it, sends the requests to it, watches
    it, marks it good or goes back, whether the controller is still there or not.
  - Everything is on disk in a journal before it is done. What was cut off is ended by the next call, whatever that asks for. What was not
    switched is undone, and what was switched is finished.
  - Where the service has no proxy, or the strategy C(in_place), the release takes the place of the old one, and the outage is measured.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.change.fence
attributes:
  check_mode:
    support: full
    details: [Looks, and returns what would be done. The release need not be there yet.]
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(staged) starts O(release) where it gets no requests, and asks whether it is healthy and the right version.
      - V(promoted) does the same where that is yet to be done, sends the requests to it, watches it, and marks it good. Without O(release) it
        takes what is staged. Where it does worse than the one before, it goes back and fails.
      - V(rolled_back) goes to O(release), or without it to the release that was marked good last before the live one.
      - V(recovered) ends what was cut off, and nothing else.
      - V(retired) stops what runs and is neither live nor staged.
      - V(absent) is for the end of all deploys. It has the proxy lead to what is live by its own files, as before the first deploy, and
        removes sockets and their units. What runs, releases and ledger stay; the next deploy takes the proxy over anew.
    type: str
    required: true
    choices: [staged, promoted, rolled_back, recovered, retired, absent]
  service:
    description: The service, as the role P(runbook.ops.system#role) describes it.
    type: dict
    required: true
  deployment:
    description: How releases are watched, as the role P(runbook.ops.system#role) describes it.
    type: dict
    required: true
  release:
    description: The release, by its name. The module M(runbook.ops.release) makes one.
    type: str
  parked:
    description: Whether what is V(staged) may stand until somebody promotes it. Otherwise the next run takes it away where this one is gone.
    type: bool
    default: false
  hotfix:
    description: Whether to watch for the time of a hotfix. What has to be shown before the switch stays the same.
    type: bool
    default: false
  reason:
    description: Why, for the ledger.
    type: str
    default: ''
  run:
    description: The run that does it, for journal and ledger.
    type: str
    default: ''
  alertmanager:
    description:
      - URL of the Alertmanager that is silenced meanwhile, where O(deployment) says for how long at most. So is the monitor on the host.
    type: str
  wait_seconds:
    description:
      - Seconds to wait for a call that is at work on this service.
      - One whose controller is gone goes on to its end, or until a run with a newer lock has waited five seconds for it, which ends it.
    type: float
    default: 180
  directory:
    description: Where the state of all deployments is kept.
    type: path
    default: /var/lib/runbook-ops/deploy
  secrets:
    description: Values in O(service) that nobody may see, such as a token. They are taken out of logs and results.
    type: list
    elements: str
    default: []
seealso:
  - module: runbook.ops.deployment_info
  - module: runbook.ops.release
  - module: runbook.ops.change_lock
"""

EXAMPLES = r"""
- name: Look at a release before it gets any request
  runbook.ops.deployment:
    state: staged
    parked: true
    service: "{{ system_description['services'] | selectattr('name', 'equalto', 'api') | first }}"
    deployment: "{{ system_description['deployment'] }}"
    release: 20260301T120000Z-0123456789ab

- name: Send the requests to it, and go back by itself where it does worse than the one before
  runbook.ops.deployment:
    state: promoted
    service: "{{ system_description['services'] | selectattr('name', 'equalto', 'api') | first }}"
    deployment: "{{ system_description['deployment'] }}"
"""

RETURN = r"""
outcome:
  description:
    - What it came to, one of unchanged, staged, promoted, rolled_back, recovered, retired, absent.
    - Where it failed, refused (nothing was touched), rolled_back (what served serves), or not_rolled_back (a person has to look).
  returned: always
  type: str
actions:
  description: What was done, or would be, in order.
  returned: always
  type: list
  elements: str
deployment:
  description: How the service is deployed afterwards, with C(live), C(slots), C(last_good), C(staged) and C(journal).
  returned: success
  type: dict
release:
  description: The release that it was about; null where it was about none.
  returned: always
  type: str
seconds:
  description: How long each step took.
  returned: always
  type: dict
outage_seconds:
  description: How long nothing answered where the new release took the place of the old one; null otherwise.
  returned: always
  type: float
log:
  description: The last lines of a release that did not pass, without secrets.
  returned: failure
  type: list
  elements: str
checks:
  description: What was seen.
  returned: always
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: always
  type: list
  elements: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._alert_silence import Work, silencing
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fence_of
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import PROVEN_SECONDS, LockError, keeping
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_work import end_left_behind, working
from ansible_collections.runbook.ops.plugins.module_utils._deployment import Deployment
from ansible_collections.runbook.ops.plugins.module_utils._deployment_parts import Task
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import (
    STATES,
    PlanError,
    Wish,
    assumed,
    changes,
    place,
    plan,
    settles,
    target,
)
from ansible_collections.runbook.ops.plugins.module_utils._deployment_report import (
    changes_of,
    diff,
    note_checks,
    predicted,
    snapshot,
    words,
)
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import (
    DeploymentError,
    TroubleError,
    as_seconds,
)
from ansible_collections.runbook.ops.plugins.module_utils._deployment_ways import SECRETS, Parts, parts_of
from ansible_collections.runbook.ops.plugins.module_utils._live_options import as_deployed

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "required": True, "choices": list(STATES)},
    "service": {"type": "dict", "required": True},
    "deployment": {"type": "dict", "required": True},
    "release": {"type": "str"},
    "parked": {"type": "bool", "default": False},
    "hotfix": {"type": "bool", "default": False},
    "reason": {"type": "str", "default": ""},
    "run": {"type": "str", "default": ""},
    "alertmanager": {"type": "str"},
    **FENCE,
    "wait_seconds": {"type": "float", "default": 180},
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/deploy"},
    **SECRETS,
}


def run(deployment: Deployment, parts: Parts, wish: Wish, *, check_mode: bool) -> dict[str, Any]:
    """Bring about what is wished, or say what it would take."""
    service = parts.service
    before = deployment.observe()
    if check_mode:
        settled = settles(before.entry, wish)
        entry = before.entry
        if entry and entry.kind == "deploy" and not entry.parked and settled in ("undo", "return"):
            before = before._replace(came_back=entry.release)
        steps = plan(before._replace(entry=None if settled else before.entry), wish)
        about = target(before, wish) if steps and wish.state not in ("retired", "absent") else None
        then = assumed(before)
        slot = place(then, wish, about) if about else None
        if steps and wish.state == "absent" and before.live:
            slot, about = before.live
        steps = [*([settled] if settled else []), *steps]
        live = then.live.release if then.live else None
        return {
            "changed": changes(steps),
            "outcome": wish.state if changes(steps) else "unchanged",
            "actions": words(steps, about, slot),
            "release": about,
            "deployment": snapshot(service, before),
            "changes": predicted(service, steps, about, slot, before=live) if about and slot else [],
            "diff": diff(snapshot(service, before), {"live": {"slot": slot, "release": about}, "staged": None})
            if "switch" in steps
            else {},
            **nothing(),
        }
    outcome = deployment.run()
    after = deployment.observe()
    return {
        "changed": outcome != "unchanged" or bool(deployment.notes),
        "outcome": outcome,
        "deployment": snapshot(service, after),
        "diff": diff(snapshot(service, before), snapshot(service, after)),
        **told(deployment, parts, wish, before=before.live.release if before.live else None),
    }


def nothing() -> dict[str, Any]:
    """Return what there is to say where nothing was done."""
    return {"seconds": {}, "outage_seconds": None, "checks": []}


def told(deployment: Deployment, parts: Parts, wish: Wish, *, before: str | None) -> dict[str, Any]:
    """Return what was done and seen, also where it failed in the end."""
    done = deployment.done
    return {
        "actions": [f"{one.step} {one.release}" for one in done],
        "release": done[-1].release if done else wish.release,
        "seconds": as_seconds(done),
        "outage_seconds": parts.outage_seconds,
        "checks": [*note_checks(parts.service, deployment.notes), *deployment.checks],
        "changes": changes_of(parts.service, done, before=before, reason=f"{wish.state} was asked for"),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    told_so_far: dict[str, Any] = {"actions": [], "release": params["release"], "changes": [], "log": [], **nothing()}
    try:
        fence = fence_of(params)
        service = as_deployed(params["service"])
        paths = DeployPaths(service["name"], params["directory"])
        task = Task(service, params["deployment"], paths, fence, params["run"], params["hotfix"], module)
        parts = parts_of(task, params["release"])
        wish = Wish(
            params["state"],
            params["release"],
            params["parked"],
            keep_standing=service["deploy"]["keep_standing"],
            beside=parts.beside,
            ends=parts.ends,
        )
        deployment = Deployment(parts, wish, run=params["run"], reason=params["reason"] or None)
        if module.check_mode:
            module.exit_json(**run(deployment, parts, wish, check_mode=True))
        if parts.root and os.geteuid() != 0:
            raise DeploymentError("this needs root: set become", "refused")
        paths.make()
        reason = params["reason"] or f"{wish.state} of {parts.service}"
        work = Work(f"deploy-{parts.service}", params["run"], reason, "runbook.ops", params["alertmanager"])
        silent = silencing(work, params["deployment"].get("silence_seconds"), warn=module.warn)
        with (
            working(paths, seconds=params["wait_seconds"], fence=fence),
            keeping(fence, lease_seconds=PROVEN_SECONDS),
            silent,
        ):
            end_left_behind(paths.build_lock, fence)  # a build of the run before, which nobody waits for any more
            try:
                result = run(deployment, parts, wish, check_mode=False)
            except DeploymentError as exc:
                told_so_far.update(told(deployment, parts, wish, before=None))
                told_so_far["checks"] = [*told_so_far["checks"], *exc.details.pop("checks", [])]
                raise
    except DeploymentError as exc:
        module.fail_json(msg=str(exc), outcome=exc.outcome, **{**told_so_far, **exc.details})
    except (TroubleError, PlanError, StateError) as exc:
        module.fail_json(msg=str(exc), outcome="refused", **told_so_far)
    except LockError as exc:
        module.fail_json(msg=str(exc), outcome="not_rolled_back", **told_so_far)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
