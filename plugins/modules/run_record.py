#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the record of a run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_record
short_description: Write the record of a run
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Keeps one file for each run of a playbook, a line of JSON whose keys are described in C(docs/records.md). The file
    is replaced as a whole, so that whoever reads it never sees half of it.
  - Several hosts, and several plays, of one run write to the same record.
  - A record that cannot be written is a warning, not a failure. RV(recorded) says so.
attributes:
  check_mode:
    support: full
    details: [Writes nothing.]
  diff_mode:
    support: none
  idempotent:
    support: full
    details: [A record is no change of the system, so nothing is ever reported as changed.]
extends_documentation_fragment:
  - runbook.ops.attributes
options:
  directory:
    description: Directory of the records. Made with mode C(0700) where it is missing.
    type: path
    default: /var/lib/runbook-ops/runs
  state:
    description:
      - V(running) opens the record of this run for O(host), or adds O(host) to it.
      - V(ok) and V(failed) end it for O(host). A record that was not opened is made.
    type: str
    choices: [running, ok, failed]
    required: true
  run:
    description: What identifies the run, as M(runbook.ops.system_description) returns it.
    type: dict
    required: true
  system:
    description: Name of the system.
    type: str
    required: true
  host:
    description: Inventory name of the host that is meant.
    type: str
    required: true
  hosts:
    description: All hosts that are expected to take part.
    type: list
    elements: str
    default: []
  lost_hosts:
    description: Hosts that take part no more, because they failed or were unreachable.
    type: list
    elements: str
    default: []
  summary:
    description: The checks, changes and failure of O(host), as M(runbook.ops.run_summary) returns them.
    type: dict
    default: {}
  interrupted:
    description:
      - Earlier runs that are still recorded as running but were interrupted, each with the reason.
      - Found out by the controller where it is not given.
    type: dict
    default: {}
  lease_seconds:
    description: Age at which an unfinished run of another controller counts as interrupted.
    type: int
    default: 21600
  at:
    description: Time of the event, ISO 8601 in UTC. Without it the controller's, so that one clock measures a run.
    type: str
seealso:
  - module: runbook.ops.run_summary
"""

EXAMPLES = r"""
- name: Open the record of this run
  runbook.ops.run_record:
    state: running
    run: "{{ system_description['run'] }}"
    system: "{{ system_description['system']['name'] }}"
    host: "{{ inventory_hostname }}"
    hosts: "{{ ansible_play_hosts_all }}"

- name: Close it
  runbook.ops.run_record:
    state: ok
    run: "{{ system_description['run'] }}"
    system: "{{ system_description['system']['name'] }}"
    host: "{{ inventory_hostname }}"
    summary: "{{ __record_summary }}"
"""

RETURN = r"""
recorded:
  description: Whether the record was written.
  returned: always
  type: bool
path:
  description: File that holds the record; C(null) where none was written.
  returned: always
  type: str
  sample: /var/lib/runbook-ops/runs/20261123T040000Z-weekly_maintenance-5f2b8c9d0e1a.json
status:
  description: Status of the whole run now; C(null) where none was written.
  returned: always
  type: str
  sample: running
unfinished:
  description: Other runs of the system that are recorded as running.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a1b2c3d4e5f, playbook: backup, started_at: '2026-11-23T03:58:10Z', controller: laptop}]
checks:
  description: One warning for each earlier run that was found interrupted.
  returned: always
  type: list
  elements: dict
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._run_record import (
    closed,
    file_name,
    interrupted,
    is_record,
    opened,
)
from ansible_collections.runbook.ops.plugins.module_utils._small_file import sync_directory

LOCK_SECONDS = 10
ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/runs"},
    "state": {"type": "str", "choices": ["running", "ok", "failed"], "required": True},
    "run": {"type": "dict", "required": True},
    "system": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "lost_hosts": {"type": "list", "elements": "str", "default": []},
    "summary": {"type": "dict", "default": {}},
    "interrupted": {"type": "dict", "default": {}},
    "lease_seconds": {"type": "int", "default": 21600},
    "at": {"type": "str"},
}


