#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: give back what bloated tables waste, beside their users."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_repack
short_description: Give back what bloated PostgreSQL tables waste, beside their users
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Measures tables with C(pgstattuple), and writes those anew with C(pg_repack) that are mostly in order otherwise but bloated, with
    their TOAST tables and indexes. It gives back what C(VACUUM FULL) does, and readers and writers work on meanwhile.
  - Where C(pg_repack) is not installed, nothing is done, and a check says how many bytes it would give back and how to install it.
  - What an interrupted C(pg_repack) left, by whomever it was run, is removed first. What belongs to one that runs is left alone.
  - A table is left out, with the reason, where its copy does not fit on the disk, into O(byte_budget) or into what is left of
    O(time_budget_seconds), where a transaction has been open for too long, or where it has no key.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.postgresql
  - runbook.ops.postgresql.connection
  - runbook.ops.postgresql.server
attributes:
  check_mode:
    support: full
    details: [Measures, and returns the plan that a run would carry out.]
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  waste_percent:
    description: Write a table anew from this share of waste on, that of its TOAST table counted in.
    type: float
    default: 15
  waste_min_bytes:
    description: Bytes of waste below which a table is left alone.
    type: int
    default: 1000000
  byte_budget:
    description:
      - How many bytes of tables, with their indexes, a run may write anew, such as V(50GB). Those with most waste come first.
      - Without it there is no limit.
    type: str
  time_budget_seconds:
    description: Seconds that the run may take. What does not fit is left for the next one, and what is not done by then is stopped.
    type: int
    default: 3600
  window:
    description:
      - Local time of the host in which tables may be written anew, such as V(02:00-05:00). It may cross midnight.
      - Outside it only leftovers are removed. Without it, any time will do.
    type: str
  wait_timeout_seconds:
    description:
      - Seconds that C(pg_repack) tries to get a table for itself, which it needs for a moment at the beginning and at the end. It tries for
        a tenth of a second first, and a little longer each time, up to a second, since others queue behind it. No session is ever ended.
      - A table is left out while a transaction has held it for longer than this.
    type: int
    default: 5
  open_transaction_seconds:
    description: Nothing is begun while a transaction is open for longer than this, because C(pg_repack) would wait for its end.
    type: int
    default: 60
  wait_seconds:
    description: Seconds to wait for a C(pg_repack) that is at work, or was killed just now, to end. Its table is left alone after that.
    type: int
    default: 15
  jobs:
    description: Number of tables that are written anew side by side.
    type: int
    default: 2
seealso:
  - module: runbook.ops.pg_maintenance
  - module: runbook.ops.pg_index_info
  - name: pg_repack
    description: What it does, and what it needs.
    link: https://reorg.github.io/pg_repack/
"""

EXAMPLES = r"""
- name: Give back what bloated tables waste
  runbook.ops.pg_repack:
    databases: [owlivion_sync]
    window: 02:00-05:00
    byte_budget: 50GB

- name: The same in a container whose image has pg_repack
  runbook.ops.pg_repack:
    databases: [newsletter]
    project: newsletter
    service: postgres
    run_as: newsletter
"""

RETURN = r"""
actions:
  description: What ran, or would run, in order.
  returned: always
  type: list
  elements: str
  sample: ['owlivion_sync: pg_repack --no-order --no-kill-backend --table=public.sync_data']
plan:
  description: All that was decided, with what became of it.
  returned: always
  type: list
  elements: dict
  contains:
    action: {description: One of clean and repack., type: str}
    database: {description: Its database., type: str}
    relation: {description: 'Schema and name, quoted where they need it.', type: str}
    reason: {description: 'Why, with the figures.', type: str}
    status: {description: 'One of planned, done, skipped, failed.', type: str}
    message: {description: Why it was left out or what went wrong., type: str}
    bytes_before: {description: Size with indexes before., type: int}
    bytes_after: {description: Size after; null where the table was not written anew., type: int}
    waste_bytes: {description: 'Bytes of the table that were expected to be given back, without its indexes.', type: int}
    measured: {description: Whether the waste was measured or estimated., type: bool}
    seconds: {description: How long it took., type: float}
changes:
  description: What was changed, or would be, in the shape that console and record read.
  returned: always
  type: list
  elements: dict
checks:
  description: Bytes that bloated tables waste still, and leftovers, per database.
  returned: always
  type: list
  elements: dict
reclaimed_bytes:
  description: Bytes that were given back to the file system.
  returned: always
  type: int
ready:
  description: By database, whether C(pg_repack) is installed.
  returned: always
  type: dict
