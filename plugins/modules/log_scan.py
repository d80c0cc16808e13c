#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: count what logs tell of a period."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_scan
short_description: Count what the logs of a host tell of a period
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Counts requests, failed ones, response times by endpoint, and lines that patterns meet, in files with all that they were before
    they were rotated, compressed or not, in journals, and in what containers write.
  - The beginning of the period is found by bisecting. Memory does not depend on the size of a log, and percentiles are exact to 1 ms.
  - What is shown of lines has secrets and personal data taken out.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details: [Without O(state_path) it only reads.]
options:
  logs:
    description:
      - The logs, as the filter P(runbook.ops.log_scans#filter) makes them from a system's description. Each has C(name), one of C(path)
        (which may be a glob), C(pm2), C(unit) and C(service), and what is counted. The page C(docs/log_analysis.md) has all keys.
    type: list
    elements: dict
    required: true
  since_seconds:
    description: How far back the review goes.
    type: float
    default: 604800
  state_path:
    description:
      - File on the host that keeps where the reading ended. With it a log that was read before is read from there on, whatever was
        rotated, compressed, copied or emptied meanwhile, and O(since_seconds) counts the first time only.
      - Where nothing new was written, what the last reading found is told again. It was not mended by nobody writing.
      - Without it the review is one of a period, whoever read before. In check mode the file is not written.
    type: path
  secrets:
    description: Values that must not be shown, whatever they look like.
    type: list
    elements: str
    default: []
  workers:
    description: Processes for a large file. Two count two halves side by side.
    type: int
    choices: [1, 2]
    default: 2
  timeout_seconds:
    description:
      - How long one log may take, in seconds. One that takes longer is V(unknown), and the others are read. A regular expression can need
        for ever on a line that it was not made for.
    type: float
    default: 300
  fail_on:
    description: Fail when the worst status is this one or a worse one; everything is returned all the same.
    type: str
    choices: [critical, warning, unknown, never]
    default: never
"""

EXAMPLES = r"""
- name: Count what the week's logs tell
  runbook.ops.log_scan:
    logs:
      - {name: access, path: /var/log/nginx/access.log, format: combined}
      - {name: authentication, path: /var/log/auth.log, format: auth}
      - name: application
        path: /srv/app/logs/app-*.log
        patterns:
          - {name: slowness, expression: 'timeout|slow|latency'}
          - {name: response time, expression: 'Response time:? (?P<ms>\d+)'}
  register: __logs

- name: Count what was written since the last time
  runbook.ops.log_scan:
    logs: "{{ system_description | runbook.ops.log_scans }}"
    state_path: /var/lib/runbook-ops/log_scan.json
"""

RETURN = r"""
checks:
  description: >-
    One of each log (C(log_scan:LOG)), one of each of its patterns (C(log_scan:LOG:PATTERN)), and of requests their
    C(log_scan:LOG:error_rate), C(log_scan:LOG:p95) and C(log_scan:LOG:p95:ENDPOINT). Of a log that tells of a cache
    C(log_scan:LOG:cache_hits).
  returned: always
  type: list
  elements: dict
logs:
  description: >-
    All figures of each log that was read: C(lines), C(broken_lines), C(first_at), C(last_at), C(patterns) with counts, top lists and
    redacted examples, C(requests), C(statuses), C(endpoints), C(slowest), C(top), C(cache).
  returned: always
  type: list
  elements: dict
status:
  description: The worst status.
  returned: always
  type: str
  sample: ok
msg:
  description: The same in one line.
  returned: always
  type: str
  sample: '7 logs read, 1 warning: authentication: logins by password'
seconds:
  description: How long it took on the host.
  returned: always
  type: float
  sample: 0.61
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, worst_status
from ansible_collections.runbook.ops.plugins.module_utils._log_scan import Reading
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_plan import check_log
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

ARGUMENTS = {
    "logs": {"type": "list", "elements": "dict", "required": True},
    "since_seconds": {"type": "float", "default": 604800},
    "state_path": {"type": "path"},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "workers": {"type": "int", "choices": [1, 2], "default": 2},
    "timeout_seconds": {"type": "float", "default": 300},
    "fail_on": {"type": "str", "choices": ["critical", "warning", "unknown", "never"], "default": "never"},
}


def run(given: dict[str, Any], *, now: float, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises ValueError: a log is not described as it has to be.
    :raises OSError: the state cannot be read or written.
    """
    began = time.monotonic()
    path = Path(given["state_path"]) if given["state_path"] else None
    before = read_state(path) if path else {}
    reading = Reading(
        now=now,
        since_seconds=given["since_seconds"],
        goes_on=path is not None,
        workers=given["workers"],
        timeout_seconds=given["timeout_seconds"],
        redact=Redactor(given["secrets"]),
    )
    told = {log["name"]: reading.log(log, before.get(log["name"]) or {}) for log in map(check_log, given["logs"])}
    after = {**before, **{name: one.left for name, one in told.items()}}
    is_new = path is not None and (positions(after) != positions(before) or said_more(after, before))
    if path and is_new and not check_mode:
        replace_file(path, json.dumps({"version": 1, "logs": after}).encode())
    checks = [check for one in told.values() for check in one.checks]
    return {
        "changed": is_new,
        "checks": checks,
        "logs": [one.figures for one in told.values() if one.figures],
        "status": worst_status(checks),
        "msg": in_one_line(checks, len(told)),
        "seconds": round(time.monotonic() - began, 3),
        "diff": {"before": positions(before), "after": positions(after)},
    }


def read_state(path: Path) -> dict[str, Any]:
    """Return what the last reading left; nothing where it is damaged: then a period is read."""
    try:
        logs = json.loads(path.read_bytes())["logs"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
    return logs if isinstance(logs, dict) else {}


def positions(state: dict[str, Any]) -> dict[str, Any]:
    """Return where each log was read up to, without the time of the reading."""
    return {name: one.get("files") or {} for name, one in sorted(state.items())}


def said_more(after: dict[str, Any], before: dict[str, Any]) -> bool:
    """Return whether a journal or a container said something new: of those only the time of the reading is kept."""
    return any("files" not in one and one != (before.get(name) or {}) for name, one in after.items())


def in_one_line(checks: list[dict[str, Any]], logs: int) -> str:
    bad = [check for check in checks if check["status"] != "ok"]
    counts = [f"{sum(one['status'] == status for one in bad)} {status}" for status in reversed(STATUSES[1:])]
    worst = [one for one in bad if one["status"] == worst_status(bad)][:3]
    told = ", ".join(count for count in counts if not count.startswith("0 ")) or "nothing beyond its limits"
    return f"{logs} logs read, {told}" + (f": {', '.join(one['name'] for one in worst)}" if worst else "")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, now=time.time(), check_mode=module.check_mode)
    except (ValueError, OSError) as exc:
        module.fail_json(msg=str(exc))
    fail_on = module.params["fail_on"]
    if fail_on != "never" and STATUSES.index(result["status"]) >= STATUSES.index(fail_on):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
