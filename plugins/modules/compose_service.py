#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring one service of a Compose project to a state, prove that it serves, and touch no other."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_service
short_description: Bring one service of a Compose project to a state
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Starts, stops, restarts, reloads, recreates or scales one service, and waits until all of its containers run and, where
    they have a health check, are healthy.
  - Touches no other service of the project, pulls and builds nothing, and replaces a container only with
    O(state=recreated). A changed Compose file is not taken on by a restart.
  - A crash loop, a container that never gets healthy and a taken port are failures that name the container and the log to
    read. A service that does not come up with more containers is scaled back.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=restarted), O(state=reloaded) and O(state=recreated) are events, not states. They change something each time.
options:
  name:
    description: Name of the service in the Compose file.
    type: str
    required: true
  directory:
    description: Absolute directory of the project.
    type: path
    required: true
  file:
    description: Name of the Compose file in O(directory).
    type: str
    default: docker-compose.yml
  project:
    description: Name of the project. The last part of O(directory) without it.
    type: str
  state:
    description:
      - V(started) means that all of its containers run. What runs already is left alone.
      - V(stopped) means that none runs. They are kept.
      - V(restarted) stops all containers and starts them again. Always changed.
      - V(reloaded) restarts one container after the other, each healthy before the next, which serves without a gap where
        there are several. Where some do not run, it is a restart. Always changed.
      - V(recreated) makes new containers from what the Compose file says now. Always changed.
    type: str
    choices: [started, stopped, restarted, reloaded, recreated]
    default: started
  replicas:
    description:
      - How many containers there shall be. As many as there are without it; where there is none, what the Compose file says.
      - Fewer means that the newest are removed.
    type: int
  reason:
    description: Why this is done, for the record. The module says what it found without it.
    type: str
  wait_timeout_seconds:
    description: How many seconds it may take until all containers serve.
    type: int
    default: 60
  stable_seconds:
    description: For how many seconds a container without a health check must run.
    type: float
    default: 3
notes:
  - It drives the CLI of Docker Compose, version 2.21 or later.
  - M(community.docker.docker_compose_v2) brings up what a file says. To stop one service it first makes the project's
    containers as the file says, which recreates those that differ and removes those that were scaled up; it reports a change
    while any other service runs, and does not wait after a restart.
seealso:
  - module: runbook.ops.service_info
"""

EXAMPLES = r"""
- name: Have the workers run
  runbook.ops.compose_service:
    name: worker
    directory: /home/deploy/newsletter
    state: started

- name: Have five of them
  runbook.ops.compose_service:
    name: worker
    directory: /home/deploy/newsletter
    replicas: 5

- name: Restart the application, and nothing else
  runbook.ops.compose_service:
    name: newsletter-app
    directory: /home/deploy/newsletter
    state: restarted
    reason: it uses too much memory
"""

RETURN = r"""
actions:
  description: What was run, or in check mode would be run, in order.
  returned: success
  type: list
  elements: str
  sample: [docker compose restart --no-deps worker]
service:
  description: The service afterwards, in check mode as predicted.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the service in the Compose file.
      type: str
    project:
      description: Name of the project.
      type: str
    replicas:
      description: How many containers there are.
      type: int
    running:
      description: How many of them run.
      type: int
    file_replicas:
      description: How many the Compose file says. The next C(docker compose up) goes back to it.
      type: int
    containers:
      description: Names of the containers. In check mode those that were found.
      type: list
      elements: str
changes:
  description: A record of each change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import SECTION, ComposeError, Container
from ansible_collections.runbook.ops.plugins.module_utils._compose_host import Docker, Project, settle
from ansible_collections.runbook.ops.plugins.module_utils._compose_plan import (
    Seen,
    Step,
    Wish,
    plan,
    predict,
    refuse,
    wanted_number,
    way_back,
)

STATES = ["started", "stopped", "restarted", "reloaded", "recreated"]
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "file": {"type": "str", "default": "docker-compose.yml"},
    "project": {"type": "str"},
    "state": {"type": "str", "choices": STATES, "default": "started"},
    "replicas": {"type": "int"},
    "reason": {"type": "str"},
    "wait_timeout_seconds": {"type": "int", "default": 60},
    "stable_seconds": {"type": "float", "default": 3},
}
DONE = {"stop": "stopped", "scale": "scaled", "recreate": "recreated", "unpause": "unpaused"}


