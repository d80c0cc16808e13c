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
  - An image with another major version of PostgreSQL, MongoDB or Redis is refused, for it would not take the data. The name is given back.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the service, for the record and for the name that is kept.
    type: str
    required: true
  image:
    description: The image as the Compose file names it. One that is named by its digest is refused.
    type: str
    required: true
  state:
    description:
      - V(fetched) means that the name stands for what the registry has.
      - V(returned) means that it stands for the newest one that was kept, if any was.
    type: str
    choices: [fetched, returned]
    default: fetched
  keep:
    description: How many images before the present one are kept.
    type: int
    default: 2
  timeout_seconds:
    description: How many seconds it may take to fetch it.
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
from typing import Any

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
from ansible_collections.runbook.ops.plugins.module_utils._compose_images_host import describe, kept_of, published_of
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, ask

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["fetched", "returned"], "default": "fetched"},
    "keep": {"type": "int", "default": 2},
    "timeout_seconds": {"type": "int", "default": 1800},
}


def fetch(params: dict[str, Any], docker: Callable[..., str], asked: Callable[..., Any], here: Any, stamp: str) -> str:
    """Fetch the image and return its number; the one before is kept.

    :raises ComposeError: it is of another major version, and the name was given back.
    """
    name, image = params["name"], params["image"]
    keep = previous_name(name, stamp)
    docker("image", "tag", here.identity, keep)
    docker("pull", "--quiet", image, limit=params["timeout_seconds"])
    found = describe(asked, image)
    for what, old in majors(here.environment).items():
        new = majors(found.environment).get(what)
        if new is not None and new != old:
            docker("image", "tag", here.identity, image)
            raise ComposeError(
                f"{image} is of {what} {new} now, and {name} has data of {old}: name the version in the Compose file, and migrate by a dump"
            )
    if found.identity == here.identity:
        docker("image", "rm", "--no-prune", keep)
    for tag, _identity in kept_of(asked, name)[params["keep"] :]:
        with suppress(CommandError):  # one that a container was made from stays
            docker("image", "rm", "--no-prune", tag)
    return str(found.identity)


def run(
    params: dict[str, Any], *, docker: Callable[..., str], asked: Callable[..., Any], check_mode: bool, stamp: str
) -> dict[str, Any]:
    name, image = params["name"], params["image"]
    if is_fixed(image):
        raise ComposeError(f"{image} names one image for ever: a deploy changes it")
    here, kept = describe(asked, image), kept_of(asked, name)
    if params["state"] == "fetched":
        published = published_of(asked, image)
        wanted = None if published in here.digests else published
        actions = [
            f"docker image tag {here.identity[:19]} {previous_name(name, stamp)}",
            f"docker pull --quiet {image}",
        ]
    else:
        wanted = next((identity for _tag, identity in kept if identity != here.identity), None)
        actions = [f"docker image tag {str(wanted)[:19]} {image}"]
    after = wanted or here.identity
    start = time.monotonic()
    if wanted and not check_mode:
        if params["state"] == "fetched":
            after = fetch(params, docker, asked, here, stamp)
        else:
            docker("image", "tag", wanted, image)
        kept = kept_of(asked, name)
    change = make_change(
        f"image {image} of {name}",
        action=params["state"],
        section=SECTION,
        reason="its registry has another one" if params["state"] == "fetched" else "back to the one before",
        before=here.identity[:19],
        after=after[:19],
        seconds=None if check_mode else round(time.monotonic() - start, 2),
    )
    return {
        "changed": bool(wanted),
        "actions": actions if wanted else [],
        "before": here.identity,
        "after": after,
        "kept": [tag for tag, _identity in kept],
        "changes": [change] if wanted else [],
        "diff": {"before": {image: here.identity}, "after": {image: "another" if wanted else here.identity}},
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
