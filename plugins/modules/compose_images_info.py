#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read whether registries have newer images for the services of Compose."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_images_info
short_description: Read whether the images of Compose services are current
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Says for each service that Compose manages which image its containers were made from, how old that is, and whether its registry has
    another one by the same name now. Nothing is fetched.
  - An image that is named by its digest, or that was built on the host, is not asked for. A registry that does not answer makes a check
    unknown and fails nothing.
  - Registries are asked by Docker without a login.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  services:
    description:
      - The services, as M(runbook.ops.system_description) returns them.
      - Read are C(name), C(manager), C(path), C(project) and C(compose_service).
    type: list
    elements: dict
    required: true
seealso:
  - module: runbook.ops.compose_service
"""

EXAMPLES = r"""
- name: See whether the images are current
  runbook.ops.compose_images_info:
    services: "{{ system_description['services'] }}"
  register: __images
"""

RETURN = r"""
images:
  description: One for each service that has a container.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service.
      type: str
    reference:
      description: The image as the Compose file names it.
      type: str
    identity:
      description: The number of the image that runs.
      type: str
    digests:
      description: By which registries know it.
      type: list
      elements: str
    created_at:
      description: When it was made.
      type: str
    tagged:
      description: Number of the image that its name stands for on this host now. Null where there is none.
      type: str
    published:
      description: Digest that its name stands for in its registry now. Null where that is not known.
      type: str
    newer:
      description: Whether the registry has another one. Null where that is not known, or cannot be.
      type: bool
    unknown:
      description: Why it is not known.
      type: str
checks:
  description: One of each image, with its age in days.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._compose_images import is_newer, judge
from ansible_collections.runbook.ops.plugins.module_utils._compose_images_host import look
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, ask

ARGUMENTS: dict[str, Any] = {"services": {"type": "list", "elements": "dict", "required": True}}


def run(services: list[dict[str, Any]], *, asked: Callable[..., Any], now: float) -> dict[str, Any]:
    images = look(asked, services)
    return {
        "changed": False,
        "images": [{**one._asdict(), "newer": is_newer(one)} for one in images],
        "checks": judge(images, now=now),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params["services"], asked=ask, now=time.time())
    except DockerError as exc:
        module.fail_json(msg=f"{exc}; look at it with systemctl status docker")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
