#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: remove the rows of a PostgreSQL table that are too old."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_row_retention
short_description: Remove the rows of a PostgreSQL table that are too old, a few at a time
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Deletes rows whose O(column) is older than O(older_than), some thousand in one transaction, the oldest first where an index allows
    it, otherwise block by block. Rows that somebody has locked are left for later, so that nobody waits for this and this for nobody.
  - It stops when O(time_budget_seconds) is over. The next run goes on, as it does after a killed one.
  - Refused where other rows would go with them, of the same table or another, unless O(cascade) allows it.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.postgresql.connection
  - runbook.ops.postgresql.server
attributes:
  check_mode:
    support: full
    details: [It counts the rows, which reads the table or the index, for O(statement_timeout_seconds) at most.]
  diff_mode:
    support: full
  idempotent:
    support: full
    details: [A second run finds only what has become too old since.]
options:
  database:
    description: Database that the table is in.
    type: str
    required: true
  table:
    description: Its table, with the schema where several have one of that name. Of a partitioned one, all partitions.
    type: str
    required: true
  column:
    description: Column that says when a row was made. A time without a zone is taken for UTC.
    type: str
    required: true
  older_than:
    description: Rows older than this go, such as V(730d). At least one day.
    type: str
    required: true
  cascade:
    description:
      - Whether other rows may go, or lose what they refer to, by C(ON DELETE) of a foreign key. Those of the same table that refer to
        an old one are among them, however young.
    type: bool
    default: false
  batch_rows:
    description: About so many rows are removed in one transaction.
    type: int
    default: 5000
  pause_seconds:
    description: How long to rest after each.
    type: float
    default: 0.05
  lock_timeout_seconds:
    description: How long a transaction waits for the table. It is tried again then.
    type: float
    default: 1
  statement_timeout_seconds:
    description: How long one transaction, or the count, may take.
    type: float
    default: 60
  time_budget_seconds:
    description: No new transaction is begun after this.
    type: float
    default: 600
  vacuum:
    description: Whether the table is vacuumed and analysed where rows were removed, so that their room is used again.
    type: bool
    default: true
seealso:
  - module: runbook.ops.pg_maintenance
"""

EXAMPLES = r"""
- name: Keep the events of two years
  runbook.ops.pg_row_retention:
    database: newsletter
    table: email_events
    column: created_at
    older_than: 730d
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
rows:
  description: How many rows were removed, or in check mode would be.
  returned: success
  type: int
finished:
  description: Whether none is left that is too old. False where the time was up, or a session holds some.
  returned: success
  type: bool
steps:
  description: In how many transactions.
  returned: success
  type: int
longest_seconds:
  description: How long the longest of them took.
  returned: success
  type: float
rows_per_second:
  description: How fast it was, pauses among it. Null where nothing was removed.
  returned: success
  type: float
checks:
  description: Whether what is too old is gone.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of the change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_session import PgSession
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES, PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._row_remover import Pace, Remover
from ansible_collections.runbook.ops.plugins.module_utils._row_retention import (
    RetentionError,
    Rule,
    Table,
    count_query,
    find_query,
    parse,
    understand,
)
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, parse_duration

GRACE_SECONDS = 30.0  # for a server to end a statement by itself
NOW = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"');"
ARGUMENTS: dict[str, Any] = {
    **SERVER,
    "database": {"type": "str", "required": True},
    "table": {"type": "str", "required": True},
    "column": {"type": "str", "required": True},
    "older_than": {"type": "str", "required": True},
    "cascade": {"type": "bool", "default": False},
    "batch_rows": {"type": "int", "default": 5000},
    "pause_seconds": {"type": "float", "default": 0.05},
    "lock_timeout_seconds": {"type": "float", "default": 1},
    "statement_timeout_seconds": {"type": "float", "default": 60},
    "time_budget_seconds": {"type": "float", "default": 600},
    "vacuum": {"type": "bool", "default": True},
}


