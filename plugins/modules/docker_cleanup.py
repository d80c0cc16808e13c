#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what Docker holds and nobody needs: never a volume, never what a way back needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_cleanup
short_description: Remove what Docker holds and nobody needs
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Removes stopped containers, images that no container was made from, and build cache, each after a number of days.
  - Never touches a volume, nor the network of a project. Volumes that no container refers to are listed in a check.
  - "Keeps containers that belong to a Compose project, that restart by themselves, or that have a volume: whoever stopped them may have
    done so on purpose."
  - Keeps images that a release, a slot, a Compose file of O(projects) or O(keep_images) names, that were built by Compose for a project,
    that are called C(runbook-ops/…), or that have a label C(runbook-ops.…).
  - "Docker does not know when an image was used last. The module notes in O(state_directory) which images it has seen without a container
    at each look, and counts the days from the first: a first run removes no image, unless the limit is 0."
  - Removes nothing while a Compose file or a file of the deploys cannot be read. Nothing is forced.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
    details: [The build cache is counted as large as Docker says; what its parts share may come back later.]
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  remove:
    description: What to remove. Without it all of them. Volumes are not among them.
    type: list
    elements: str
    choices: [containers, dangling_images, unused_images, build_cache]
    default: [containers, dangling_images, unused_images, build_cache]
  container_days:
    description: For how many days a container must have been down.
    type: float
    default: 7
  dangling_image_days:
    description: For how many days an image without a tag must have been seen without a container.
    type: float
    default: 14
  unused_image_days:
    description: For how many days an image with a tag must have been seen without a container.
    type: float
    default: 60
  build_cache_days:
    description: For how many days a part of the build cache must not have been used.
    type: float
    default: 14
  keep_images:
    description: Patterns of the names of images that stay, such as V(node:*), or V(node@*) for those that were fetched by digest.
    type: list
    elements: str
    default: []
  projects:
    description: Compose projects whose images stay, whether they are up or down.
    type: list
    elements: dict
    default: []
    suboptions:
      directory:
        description: Absolute directory of the project.
        type: path
        required: true
      file:
        description: Name of the Compose file in it.
        type: str
        default: docker-compose.yml
      project:
        description: Name of the project. What the file says, or the last part of the directory, without it.
        type: str
  reclaimable_bytes:
    description: Limits for the bytes that could be given back.
    type: dict
    default: {}
    suboptions:
      warning:
        description: Warn at so many. Without it never.
        type: float
      critical:
        description: Critical at so many. Without it never.
        type: float
  deploy_directory:
    description: Where the state of deploys lies.
    type: path
    default: /var/lib/runbook-ops/deploy
  state_directory:
    description: Where it is noted since when images are without a container.
    type: path
    default: /var/lib/runbook-ops/docker_cleanup
seealso:
  - module: runbook.ops.compose_service
"""

EXAMPLES = r"""
- name: See what could go, and how much that is
  runbook.ops.docker_cleanup:
  check_mode: true
  register: __cleanup

- name: Remove it
  runbook.ops.docker_cleanup:
    projects:
      - directory: /srv/ai-media-search
    keep_images: ['node:*']
"""

RETURN = r"""
actions:
  description: What was run, or in check mode would be run, in order.
  returned: success
  type: list
  elements: str
  sample: [docker image rm --no-prune shop:1]
freed_bytes:
  description: How many bytes were given back, or in check mode would be.
  returned: success
  type: int
things:
  description: Everything that no running container needs, what goes first.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: C(containers), C(dangling_images), C(unused_images) or C(build_cache).
      type: str
    name:
      description: Its name, or the beginning of its number.
      type: str
    identity:
      description: Its number.
      type: str
    size_bytes:
      description: What its removal gives back, without what others share with it.
      type: int
    days:
      description: For how long it has been of no use.
      type: float
    stays:
      description: Why it stays. Null where it goes.
      type: str
    tags:
      description: Names of an image.
      type: list
      elements: str