def as_change(step: Step, seen: Seen, after: tuple[int, int], name: str, reason: str | None) -> dict[str, Any]:
    """Return the record of ``step``, without the seconds it takes."""
    scaled = step.action == "scale"
    return make_change(
        name if step.compose else f"{name} ({step.arguments[-1]})",
        action=DONE.get(step.action, f"{step.action}ed"),
        section=SECTION,
        reason=reason or step.because,
        before=len(seen.containers) if scaled else seen.running,
        after=after[0] if scaled else after[1],
        unit="containers",
    )


def as_service(project: Any, seen: Seen, total: int, running: int) -> dict[str, Any]:
    """Return the service as the module returns it."""
    return {
        "name": project.service,
        "project": project.project,
        "replicas": total,
        "running": running,
        "file_replicas": seen.definition.replicas,
        "containers": [one.name for one in seen.containers],
    }


def act(
    project: Any,
    steps: list[Step],
    changes: list[dict[str, Any]],
    wait: Callable[[int], list[Container]],
    *,
    limit: float,
    clock: Callable[[], float],
) -> None:
    """Take the steps, and note in ``changes`` how long each took; those not taken are left without."""
    turns = sum(not step.compose for step in steps)
    for step, change in zip(steps, changes):
        start = clock()
        project.act(step, limit)
        if step.settle:
            wait(turns)
        change["seconds"] = round(clock() - start, 2)


def undo(project: Any, step: Step | None, limit: float) -> str:
    """Take the way back where there is one, and return what to add to the message."""
    if step is None:
        return ""
    try:
        project.act(step, limit)
    except (ComposeError, CommandError) as exc:
        return f"; and {step.command} failed as well: {exc}"
    return f"; went back: {step.command}"


def run(
    project: Any,
    wish: Wish,
    *,
    reason: str | None,
    check_mode: bool,
    wait_timeout_seconds: float,
    stable_seconds: float,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    seen = Seen(project.definition(), tuple(project.containers()))
    steps = plan(seen, wish)
    after = predict(seen, steps, wish)
    result: dict[str, Any] = {
        "changed": bool(steps),
        "actions": [step.command for step in steps],
        "changes": [as_change(step, seen, after, wish.service, reason) for step in steps],
        "diff": {
            "before": {"containers": len(seen.containers), "running": seen.running},
            "after": {"containers": after[0], "running": after[1]},
        },
    }

    def wait(wanted: int) -> list[Container]:
        restarts = {one.name: one.restarts for one in seen.containers}
        patience = {"stable_seconds": stable_seconds, "wait_timeout_seconds": wait_timeout_seconds}
        return settle(project.containers, wanted=wanted, before=restarts, **patience, clock=clock, sleep=sleep)

    limit = wait_timeout_seconds + 60  # besides its own time a container has some to end in
    if not check_mode:
        try:
            act(project, steps, result["changes"], wait, limit=limit, clock=clock)
            found = project.containers() if wish.state == "stopped" else wait(wanted_number(seen, wish))
        except (ComposeError, CommandError) as exc:
            undone = undo(project, way_back(seen, steps, wish), limit)
            # What was done was done, and belongs into the record.
            raise ComposeError(f"{exc}{undone}", **result) from exc
        seen = Seen(seen.definition, tuple(found))
        after = (len(found), seen.running)
    return {**result, "service": as_service(project, seen, *after)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        refuse(params["name"], params["replicas"])
        place = {key: params[key] for key in ("directory", "file", "project")}
        result = run(
            Project(Docker(module), **place, service=params["name"]),
            Wish(params["name"], params["state"], params["replicas"]),
            **{key: params[key] for key in ("reason", "wait_timeout_seconds", "stable_seconds")},
            check_mode=module.check_mode,
        )
    except (CommandError, ComposeError) as exc:
        module.fail_json(msg=str(exc), **exc.details)
    wanted, said = params["replicas"], result["service"]["file_replicas"]
    if wanted is not None and wanted != said:
        module.warn(
            f"the Compose file says {said} containers of {params['name']}: the next `docker compose up` goes back to that; "
            f"write {wanted} into it, and into the description, to keep them"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