class PartlyError(Exception):
    """It stopped on the way; what is gone by then stands in its result."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


class Steps:
    """Runs one statement after the other in a session, and opens another one after an error."""

    def __init__(self, target: PgTarget, database: str, pace: Pace) -> None:
        self._target, self._database, self._pace = target, database, pace
        self._session: PgSession | None = None

    def __enter__(self) -> Steps:
        return self

    def __call__(self, sql: str) -> Mapping[str, Any]:
        """Return what a statement tells.

        :raises PgError: it failed, and was undone as a whole.
        """
        try:
            if self._session is None:
                self._session = self._target.session(self._database).__enter__()
                self._session.tells_detail = False  # values of rows are nobody's here
                self._session(
                    f"SET lock_timeout = {round(self._pace.lock_timeout * 1000)};\n"
                    f"SET statement_timeout = {round(self._pace.statement_timeout * 1000)};\n"
                    "SET client_min_messages = error;\n"  # what a trigger says would stand between the answers
                    "SET default_transaction_isolation = 'read committed';\nSET default_transaction_read_only = off;"
                )
            return dict(parse(self._session(sql, limit_seconds=self._pace.statement_timeout + GRACE_SECONDS)))
        except PgError:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session:
            session.__exit__(kind, error, trace)


def run(rule: Rule, pace: Pace, target: PgTarget, *, vacuum: bool, check_mode: bool) -> dict[str, Any]:
    """Remove what is too old, or count it.

    :raises PgError: the server did not do it.
    :raises RetentionError: it must not be done.
    :raises PartlyError: some are gone, and then a step failed.
    """
    table = look(rule, target)
    if check_mode:
        (said,) = target.sql(rule.database, count_query(table), timeout_seconds=pace.statement_timeout)
        return _result(rule, table, rows=int(said), finished=not int(said))
    with Steps(target, rule.database, pace) as ask:
        remover = Remover(ask, rule.column, pace)
        try:
            done = remover.remove(table)
        except (PgError, RetentionError, ValueError) as exc:
            if not remover.rows:
                raise
            partly = _result(rule, table, rows=remover.rows, finished=False, seconds=remover.seconds)
            raise PartlyError(str(exc), {**partly, "steps": remover.steps}) from exc
    dead = _vacuum(target, rule.database, table) if vacuum and done.rows else None
    speed = round(done.rows / done.seconds, 1) if done.rows and done.seconds else None
    told = {"steps": done.steps, "longest_seconds": round(done.longest, 3), "rows_per_second": speed}
    return {
        **_result(rule, table, rows=done.rows, finished=done.finished, seconds=done.seconds, dead=dead),
        **told,
    }


def _vacuum(target: PgTarget, database: str, table: Table) -> str | None:
    """Vacuum the table; return why not. The rows are gone either way, and autovacuum comes by itself."""
    try:
        target.sql(database, f"VACUUM (ANALYZE) {table.sql};", timeout_seconds=0)
    except PgError as exc:
        return str(exc)
    return None


def look(rule: Rule, target: PgTarget) -> Table:
    """Return the table that ``rule`` is about.

    :raises RetentionError: there is none, or its rows must not be removed so.
    """
    (now,) = target.sql(rule.database, NOW)
    return understand(rule, target.json(rule.database, find_query(rule)), version=target.server_version_num, now=now)


def _result(
    rule: Rule, table: Table, *, rows: int, finished: bool, seconds: float | None = None, dead: str | None = None
) -> dict[str, Any]:
    place = f"{rule.database}: {table.schema}.{table.name}"
    age = human_duration(rule.seconds)
    change = make_change(
        place,
        action="delete rows",
        section="Retention",
        reason=f"older than {age}",
        before=rows,
        after=0,
        unit="rows",
        seconds=seconds,
    )
    check = make_check(
        f"pg_row_retention:{rule.database}.{table.schema}.{table.name}",
        name=f"old rows of {table.name}",
        section="Retention",
        status="ok" if finished and not dead else "warning",
        detail=(f"none is older than {age}" if finished else f"there are rows older than {age} still")
        + (f"; it was not vacuumed: {dead}" if dead else ""),
        remedy="vacuum it when nobody holds it"
        if finished
        else "run it again; those that a session holds are left, and time_budget_seconds gives it more time",
    )
    return {
        "changed": rows > 0,
        "actions": [f"delete {rows} rows of {place} that are older than {age}"] if rows else [],
        "rows": rows,
        "finished": finished,
        "steps": 0,
        "longest_seconds": 0.0,
        "rows_per_second": None,
        "checks": [check],
        "changes": [change] if rows else [],
        "diff": {
            "before": f"{rows} rows older than {age}\n",
            "after": f"{0 if finished or seconds is None else 'some'} rows older than {age}\n",
        },
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    params = module.params
    place = f"{params['database']}: {params['table']}"
    try:
        for name in ("batch_rows", "statement_timeout_seconds", "time_budget_seconds", "lock_timeout_seconds"):
            if params[name] <= 0:
                raise RetentionError(f"{name} is {params[name]}: it must be above 0")
        keys = (
            "batch_rows",
            "pause_seconds",
            "lock_timeout_seconds",
            "statement_timeout_seconds",
            "time_budget_seconds",
        )
        pace = Pace(*(params[key] for key in keys))
        rule = Rule(
            params["database"],
            params["table"],
            params["column"],
            parse_duration(params["older_than"]),
            params["cascade"],
        )
        target = PgTarget.from_params(params, application="runbook.ops pg_row_retention")
        result = run(rule, pace, target, vacuum=params["vacuum"], check_mode=module.check_mode)
    except PartlyError as exc:
        gone = exc.result["rows"]
        module.fail_json(msg=f"old rows of {place} were not all removed, {gone} were: {exc}", **exc.result)
    except (PgError, RetentionError, ValueError) as exc:
        module.fail_json(msg=f"old rows of {place} were not all removed: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
