#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: say what the indexes of a PostgreSQL database need, and what grows old in it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_index_info
short_description: Say what the indexes of a PostgreSQL database need, and what grows old in it
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Finds unused, duplicate and invalid indexes, foreign keys of large tables without an index, large tables that are read whole again and
    again, and old statistics, each with the SQL that does something about it.
  - Finds the table with the oldest freeze age, the sequence nearest its end, as its column's type allows, and the longest transaction.
  - Lists the statements that take longest on average, where C(pg_stat_statements) counts them.
  - It only reads. What a replica uses is not known to its primary.
extends_documentation_fragment:
  - runbook.ops.attributes.info
  - runbook.ops.postgresql.connection
  - runbook.ops.postgresql.server
options:
  database:
    description: The database to look at.
    type: str
    required: true
  unused_days:
    description:
      - An index is told of as unused when uses have been counted for so many days without any.
      - One that is unique, or serves a constraint, a foreign key or a replica, is never told of.
    type: float
    default: 30
  unused_min_bytes:
    description: Size in bytes below which an unused index is not worth a word.
    type: int
    default: 1000000
  missing_min_rows:
    description: A foreign key without an index is told of from so many rows of its table on.
    type: int
    default: 10000
  large_rows:
    description: From so many rows on, a table is large, and reading it whole is told of.
    type: int
    default: 100000
  freeze_percent:
    description: Freeze age of a table, in percent of C(autovacuum_freeze_max_age), that is a warning.
    type: float
    default: 80
  sequence_percent:
    description: Share of a sequence's numbers that are used up, that is a warning. From 90 on it is critical.
    type: float
    default: 70
  transaction_seconds:
    description: Age of an open transaction in seconds that is a warning.
    type: float
    default: 3600
  slow_milliseconds:
    description: Mean time of a statement that is a warning.
    type: float
    default: 1000
  number:
    description: How many of the statements with the longest mean time are listed.
    type: int
    default: 20
seealso:
  - module: runbook.ops.pg_index
  - module: runbook.ops.pg_maintenance
"""

EXAMPLES = r"""
- name: Look at the indexes
  runbook.ops.pg_index_info:
    database: owlivion_sync
  register: indexes

- name: Show what could be done
  ansible.builtin.debug:
    msg: "{{ indexes['findings'] | map(attribute='sql') | select }}"
"""

RETURN = r"""
findings:
  description: All that was found.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: 'One of unused, duplicate, missing, sequential_scans, invalid, statistics.', type: str}
    relation: {description: 'The index, or the table.', type: str}
    reason: {description: Why it is told., type: str}
    sql: {description: What to do; null where no machine can say., type: str}
    bytes: {description: Size of the index; null where it is none., type: int}
slowest_statements:
  description: 'query (shortened, and cut at its first string), calls, mean_ms, total_ms, rows.'
  returned: always
  type: list
  elements: dict
checks:
  description: One of each kind, of the oldest table, the fullest sequence, the longest transaction and the slowest statement.
  returned: always
  type: list
  elements: dict
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_index import Limits, checks, findings, slow
from ansible_collections.runbook.ops.plugins.module_utils._pg_index_sql import OBSERVE
from ansible_collections.runbook.ops.plugins.module_utils._pg_report import read, report
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES, PgTarget

LIMITS: dict[str, Any] = {
    "unused_days": {"type": "float", "default": 30},
    "unused_min_bytes": {"type": "int", "default": 1_000_000},
    "missing_min_rows": {"type": "int", "default": 10_000},
    "large_rows": {"type": "int", "default": 100_000},
    "freeze_percent": {"type": "float", "default": 80},
    "sequence_percent": {"type": "float", "default": 70},
    "transaction_seconds": {"type": "float", "default": 3600},
}
OPTIONS: dict[str, Any] = {
    **SERVER,
    "database": {"type": "str", "required": True},
    **LIMITS,
    "slow_milliseconds": {"type": "float", "default": 1000},
    "number": {"type": "int", "default": 20},
}


def run(target: PgTarget, name: str, limits: Limits, *, slow_milliseconds: float, number: int) -> dict[str, Any]:
    """Return the module's result.

    :raises PgError: the database cannot be reached.
    """
    database = target.json(name, OBSERVE)
    found = findings(database, limits)
    told = read(target.sql(name, report(number)))
    return {
        "changed": False,
        "findings": [asdict(one) for one in found],
        "slowest_statements": told["slowest_statements"],
        "checks": [*checks(name, database, found, limits), slow(name, told, slow_milliseconds)],
    }


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, **RULES)
    params = module.params
    try:
        target = PgTarget.from_params(params, application="runbook.ops pg_index_info")
        limits = Limits(**{name: params[name] for name in LIMITS})
        result = run(
            target,
            params["database"],
            limits,
            slow_milliseconds=params["slow_milliseconds"],
            number=params["number"],
        )
    except PgError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