volumes:
  description: Volumes that no container refers to. They are never removed.
  returned: success
  type: list
  elements: str
checks:
  description: What can go, what stays although no container needs it, and volumes without a container, as they were found.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of each removal, made or predicted.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._compose_host import Docker
from ansible_collections.runbook.ops.plugins.module_utils._docker import ask
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup import KINDS, Limits, commands
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup_checks import as_change, judge
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup_host import (
    CleanupError,
    keep_notes,
    observe,
    remove,
)

DAYS = {"container_days": 7, "dangling_image_days": 14, "unused_image_days": 60, "build_cache_days": 14}
FOREVER = 100_000  # days; what is no number is not below it
ARGUMENTS: dict[str, Any] = {
    "remove": {"type": "list", "elements": "str", "choices": list(KINDS), "default": list(KINDS)},
    **{name: {"type": "float", "default": days} for name, days in DAYS.items()},
    "keep_images": {"type": "list", "elements": "str", "default": []},
    "projects": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "directory": {"type": "path", "required": True},
            "file": {"type": "str", "default": "docker-compose.yml"},
            "project": {"type": "str"},
        },
    },
    "reclaimable_bytes": {
        "type": "dict",
        "default": {},
        "options": {"warning": {"type": "float"}, "critical": {"type": "float"}},
    },
    "deploy_directory": {"type": "path", "default": "/var/lib/runbook-ops/deploy"},
    "state_directory": {"type": "path", "default": "/var/lib/runbook-ops/docker_cleanup"},
}


def run(
    params: dict[str, Any],
    *,
    asked: Callable[..., Any],
    docker: Callable[..., str],
    check_mode: bool,
    now: float,
    clock: Callable[[], float] = time.monotonic,
    warn: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    for name in DAYS:
        if not 0 <= params[name] < FOREVER:
            raise CleanupError(f"{name} is {params[name]:g}: say a number of days, 0 or more")
    limits = Limits(*(params[name] for name in DAYS))
    notes = Path(params["state_directory"])
    seen = observe(
        asked,
        docker,
        limits=limits,
        projects=params["projects"],
        keep_images=params["keep_images"],
        deploys=Path(params["deploy_directory"]),
        notes=notes,
        now=now,
    )
    wanted = [one for one in seen.things if one.kind in params["remove"]]
    goes = [one for one in wanted if one.stays is None]
    changes = [as_change(one) for one in goes]
    done = list(zip(goes, changes))
    if not check_mode:
        keep_notes(notes, seen.since)
        done = []
        for thing, change in zip(goes, changes):
            start = clock()
            try:
                refused = remove(docker, thing, getattr(limits, thing.kind))
            except CommandError as exc:  # what was removed before belongs into the record
                raise CommandError(str(exc), **exc.details, changes=[one for _thing, one in done]) from exc
            if refused:
                warn(f"{thing.name} came into use and stays: {refused}")
                continue
            done.append((thing, {**change, "seconds": round(clock() - start, 2)}))
    rest = [one for one in wanted if one.stays is not None]
    return {
        "changed": bool(done),
        "actions": [
            f"docker {' '.join(each)}" for one, _change in done for each in commands(one, getattr(limits, one.kind))
        ],
        "freed_bytes": sum(one.size_bytes for one, _change in done),
        "things": [asdict(one) for one in [*goes, *rest]],
        "volumes": sorted(seen.volumes),
        "checks": judge(wanted, volumes=seen.volumes, limits=params["reclaimable_bytes"]),
        "changes": [change for _thing, change in done],
        "diff": {"before": {one.kind + " " + one.name: one.size_bytes for one, _change in done}, "after": {}},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(
            module.params,
            asked=ask,
            docker=Docker(module),
            check_mode=module.check_mode,
            now=time.time(),
            warn=module.warn,
        )
    except (CleanupError, ComposeError) as exc:
        module.fail_json(msg=str(exc))
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
