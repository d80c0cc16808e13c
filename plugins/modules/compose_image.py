#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch the newest image of a name and keep the one before, or give the name back to that."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_image
short_description: Fetch an image and keep the one before to go back to
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Fetches what a name stands for in its registry now. What it stood for on this host gets the name
    C(runbook-ops/previous/<service>:<time>) before, so that no clean-up takes it.
  - Recreates nothing. M(runbook.ops.compose_service) with C(state=recreated) takes the image into service and proves it.
  - An image with another major version of PostgreSQL or MongoDB is refused, for it would not take the data, and so is one of Redis with
    another first or second number, for the one before could not read what it saves. One that does not tell its version any more is
    refused, too. The name is given back.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  name:
    description: Name of the service, for the record and for the name that is kept.
    type: str
    required: true
  image:
    description: The image as the Compose file names it. One that is named by its digest is refused.
    type: str
    required: true
  identity:
    description:
      - Number of the image that the containers of the service were made from, as M(runbook.ops.compose_images_info) returns it. It is what is
        kept, and what the name is given back to.
      - Without it what the name stands for on this host, which another image may have been fetched for since.
    type: str
  state:
    description:
      - V(fetched) means that the name stands for what the registry has.
      - V(returned) means that it stands for O(identity), or without that for the newest one that was kept, if any was.
    type: str
    choices: [fetched, returned]
    default: fetched
  keep:
    description: How many images before the present one are kept, at least one.
    type: int
    default: 2
  timeout_seconds:
    description: How many seconds it may take to fetch it, at least one.
    type: int
    default: 1800
seealso:
  - module: runbook.ops.compose_images_info
  - module: runbook.ops.compose_service
"""

EXAMPLES = r"""
- name: Fetch the newest image of the balancer
  runbook.ops.compose_image:
    name: balancer
    image: nginx:1.27

- name: Give the name back to the one before
  runbook.ops.compose_image:
    name: balancer
    image: nginx:1.27
    state: returned
"""

RETURN = r"""
actions:
  description: What was run, or in check mode would be run, in order.
  returned: success
  type: list
  elements: str
before:
  description: Number of the image that the name stood for.
  returned: success
  type: str
after:
  description: Number of the image that it stands for now. In check mode the digest that the registry has.
  returned: success
  type: str
kept:
  description: Names of the images that are kept, the newest first.
  returned: success
  type: list
  elements: str
changes:
  description: A record of the change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._compose_host import Docker
from ansible_collections.runbook.ops.plugins.module_utils._compose_images import (
    SECTION,
    is_fixed,
    majors,
    previous_name,
)
from ansible_collections.runbook.ops.plugins.module_utils._compose_images_host import (
    Here,
    describe,
    kept_of,
    published_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, ask

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "identity": {"type": "str"},
    "state": {"type": "str", "choices": ["fetched", "returned"], "default": "fetched"},
    "keep": {"type": "int", "default": 2},
    "timeout_seconds": {"type": "int", "default": 1800},
}


class Plan(NamedTuple):
    """What is to be done, in order."""

    old: Here  # what is kept, and gone back to
    keep: str | None  # the name for it; None where it is the newest that is kept already
    pull: bool
    wanted: str  # number of the image that the name is to stand for, or what the registry has


def plan(params: dict[str, Any], asked: Callable[..., Any], here: Here, stamp: str) -> Plan:
    """Return how the newest image comes to have the name, and the one that is in service another.

    :raises DockerError: the registry does not tell, or the image that is in service is gone.
    """
    old = describe(asked, params["identity"]) if params["identity"] else here
    published = published_of(asked, params["image"])
    pull, kept = published not in here.digests, kept_of(asked, params["name"])
    waits = old.identity != here.identity and not (kept and kept[0][1] == old.identity)
    keep = previous_name(params["name"], stamp) if pull or waits else None
    return Plan(old, keep, pull, published if pull else here.identity)


