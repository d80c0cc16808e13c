#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how databases, queues and applications of a host performed in a period."""

from __future__ import annotations

DOCUMENTATION = r"""
module: performance_scan
short_description: Measure how databases, queues and applications of a host performed
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Slow statements, sizes and growth, hit rates, index use, the slow log of Redis, how fast jobs are done, event loops, and response
    times, each as a check.
  - Counters of databases and of Redis count since their start, or since somebody reset them. With O(state_path) they are compared with
    what they stood at about O(since_seconds) ago, so that the figures are those of a period.
  - Nothing of what is measured is changed, and nothing is asked that holds others up. Sessions of PostgreSQL can only read, and have
    limits of time; Redis is neither monitored nor walked through.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
    details: [Counters are kept once a day. Without O(state_path) it only reads.]
options:
  probes:
    description:
      - What to measure, as the filter P(runbook.ops.performance_probes#filter) makes it from a system's description. Each has C(probe)
        and its options. The page C(docs/performance_review.md) has the probes of a review. Those of the module M(runbook.ops.health) can
        be used too.
    type: list
    elements: dict
    required: true
  secrets:
    description: Secrets that probes need, by the names that the probes know them by.
    type: dict
    default: {}
  since_seconds:
    description: How long the period is, above 0. The counters of the look nearest to its begin are used.
    type: float
    default: 604800
  state_path:
    description:
      - File on the host that keeps what counters stood at, for a hundred days. Neither a statement's text nor a value is in it.
      - One that is damaged, or of a newer version, is kept beside it with C(.damaged) after its name, and a check says so.
      - Counters are told apart by the names of the probes, so each system of a host has a file of its own.
      - Without it figures are those since the counters began. In check mode it is read and not written.
    type: path
  timeout_seconds:
    description: The limit for all of it. What has no answer by then is unknown.
    type: float
    default: 120
  fail_on:
    description: Fail when the worst status is this one or a worse one; everything is returned all the same.
    type: str
    choices: [critical, warning, unknown, never]
    default: never
seealso:
  - module: runbook.ops.health
  - module: runbook.ops.log_scan
"""

EXAMPLES = r"""
- name: Measure what the description names, and compare it with a week ago
  runbook.ops.performance_scan:
    probes: "{{ system_description | runbook.ops.performance_probes }}"
    secrets: "{{ system_description | runbook.ops.health_secrets }}"
    state_path: /var/lib/runbook-ops/performance-shop.json
  register: __performance

- name: See the slow statements of one database
  runbook.ops.performance_scan:
    probes:
      - {probe: pg_performance, database: shop, slow_seconds: {warning: 0.1}}
"""

RETURN = r"""
checks:
  description: All observations, in the order of the probes, in the shape of M(runbook.ops.health).
  returned: always
  type: list
  elements: dict
compared_with:
  description: When the counters were read that those of now are compared with, by probe; ISO 8601 in UTC.
  returned: always
  type: dict
  sample: {'pg_performance:shop': '2026-11-15T10:00:04Z'}
status:
  description: The worst status.
  returned: always
  type: str
  sample: ok
summary:
  description: How many checks are in each status.
  returned: always
  type: dict
  sample: {ok: 21, unknown: 0, warning: 1, critical: 0}
msg:
  description: The same in one line.
  returned: always
  type: str
  sample: '1 warning, 21 ok; warning: shop slowest statement (1 of 80 statements beyond the limit in the last 7d)'
seconds:
  description: How long it took on the host.
  returned: always
  type: float
  sample: 1.31
"""

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, make_check, worst_status
from ansible_collections.runbook.ops.plugins.module_utils._health import check_health, fails, verdict
from ansible_collections.runbook.ops.plugins.module_utils._lock_file import HeldError, take
from ansible_collections.runbook.ops.plugins.module_utils._performance_index import compared, key_of, probes
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import keep
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

ARGUMENTS = {
    "probes": {"type": "list", "elements": "dict", "required": True},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "since_seconds": {"type": "float", "default": 604800},
    "state_path": {"type": "path"},
    "timeout_seconds": {"type": "float", "default": 120},
    "fail_on": {"type": "str", "choices": ["critical", "warning", "unknown", "never"], "default": "never"},
}
VERSION = 1
LOCK_SECONDS = 10


