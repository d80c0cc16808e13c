#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: vacuum, analyze and reindex what needs it, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_maintenance
short_description: Vacuum, analyze and reindex what needs it in PostgreSQL
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Measures dead rows, freeze age and index bloat, decides by thresholds, and acts on what is beyond them with
    C(VACUUM (ANALYZE)), C(ANALYZE) and C(REINDEX INDEX CONCURRENTLY). What is below its threshold is not touched.
  - Index bloat is estimated from the catalogue first. Only indexes that may be beyond the limit are then measured with
    C(pgstatindex). Where the extension C(pgstattuple) is missing, a superuser's session borrows it inside a transaction
    that is rolled back; where that cannot be, the estimate decides with a stricter limit.
  - Readers and writers are not blocked. Each statement gives up after O(lock_timeout_seconds) and is tried again
    O(lock_attempts) times. An action that is not expected to fit into what is left of O(time_budget_seconds) is left
    out and said so.
  - Removes the invalid indexes that an interrupted C(REINDEX CONCURRENTLY) left, by whomever it was run, and rebuilds
    other invalid ones.
  - A run that is killed leaves nothing in the way. Its sessions end within a second on PostgreSQL 14 and later, and the
    next run removes what they left.
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
  dead_rows_percent:
    description: Vacuum a table from this share of dead rows on. PostgreSQL's own autovacuum waits for 20 %.
    type: float
    default: 10
  dead_rows_min:
    description: Number of dead rows below which a table is left alone, whatever their share.
    type: int
    default: 1000
  modified_rows_percent:
    description: Analyze a table from this share of rows changed since its last analyze on, as autovacuum does.
    type: float
    default: 10
  modified_rows_min:
    description: Number of changed rows below which a table is not analyzed.
    type: int
    default: 1000
  freeze_percent:
    description: Vacuum and freeze a table from this share of C(autovacuum_freeze_max_age) on, before autovacuum must.
    type: float
    default: 80
  index_waste_percent:
    description:
      - Rebuild an index from this share of waste on.
      - A B-tree under random inserts settles at about 30 % free space, so that lower limits rebuild healthy indexes.
    type: float
    default: 40
  index_waste_min_bytes:
    description: Bytes of waste below which an index is left alone.
    type: int
    default: 1000000
  full_vacuum:
    description:
      - Also rewrite tables that are mostly waste with C(VACUUM FULL). It closes each table to everybody while it runs.
      - Only inside O(window).
    type: bool
    default: false
  window:
    description:
      - Local time of the host in which O(full_vacuum) may run, such as V(02:00-05:00). It may cross midnight.
      - A C(VACUUM FULL) that is not done at its end is cancelled, and leaves its table as it was.
    type: str
  full_vacuum_percent:
    description: Rewrite a table from this share of waste on.
    type: float
    default: 50
  full_vacuum_min_bytes:
    description: Size in bytes below which a table is not rewritten.
    type: int
    default: 16000000
  time_budget_seconds:
    description: Seconds that the run may take. What does not fit is left for the next run.
    type: int
    default: 3600
  lock_timeout_seconds:
    description:
      - Seconds that a statement waits for a lock. C(VACUUM FULL) waits a tenth of a second, as others queue behind it.
      - A rebuild, for which nobody waits, waits for O(open_transaction_seconds) where that is longer.
    type: float
    default: 5
  lock_attempts:
    description: How often a statement is tried whose lock was not to be had.
    type: int
    default: 3
  open_transaction_seconds:
    description: A rebuild is left out while a transaction is open for longer than this, because it would wait for its end.
    type: int
    default: 60
  wait_seconds:
    description: Seconds to wait for another run's sessions in the same database to end, before the run is refused.
    type: int
    default: 15
  jobs:
    description: Number of tables that are vacuumed side by side. Rebuilds go one by one, because they wait for each other.
    type: int
    default: 2