def fetch(params: dict[str, Any], docker: Callable[..., str], asked: Callable[..., Any], what: Plan) -> str:
    """Do it, and return the number of the image that the name stands for now.

    :raises ComposeError: it is of another major version, and the name was given back.
    """
    name, image = params["name"], params["image"]
    if what.keep:
        docker("image", "tag", what.old.identity, what.keep)
    if what.pull:
        docker("pull", "--quiet", image, limit=params["timeout_seconds"])
    found = describe(asked, image)
    try:
        refuse_major(name, image, what.old, found)
    except ComposeError:
        docker("image", "tag", what.old.identity, image)
        tidy(docker, asked, name, now=what.old.identity, keep=params["keep"])
        raise
    tidy(docker, asked, name, now=found.identity, keep=params["keep"])
    return found.identity


def refuse_major(name: str, image: str, old: Here, found: Here) -> None:
    for what, version in majors(old.environment).items():
        new = majors(found.environment).get(what)
        if new is None:
            raise ComposeError(
                f"{image} does not tell its version of {what} any more, and {name} has data of {version}: "
                "see by hand whether it takes them, and deploy it after a backup"
            )
        if new != version:
            raise ComposeError(
                f"{image} is of {what} {new} now, and {name} has data of {version}: "
                "name the version in the Compose file, and migrate by a dump"
            )


def tidy(docker: Callable[..., str], asked: Callable[..., Any], name: str, *, now: str, keep: int) -> None:
    """Keep the newest name of each of the newest images: what was cut off, or refused, has given one image several."""
    seen = {now}
    for tag, identity in kept_of(asked, name):
        if identity in seen or len(seen) > keep:
            with suppress(CommandError):  # one that a container was made from stays
                docker("image", "rm", "--no-prune", tag)
        seen.add(identity)


def run(
    params: dict[str, Any], *, docker: Callable[..., str], asked: Callable[..., Any], check_mode: bool, stamp: str
) -> dict[str, Any]:
    name, image = params["name"], params["image"]
    for key in ("keep", "timeout_seconds"):
        if params[key] < 1:
            raise ComposeError(f"{key} is {params[key]}: say 1 or more")
    if is_fixed(image):
        raise ComposeError(f"{image} names one image for ever: a deploy changes it")
    here, kept = describe(asked, image), kept_of(asked, name)
    before, after, start = here.identity, here.identity, time.monotonic()
    if params["state"] == "fetched":
        what = plan(params, asked, here, stamp)
        before, changed = what.old.identity, what.pull or what.keep is not None
        actions = [f"docker image tag {before[:19]} {what.keep}"] if what.keep else []
        actions += [f"docker pull --quiet {image}"] if what.pull else []
        reason = "its registry has another one" if what.pull else "another one was fetched before"
        if not check_mode and (changed or before != here.identity):
            after = fetch(params, docker, asked, what)
        elif what.pull:
            after = what.wanted
        else:
            refuse_major(name, image, what.old, here)
    else:
        back = [params["identity"]] if params["identity"] else [identity for _tag, identity in kept]
        after = next((identity for identity in back if identity != here.identity), here.identity)
        changed, reason = after != here.identity, "back to the one before"
        actions = [f"docker image tag {after[:19]} {image}"] if changed else []
        if changed and not check_mode:
            docker("image", "tag", after, image)
    if changed and not check_mode:
        kept = kept_of(asked, name)
    change = make_change(
        f"image {image} of {name}",
        action=params["state"],
        section=SECTION,
        reason=reason,
        before=before[:19],
        after=after[:19],
        seconds=None if check_mode else round(time.monotonic() - start, 2),
    )
    return {
        "changed": changed,
        "actions": actions,
        "before": before,
        "after": after,
        "kept": [tag for tag, _identity in kept],
        "changes": [change] if changed else [],
        "diff": {"before": {image: before}, "after": {image: "another" if changed else here.identity}},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        result = run(module.params, docker=Docker(module), asked=ask, check_mode=module.check_mode, stamp=stamp)
    except (ComposeError, DockerError) as exc:
        module.fail_json(msg=str(exc))
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
