#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read what a PostgreSQL database looks like."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_report_info
short_description: Read sizes, bloat, sessions and slow statements of PostgreSQL databases
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Reads, per database and in one connection, sizes, dead rows, freeze age, invalid indexes, sessions, open
    transactions, settings that wait for a restart, and the slowest statements where C(pg_stat_statements) counts them.
extends_documentation_fragment:
  - runbook.ops.attributes.info
  - runbook.ops.postgresql
  - runbook.ops.postgresql.connection
  - runbook.ops.postgresql.server
options:
  number:
    description: How many tables, indexes and statements are listed.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Read what the database looks like
  runbook.ops.pg_report_info:
    databases: [owlivion_sync]
  register: report
"""

RETURN = r"""
databases:
  description: One report per database, in the order asked for.
  returned: always
  type: list
  elements: dict
  contains:
    database: {description: Its name., type: str}
    version: {description: 'Version of the server, such as 150018.', type: int}
    in_recovery: {description: Whether the server is a standby., type: bool}
    started_at: {description: 'When the server was started, ISO 8601 in UTC.', type: str}
    bytes: {description: Size of the database., type: int}
    freeze_age_percent: {description: Age of the oldest unfrozen row in percent of autovacuum_freeze_max_age., type: float}
    pending_restart: {description: Settings that take effect with the next restart., type: list, elements: str}
    extensions: {description: Installed extensions and their versions., type: dict}
    connections: {description: 'Client sessions: max and used of the server, by_state of this database.', type: dict}
    oldest_transaction_seconds: {description: 'Age of the oldest open transaction, 0 where there is none.', type: float}
    idle_in_transaction_seconds: {description: 'How long a session has been idle in its transaction, 0 where none is.', type: float}
    dead_rows: {description: Dead rows of all tables., type: int}
    invalid_indexes: {description: Indexes that serve no query., type: list, elements: str}
    largest_tables: {description: 'relation, bytes (null while it is locked), live_rows, dead_rows, dead_rows_percent.', type: list, elements: dict}
    largest_indexes: {description: 'relation, table, bytes (null while it is locked), scans.', type: list, elements: dict}
    statements: {description: Whether statements are counted (available) and why not (reason)., type: dict}
    slowest_statements: {description: 'query (shortened, and cut at its first string), calls, mean_ms, total_ms, rows.', type: list, elements: dict}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pg import ARGUMENTS, PgError, Psql, Session
from ansible_collections.runbook.ops.plugins.module_utils._pg_psql import open_psql
from ansible_collections.runbook.ops.plugins.module_utils._pg_report import read, report
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES


def run(psql: Psql, databases: list[str], number: int) -> dict[str, Any]:
    """Return the module's result.

    :raises PgError: a database cannot be reached.
    """
    session = Session("runbook.ops pg_report_info")
    return {"changed": False, "databases": [read(psql(name, report(number), session)) for name in databases]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**SERVER, "databases": ARGUMENTS["databases"], "number": {"type": "int", "default": 10}},
        supports_check_mode=True,
        **RULES,
    )
    try:
        result = run(open_psql(module), module.params["databases"], module.params["number"])
    except PgError as exc:
        module.fail_json(msg=str(exc))
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