seealso:
  - module: runbook.ops.pg_report_info
  - name: PostgreSQL, routine reindexing
    description: Why and when indexes need it.
    link: https://www.postgresql.org/docs/current/routine-reindex.html
"""

EXAMPLES = r"""
- name: Do what the database needs, for half an hour at most
  runbook.ops.pg_maintenance:
    databases: [owlivion_sync]
    time_budget_seconds: 1800
  register: __maintenance

- name: Maintain a remote database as its owner
  runbook.ops.pg_maintenance:
    databases: [shop]
    login_host: db.example.com
    login_user: shop
    login_password: "{{ vault_shop_password }}"

- name: Give the space of bloated tables back at night
  runbook.ops.pg_maintenance:
    databases: [owlivion_sync]
    full_vacuum: true
    window: 02:00-05:00
"""

RETURN = r"""
actions:
  description: The statements that ran, or would run, in order.
  returned: always
  type: list
  elements: str
  sample: ['owlivion_sync: VACUUM (ANALYZE) public.sync_data']
plan:
  description: All that was decided, with what became of it.
  returned: always
  type: list
  elements: dict
  contains:
    action: {description: 'One of drop_index, vacuum_full, vacuum, analyze, reindex.', type: str}
    database: {description: Its database., type: str}
    relation: {description: 'Schema and name, quoted where they need it.', type: str}
    reason: {description: 'Why, with the figures.', type: str}
    status: {description: 'One of planned, done, skipped, failed.', type: str}
    message: {description: Why it was left out or what went wrong., type: str}
    bytes_before: {description: Size before., type: int}
    bytes_after: {description: Size after; null where it was not done., type: int}
    waste_bytes: {description: Bytes that a rebuild was expected to give back; null for a vacuum., type: int}
    measured: {description: Whether the waste was measured or estimated; null for a vacuum., type: bool}
    seconds: {description: How long it took., type: float}
changes:
  description: What was changed, or would be, in the shape that console and record read.
  returned: always
  type: list
  elements: dict
checks:
  description: Freeze age, invalid indexes and what was left out, per database.
  returned: always
  type: list
  elements: dict
reclaimed_bytes:
  description: Bytes that were given back to the file system.
  returned: always
  type: int