"""

import time
import uuid
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._daily_window import in_window, parse_window, seconds_to_end
from ansible_collections.runbook.ops.plugins.module_utils._pg import ARGUMENTS as CONNECTION
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_disk import free_of
from ansible_collections.runbook.ops.plugins.module_utils._pg_repack import APPLICATION, Pace, Repacker, gave_up
from ansible_collections.runbook.ops.plugins.module_utils._pg_repack_plan import Limits, Step, checks
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES, PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_size

OPTIONS: dict[str, Any] = {
    **SERVER,
    "databases": CONNECTION["databases"],
    "waste_percent": {"type": "float", "default": 15},
    "waste_min_bytes": {"type": "int", "default": 1_000_000},
    "byte_budget": {"type": "str"},
    "time_budget_seconds": {"type": "int", "default": 3600},
    "window": {"type": "str"},
    "wait_timeout_seconds": {"type": "int", "default": 5},
    "open_transaction_seconds": {"type": "int", "default": 60},
    "wait_seconds": {"type": "int", "default": 15},
    "jobs": {"type": "int", "default": 2},
}


def validate(params: dict[str, Any]) -> None:
    """Refuse what the argument spec cannot.

    :raises ValueError: a number is out of its range, or the window is not one.
    """
    if not 0 < params["waste_percent"] <= 100:
        raise ValueError(f"waste_percent is {params['waste_percent']:g}: a share is above 0 and at most 100 percent")
    for name in ("jobs", "time_budget_seconds", "wait_timeout_seconds"):
        if params[name] < 1:
            raise ValueError(f"{name} is {params[name]}: it must be at least 1")
    for name in ("waste_min_bytes", "open_transaction_seconds", "wait_seconds"):
        if params[name] < 0:
            raise ValueError(f"{name} is {params[name]}: it must not be negative")
    if params["window"] is not None:
        parse_window(params["window"])


def pace_of(params: dict[str, Any], now: time.struct_time) -> Pace:
    """Return the pace that ``params`` ask for at the local time ``now``."""
    window = params["window"]
    is_open = window is None or in_window(window, now)
    return Pace(
        total=params["time_budget_seconds"],
        wait_timeout=params["wait_timeout_seconds"],
        wait_for_others=params["wait_seconds"],
        jobs=params["jobs"],
        window_left=seconds_to_end(window, now) if window and is_open else None,
        closed=None if is_open else f"its window {window} is not open now",
    )


def as_change(step: Step) -> dict[str, Any]:
    return make_change(
        f"{step.database}: {step.relation}",
        action="repack" if step.action == "repack" else "remove leftovers",
        section="Database",
        reason=step.reason,
        before=step.bytes_before,
        after=step.bytes_after,
        unit="bytes",
        seconds=step.seconds,
    )


def run(repacker: Repacker, databases: list[str], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result. All databases are looked at before the first is touched.

    :raises PgError: one cannot be worked on; nothing was changed.
    """
    seen = {name: repacker.plan(name) for name in databases}
    planned = [step for _database, steps, _lacking in seen.values() for step in steps]
    results, told = {}, []
    for name, (database, steps, lacking) in seen.items():
        results[name] = steps if check_mode else repacker.carry_out(database, steps)
        cleaned = {step.oid for step in results[name] if step.action == "clean" and step.status == "done"}
        running = {run["oid"] for run in database["runs"]}
        left = [one for one in database["leftovers"] if one["oid"] not in cleaned and one["oid"] not in running]
        told += checks(name, results[name], left, lacking)
    every = [step for steps in results.values() for step in steps]
    acted = [step for step in every if step.status in ("planned", "done", "failed")]
    return {
        "changed": bool(acted),
        "actions": [f"{step.database}: {step.what}" for step in acted],
        "plan": [{key: value for key, value in asdict(step).items() if key != "leftover"} for step in every],
        "changes": [as_change(step) for step in acted if step.status != "failed"],
        "checks": told,
        "reclaimed_bytes": sum(
            max(0, step.bytes_before - step.bytes_after) for step in every if step.bytes_after is not None
        ),
        "ready": {name: lacking is None for name, (_database, _steps, lacking) in seen.items()},
        "diff": {
            "before": "",
            "after": "".join(f"{step.database}: {step.what}\n" for step in planned if step.status == "planned"),
        },
        "msg": gave_up(every) or "",
    }


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, **RULES)
    params = module.params
    try:
        validate(params)
        limits = Limits(
            waste_percent=params["waste_percent"],
            waste_min_bytes=params["waste_min_bytes"],
            byte_budget=None if params["byte_budget"] is None else parse_size(params["byte_budget"]),
            open_transaction_seconds=params["open_transaction_seconds"],
        )
        repacker = Repacker(
            PgTarget.from_params(params, application=APPLICATION),
            run=uuid.uuid4().hex[:12],
            limits=limits,
            pace=pace_of(params, time.localtime()),
            free=free_of(params),
        )
        result = run(repacker, params["databases"], check_mode=module.check_mode)
    except (PgError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    if result["msg"]:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
