#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: collect all evidence of an incident on a host in one pass."""

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnose
short_description: Collect all evidence of an incident on a host in one pass
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - First runs all health checks, as M(runbook.ops.health) does, then collects what explains them. One round trip for all of it.
  - Each collector has its own time and a limit of bytes. One that fails or hangs is said to have failed, and takes no other down.
  - Nothing is written on the host, and nothing is changed.
  - All of it takes less than a minute, on a busy host too. Where taking secrets out takes long, less is kept of what is left.
  - Secrets and personal data are taken out on the host. What O(known_secrets) holds, what the host's own environments, process
    arguments and files of variables call a secret, and what looks like one. Statements of SQL lose their values.
  - The evidence is put aside on the controller, in O(directory), from where M(runbook.ops.diagnosis_bundle) makes one bundle of it.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  directory:
    description:
      - Directory on the controller that gets the evidence of this host as a file of JSON, readable by its owner only. It is made.
      - Without it the evidence is returned.
    type: path
  probes:
    description: What is checked first, as in O(runbook.ops.health#module:probes).
    type: list
    elements: dict
    default: []
  evidence:
    description:
      - What to collect. Each has C(topic), C(title), C(collector) and its C(options).
      - The filter P(runbook.ops.diagnosis_evidence#filter) makes them from a system's description.
    type: list
    elements: dict
    required: true
  secrets:
    description: Secrets by name, as in O(runbook.ops.health#module:secrets). The C(password) of a collector names one.
    type: dict
    default: {}
  known_secrets:
    description:
      - Values that must not show anywhere. Those of O(secrets) need not be repeated.
      - Those of the system's description are added by themselves.
    type: list
    elements: str
    default: []
  since_seconds:
    description: How far back logs are read.
    type: float
    default: 3600
  changes_seconds:
    description: How far back changes are looked for.
    type: float
    default: 259200
  secret_directories:
    description: Directories with files of variables, such as C(.env), whose secrets are taken out too. The files are not collected.
    type: list
    elements: path
    default: []
  probes_timeout_seconds:
    description: Seconds for all checks together.
    type: float
    default: 20
  timeout_seconds:
    description: Seconds for all collectors together, after the checks.
    type: float
    default: 25
  topic_bytes:
    description: The most that is kept of a topic. Of more, the end is kept, and that it was cut is said.
    type: int
    default: 300000
"""

EXAMPLES = r"""
- name: Collect what explains the incident
  runbook.ops.diagnose:
    directory: /var/tmp/diagnosis
    probes: "{{ system_description | runbook.ops.health_probes }}"
    evidence: "{{ system_description | runbook.ops.diagnosis_evidence }}"
  environment:
    TMPDIR: /dev/shm  # where the module is unpacked: a full disk does not matter
  register: __diagnosis
"""

RETURN = r"""
checks:
  description: All observations, as M(runbook.ops.health) returns them, without secrets.
  returned: always
  type: list
  elements: dict
status:
  description: The worst status among them.
  returned: always
  type: str
  sample: critical
summary:
  description: How many checks are in each status.
  returned: always
  type: dict
  sample: {ok: 11, unknown: 0, warning: 1, critical: 1}
topics:
  description: What was collected, without its text.
  returned: always
  type: list
  elements: dict
  contains:
    topic:
      description: Short and unique on a host.
      type: str
      sample: load
    title:
      description: For people.
      type: str
      sample: Load and busiest processes
    status:
      description: V(collected), V(empty) or V(failed).
      type: str
      sample: collected
    error:
      description: Why it failed, null where it did not.
      type: str
      sample: docker is not installed on this host
    note:
      description: What stands out, in one line.
      type: str
      sample: load 15.90 8.02 3.11 on 2 processors; 17 processes run, 0 wait for a disk
    seconds:
      description: How long it took.
      type: float
      sample: 1.02
    cut:
      description: Whether there was more than is kept.
      type: bool
      sample: false
    events:
      description: What changed, each with C(at) in seconds since 1970, C(what) and C(text).
      type: list
      elements: dict
    text:
      description: The evidence. With O(directory) it is there, and not returned.
      type: str
msg:
  description: The same in one line.
  returned: always
  type: str
  sample: '1 critical, 11 ok; critical: nginx (stopped); 27 topics collected, 1 failed'
seconds:
  description: How long it took on the host.
  returned: always
  type: float
  sample: 4.2
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._diagnose import collect
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_index import COLLECTORS
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_secrets import find_secrets
from ansible_collections.runbook.ops.plugins.module_utils._health import check_health
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor

ARGUMENTS = {
    "directory": {"type": "path"},  # the action of the same name takes it: it is a path of the controller
    "probes": {"type": "list", "elements": "dict", "default": []},
    "evidence": {"type": "list", "elements": "dict", "required": True},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "known_secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "since_seconds": {"type": "float", "default": 3600},
    "changes_seconds": {"type": "float", "default": 259200},
    "secret_directories": {"type": "list", "elements": "path", "default": [], "no_log": False},
    "probes_timeout_seconds": {"type": "float", "default": 20},
    "timeout_seconds": {"type": "float", "default": 25},
    "topic_bytes": {"type": "int", "default": 300_000},
}
REDACTION_SECONDS = 10  # after which less is kept of each topic: nothing may go out with its secrets
HURRIED_BYTES = 20_000


def specs_of(given: dict[str, Any], now: float) -> list[dict[str, Any]]:
    """Return what to collect with its period and its secret.

    :raises ValueError: a password names none of the secrets.
    """
    period = {"since": now - given["since_seconds"], "changes_since": now - given["changes_seconds"]}
    specs = []
    for spec in given["evidence"]:
        options = {**(spec.get("options") or {}), **period}
        if options.get("password") is not None:
            if options["password"] not in given["secrets"]:
                raise ValueError(
                    f"{spec['topic']}: password names {options['password']!r}, which is not among the secrets"
                )
            options["password"] = given["secrets"][options["password"]]
        specs.append({**spec, "options": options})
    return specs


def checked(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the health engine finds. In an incident, a probe that was asked wrongly must not cost the evidence."""
    try:
        return check_health(given["probes"], secrets=given["secrets"], timeout_seconds=given["probes_timeout_seconds"])
    except ValueError as exc:
        check = make_check(
            "diagnose:probes",
            name="Health checks",
            section="Health",
            status="unknown",
            detail=str(exc),
            remedy="correct the probe: nothing was checked",
        )
        summary = {"ok": 0, "unknown": 1, "warning": 0, "critical": 0}
        return {"checks": [check], "status": "unknown", "summary": summary, "msg": f"nothing was checked: {exc}"}


def run(given: dict[str, Any], now: float) -> dict[str, Any]:
    began = time.monotonic()
    specs = specs_of(given, now)
    health = checked(given)
    jobs = collect(specs, COLLECTORS, timeout_seconds=given["timeout_seconds"])
    known = [*given["known_secrets"], *(value for value in given["secrets"].values() if isinstance(value, str))]
    redact = Redactor(known, find_secrets(given["secret_directories"]))
    hurry = time.monotonic() + REDACTION_SECONDS
    topics = [
        job.result(
            redact, given["topic_bytes"] if time.monotonic() < hurry else min(given["topic_bytes"], HURRIED_BYTES)
        )
        for job in jobs
    ]
    failed = sum(topic["status"] == "failed" for topic in topics)
    told = f"; {len(topics) - failed} topics collected" + (f", {failed} failed" if failed else "")
    return {
        "changed": False,
        **redact.deep({key: health[key] for key in ("checks", "status", "summary")}),
        "topics": topics,
        "msg": redact(health["msg"]) + told,
        "seconds": round(time.monotonic() - began, 2),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, time.time())
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