"""

import time
import uuid
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._daily_window import in_window, parse_window, seconds_to_end
from ansible_collections.runbook.ops.plugins.module_utils._pg import ARGUMENTS, PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_disk import free_of
from ansible_collections.runbook.ops.plugins.module_utils._pg_due import Thresholds
from ansible_collections.runbook.ops.plugins.module_utils._pg_maintenance import Budget, Maintenance, gave_up
from ansible_collections.runbook.ops.plugins.module_utils._pg_plan import Action, checks
from ansible_collections.runbook.ops.plugins.module_utils._pg_psql import open_psql
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES

OPTIONS: dict[str, Any] = {
    **SERVER,
    "databases": ARGUMENTS["databases"],
    "dead_rows_percent": {"type": "float", "default": 10},
    "dead_rows_min": {"type": "int", "default": 1000},
    "modified_rows_percent": {"type": "float", "default": 10},
    "modified_rows_min": {"type": "int", "default": 1000},
    "freeze_percent": {"type": "float", "default": 80},
    "index_waste_percent": {"type": "float", "default": 40},
    "index_waste_min_bytes": {"type": "int", "default": 1_000_000},
    "full_vacuum": {"type": "bool", "default": False},
    "window": {"type": "str"},
    "full_vacuum_percent": {"type": "float", "default": 50},
    "full_vacuum_min_bytes": {"type": "int", "default": 16_000_000},
    "time_budget_seconds": {"type": "int", "default": 3600},
    "lock_timeout_seconds": {"type": "float", "default": 5},
    "lock_attempts": {"type": "int", "default": 3},
    "open_transaction_seconds": {"type": "int", "default": 60},
    "wait_seconds": {"type": "int", "default": 15},
    "jobs": {"type": "int", "default": 2},
}
LIMITS = (
    *("dead_rows_percent", "dead_rows_min", "modified_rows_percent", "modified_rows_min", "freeze_percent"),
    *("index_waste_percent", "index_waste_min_bytes", "full_vacuum", "full_vacuum_percent", "full_vacuum_min_bytes"),
)


def validate(params: dict[str, Any]) -> None:
    """Refuse what the argument spec cannot.

    :raises ValueError: a number is out of its range, or the window is not one.
    """
    for name, value in params.items():
        if name.endswith("_percent") and not 0 < value <= 100:
            raise ValueError(f"{name} is {value:g}: a share is above 0 and at most 100 percent")
        if name in ("jobs", "lock_attempts", "time_budget_seconds") and value < 1:
            raise ValueError(f"{name} is {value}: it must be at least 1")
        if (name.endswith(("_min", "_min_bytes", "_seconds"))) and value < 0:
            raise ValueError(f"{name} is {value}: it must not be negative")
    if params["window"] is not None:
        parse_window(params["window"])


def as_change(action: Action) -> dict[str, Any]:
    """Return ``action`` for people. A vacuum makes room inside the files: their size says nothing of what it did."""
    sized = action.action not in ("vacuum", "analyze")
    return make_change(
        f"{action.database}: {action.relation}",
        action=action.action,
        section="Database",
        reason=action.reason,
        before=action.bytes_before if sized else None,
        after=action.bytes_after if sized else None,
        unit="bytes" if sized else None,
        seconds=action.seconds,
    )


def run(maintenance: Maintenance, databases: list[str], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result. All databases are looked at before the first is touched.

    :raises PgError: one cannot be worked on; nothing was changed.
    """
    seen = {name: maintenance.plan(name) for name in databases}
    planned = [action for _database, actions in seen.values() for action in actions]
    if not check_mode:
        seen = {name: maintenance.maintain(name, before, actions) for name, (before, actions) in seen.items()}
    results = [action for _database, actions in seen.values() for action in actions]
    acted = [action for action in results if action.status in ("planned", "done", "failed")]
    return {
        "changed": bool(acted),
        "actions": [f"{action.database}: {action.sql}" for action in acted],
        "plan": [asdict(action) for action in results],
        "changes": [as_change(action) for action in acted if action.status != "failed"],
        "checks": [
            one
            for name, (database, actions) in seen.items()
            for one in checks(name, database, actions, maintenance.limits)
        ],
        "reclaimed_bytes": sum(
            max(0, action.bytes_before - action.bytes_after) for action in results if action.bytes_after is not None
        ),
        "diff": {
            "before": "",
            "after": "".join(f"{one.database}: {one.sql}\n" for one in planned if one.status == "planned"),
        },
        "msg": gave_up(results) or "; ".join(maintenance.troubles),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS, supports_check_mode=True, required_if=[("full_vacuum", True, ["window"])], **RULES
    )
    params = module.params
    try:
        validate(params)
        if params["full_vacuum"] and not in_window(params["window"], time.localtime()):
            raise ValueError(
                f"full_vacuum is asked for outside its window {params['window']}: run this inside it, or without full_vacuum"
            )
        psql = open_psql(module)
        budget = Budget(
            total=params["time_budget_seconds"],
            lock_timeout=params["lock_timeout_seconds"],
            lock_attempts=params["lock_attempts"],
            wait_for_others=params["wait_seconds"],
            held_limit=params["open_transaction_seconds"],
            jobs=params["jobs"],
            window=seconds_to_end(params["window"], time.localtime()) if params["full_vacuum"] else None,
        )
        limits = Thresholds(**{name: params[name] for name in LIMITS})
        maintenance = Maintenance(psql, run=uuid.uuid4().hex[:12], limits=limits, budget=budget, free=free_of(params))
        result = run(maintenance, params["databases"], check_mode=module.check_mode)
    except (PgError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    if result["msg"]:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