class Ledger:
    """A directory of records, and in ``.open`` the names of those that are not closed: finding them reads no others."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.markers = self.directory / ".open"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory against other hosts of the same run, and other runs."""
        for folder in (*reversed(self.directory.parents), self.directory, self.markers):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
            deadline = time.monotonic() + LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(errno.ETIMEDOUT, f"its lock was not free for {LOCK_SECONDS} s") from None
                    time.sleep(0.02)
            yield

    def find(self, run: dict[str, Any]) -> str:
        """Return the file name of ``run``, which may have been given to it a second earlier or later."""
        name = file_name(run)
        if (self.directory / name).exists():
            return name
        same = [one.name for one in os.scandir(self.directory) if one.name.endswith(f"-{run['id']}.json")]
        return same[0] if same else name

    def read(self, name: str) -> dict[str, Any] | None:
        try:
            told = json.loads((self.directory / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return told if is_record(told) else None

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Replace the record: a reader, or a crash, sees the old one or the new one. An open one is marked first."""
        marker, partial = self.markers / name, self.directory / f".{name}.partial"
        if record["status"] == "running":
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT, 0o600))
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.directory / name)
        sync_directory(self.directory)
        if record["status"] != "running":
            marker.unlink(missing_ok=True)

    def unfinished(self) -> dict[str, dict[str, Any]]:
        """Return the open records by file name. A marker without one is of a run killed before it wrote: it goes."""
        found = {}
        for marker in sorted(self.markers.iterdir()):
            record = self.read(marker.name)
            if record and record["status"] == "running":
                found[marker.name] = record
            else:
                marker.unlink(missing_ok=True)
        return found


def run(ledger: Ledger, options: dict[str, Any]) -> dict[str, Any]:
    """Write the record of this run, and those of interrupted ones."""
    asked, at, checks = options["run"], options["at"], []
    with ledger.locked():
        others = {name: one for name, one in ledger.unfinished().items() if one["id"] != asked["id"]}
        others = {name: one for name, one in others.items() if one["system"] == options["system"]}
        for name, other in list(others.items()):
            reason = options["interrupted"].get(other["id"])
            if reason:
                ledger.write(name, interrupted(others.pop(name), reason=reason, by=asked["id"], at=at))
                checks.append(interruption_check(other, reason))
        name = ledger.find(asked)
        place = {"system": options["system"], "host": options["host"], "at": at}
        record = ledger.read(name)
        if options["state"] == "running" or record is None:
            record = opened(record, asked, hosts=options["hosts"], **place)
        if options["state"] != "running":
            summary = {"checks": [], "changes": [], **options["summary"]}
            outcome = {"status": options["state"], "summary": summary, "lost": options["lost_hosts"]}
            record = closed(record, host=options["host"], at=at, **outcome)
        ledger.write(name, record)
    return {
        "recorded": True,
        "path": str(ledger.directory / name),
        "status": record["status"],
        "unfinished": [brief(other) for other in others.values()],
        "checks": checks,
    }


def brief(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a controller needs to tell whether that run is still at work."""
    kept = {key: record[key] for key in ("id", "playbook", "started_at", "process")}
    return {**kept, "controller": record["who"]["controller"]}


def interruption_check(record: dict[str, Any], reason: str) -> dict[str, Any]:
    return make_check(
        f"record:{record['id']}",
        name=f"earlier run of {record['playbook']}",
        section="Records",
        status="warning",
        value="interrupted",
        detail=f"The run of {record['started_at']} was interrupted: {reason}",
        remedy=f"Run {record['playbook']} again unless that was done since",
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    nothing: dict[str, Any] = {"recorded": False, "path": None, "status": None, "unfinished": [], "checks": []}
    options = module.params
    options["at"] = options["at"] or datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if module.check_mode:
        module.exit_json(changed=False, **nothing)
    try:
        result = run(Ledger(options["directory"]), options)
    except OSError as exc:
        # The run matters more than its record: with a full disk, the playbook that makes room must still run.
        module.warn(f"This run is not recorded in {options['directory']}: {exc.strerror or exc}")
        module.exit_json(changed=False, **nothing)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
