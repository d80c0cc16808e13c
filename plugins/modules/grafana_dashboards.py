#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: keep the dashboards of a system as files that Grafana reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_dashboards
short_description: Keep the dashboards of a system as files that Grafana reads
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Writes each dashboard as a file into a directory that a provider of Grafana reads. Those of the same system that are no longer among
    O(dashboards) go. A file that this module did not write for the system is never touched.
  - With O(prometheus_url) every expression is tried out before anything is written, and metrics that Prometheus does not have are named.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  directory:
    description: Directory that Grafana reads. It must be there.
    type: path
    required: true
  system:
    description: Name of the system.
    type: str
    required: true
  dashboards:
    description: Dashboards by the names of their files, as the filter P(runbook.ops.dashboards#filter) makes them.
    type: dict
    default: {}
  records:
    description:
      - Recording rules, as the filter P(runbook.ops.recording_rules#filter) makes them. What they record need not be there yet - what
        they read has to be.
    type: dict
    default: {}
  state:
    description: V(absent) removes all of the system.
    type: str
    choices: [present, absent]
    default: present
  prometheus_url:
    description: URL of Prometheus. Nothing is tried out without it.
    type: str
  timeout_seconds:
    description: How long all questions to Prometheus may take together, in seconds.
    type: float
    default: 30
seealso:
  - name: Grafana, provisioning of dashboards
    description: How Grafana reads dashboards from files.
    link: https://grafana.com/docs/grafana/latest/administration/provisioning/#dashboards
"""

EXAMPLES = r"""
- name: See which dashboards would be written
  runbook.ops.grafana_dashboards:
    directory: /var/lib/grafana/dashboards
    system: plugspace
    dashboards: "{{ system_description | runbook.ops.dashboards }}"
    prometheus_url: http://localhost:9090
  check_mode: true
  diff: true

- name: Remove them
  runbook.ops.grafana_dashboards:
    directory: /var/lib/grafana/dashboards
    system: plugspace
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: str
  sample: [write runbook_ops_plugspace.infrastructure.json]
dashboards:
  description: Names of the system's files afterwards, or in check mode as they would be.
  returned: success
  type: list
  elements: str
  sample: [runbook_ops_plugspace.infrastructure.json]
checks:
  description: Whether Prometheus has every metric that is drawn.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _dashboard_files as files
from ansible_collections.runbook.ops.plugins.module_utils._grafana import prefix_of
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "system": {"type": "str", "required": True},
    "dashboards": {"type": "dict", "default": {}},
    "records": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "prometheus_url": {"type": "str"},
    "timeout_seconds": {"type": "float", "default": 30},
}
NOT_ITS_FAULT = ("timeout", "canceled", "unavailable", "internal")  # kinds of errors that no other expression mends


class Prometheus:
    """What Prometheus is asked, all of it within one time."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.url, self.deadline = url.rstrip("/"), time.monotonic() + timeout_seconds

    def ask(self, target: str) -> dict[str, Any]:
        """Return its answer, that it refuses a question too.

        :raises DashboardError: there is none.
        """
        left = max(0.1, self.deadline - time.monotonic())
        try:
            answer = ask(f"{self.url}/api/v1/{target}", timeout_seconds=left, body_limit_bytes=16 << 20)
            told: dict[str, Any] = json.loads(answer.body)
        except (HttpError, OSError, ValueError) as exc:
            raise files.DashboardError(f"Prometheus at {self.url} does not answer: {exc}") from exc
        return told

    def try_out(self, dashboards: dict[str, Any], records: dict[str, str]) -> list[str]:
        """Return the names of all metrics, once every expression was taken.

        :raises DashboardError: an expression is refused, or Prometheus could not try it.
        """
        drawn = [
            (f"{name}, {panel}", text) for name, one in dashboards.items() for panel, _kind, text in files.asked(one)
        ]
        for place, expression in [*records.items(), *drawn]:
            told = self.ask(f"query?query={quote(expression, safe='')}")
            if told.get("status") != "success":
                why = str(told.get("error") or "refused")
                if told.get("errorType") in NOT_ITS_FAULT:
                    raise files.DashboardError(
                        f"Prometheus at {self.url} could not try {place}: {why}: see its load, run again"
                    )
                raise files.DashboardError(f"{place}: {expression}: {why}: correct ops_dashboards")
        return list(self.ask("label/__name__/values").get("data") or [])


def apply(folder: Path, steps: list[files.Step], before: files.Files) -> None:
    """Do all ``steps``, or none: dashboards draw what rules record, and those go back as one.

    :raises OSError: one could not be done.
    """
    done = []
    try:
        for step in steps:
            write(folder / step.name, step.content)
            done.append(step)
    except OSError:
        for step in reversed(done):
            with suppress(OSError):  # a full disk may keep an old one from coming back; the first error says so
                write(folder / step.name, before.get(step.name))
        raise


def write(path: Path, content: bytes | None) -> None:
    """Have a file hold ``content``, or go where there is none."""
    if content is None:
        path.unlink()
    else:
        replace_file(path, content, mode=0o644)


def run(options: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    directory, system, url = options["directory"], options["system"], options["prometheus_url"]
    folder, wanted = Path(directory), options["dashboards"] if options["state"] == "present" else {}

    def observe() -> files.Files:
        return {path.name: path.read_bytes() for path in sorted(folder.glob(f"{prefix_of(system)}*.json"))}

    if not folder.is_dir() and wanted:
        raise files.DashboardError(f"{directory} is no directory: install Grafana, or correct ops_monitoring.grafana")
    before = observe()
    steps = files.plan(before, wanted, system)
    groups = options["records"].get("groups") or []
    records = {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}
    metrics = Prometheus(url, options["timeout_seconds"]).try_out(wanted, records) if url and wanted else None
    after = files.predict(before, steps)

    if steps and not check_mode:
        apply(folder, steps, before)
        after = observe()

    return {
        "changed": bool(steps),
        "actions": [f"{'remove' if step.content is None else 'write'} {step.name}" for step in steps],
        "dashboards": [name for name, content in after.items() if files.is_ours(content, system)],
        "checks": [] if metrics is None else files.judge(wanted, metrics, system, records),
        "changes": files.changes(directory, steps),
        "diff": files.diff(directory, before, after, steps),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, check_mode=module.check_mode)
    except files.DashboardError as exc:
        module.fail_json(msg=f"{exc}; nothing was changed")
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename}: {exc.strerror or exc}; nothing was changed: make room, run again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