def run(given: dict[str, Any], *, now: float, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises ValueError: a probe or an option is not known or not of its type; nothing was measured.
    :raises OSError: the state cannot be read or written.
    """
    if given["since_seconds"] <= 0:
        raise ValueError(f"since_seconds is {given['since_seconds']:g}: say how long the period is, such as 604800")
    path = Path(given["state_path"]) if given["state_path"] else None
    looks, trouble = read_looks(path) if path else ([], None)
    specs = compared(given["probes"], looks, now=now, since_seconds=given["since_seconds"])
    notes: dict[str, Any] = {}
    result = check_health(
        specs, secrets=given["secrets"], timeout_seconds=given["timeout_seconds"], probes=probes(notes)
    )
    kept = keep(looks, dict(notes), now=now)
    changed = path is not None and kept != looks
    if path and changed and not check_mode:
        note(path, dict(notes), now=now)
    if path and trouble:
        result = told_too(result, of_state(path, trouble))
    with_ = {key_of(spec): iso(spec["before_at"]) for spec in specs if spec.get("before_at")}
    return {"changed": changed, "compared_with": with_, **result}


def note(path: Path, counters: dict[str, Any], *, now: float) -> None:
    """Add ``counters`` to what is kept there now: another run may have done so since it was read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = wait_for(path.with_name(f".{path.name}.lock"))
    try:
        looks, trouble = read_looks(path)
        kept = keep(looks, counters, now=now)
        if kept != looks:
            if trouble:
                os.link(path, free_name(path))  # who is killed now leaves both
            replace_file(path, json.dumps({"version": VERSION, "looks": kept}).encode())
    finally:
        os.close(lock)


def wait_for(path: Path) -> int:
    """Return the lock; it is held for as long as a small file is written.

    :raises OSError: somebody holds it for longer.
    """
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return take(path)
        except HeldError as exc:
            if time.monotonic() > end:
                raise TimeoutError(errno.ETIMEDOUT, f"{exc} holds it for {LOCK_SECONDS} s", str(path)) from exc
        time.sleep(0.05)


def read_looks(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Return the looks that are kept, and what is wrong with them: without any, figures are those since the counters began."""
    try:
        found = json.loads(path.read_bytes())
        if found["version"] != VERSION:
            return [], f"it is of version {str(found['version'])[:20]}, {VERSION} is read here"
        looks = [one for one in found["looks"] if isinstance(one, dict)]
        good = [
            one for one in looks if isinstance(one.get("at"), (int, float)) and isinstance(one.get("counters"), dict)
        ]
        lost = len(found["looks"]) - len(good)
    except FileNotFoundError:
        return [], None
    except (ValueError, KeyError, TypeError):
        return [], "it is damaged"
    return good, f"{lost} of its looks are damaged" if lost else None


def free_name(path: Path) -> Path:
    """Return a name beside ``path`` that nothing has."""
    names = (path.with_name(f"{path.name}.damaged{number}") for number in ("", *map(str, range(2, 1000))))
    return next(name for name in names if not os.path.lexists(name))


def of_state(path: Path, trouble: str) -> dict[str, Any]:
    """Return the check that says what became of the earlier counters."""
    return make_check(
        "performance:state",
        name="earlier counters",
        section="Performance",
        status="warning",
        detail=f"{path}: {trouble}: figures may be those since the counters began",
        remedy=f"once new counters are kept, the old file is beside it as {path.name}.damaged: see it, then remove it",
    )


def told_too(result: dict[str, Any], check: dict[str, Any]) -> dict[str, Any]:
    """Return ``result`` with ``check``, and with what is said of all of them."""
    checks = [*result["checks"], check]
    summary = {status: sum(one["status"] == status for one in checks) for status in STATUSES}
    return {
        **result,
        "checks": checks,
        "status": worst_status(checks),
        "summary": summary,
        "msg": verdict(checks, summary),
    }


def iso(at: float) -> str:
    """Return a time in ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, now=time.time(), check_mode=module.check_mode)
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or module.params['state_path']}: {exc.strerror or exc}; see its directory and the room on the disk"
        )
    if fails(result["status"], module.params["fail_on"]):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
