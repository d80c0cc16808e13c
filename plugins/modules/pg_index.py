#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: make or remove an index of PostgreSQL beside the users of its table."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_index
short_description: Make or remove an index of PostgreSQL beside the users of its table
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Makes an index with C(CREATE INDEX CONCURRENTLY), or removes it with C(DROP INDEX CONCURRENTLY). Readers and writers are not blocked.
  - An invalid index of that name, as one that was interrupted leaves, is removed first, unless somebody makes it now. What a try of its
    own that failed leaves is removed at once.
  - An index of that name that is another one is not touched, nor is one that a constraint or a replica needs.
extends_documentation_fragment:
  - runbook.ops.attributes.full
  - runbook.ops.postgresql.connection
  - runbook.ops.postgresql.server
options:
  database:
    description: Database of the table.
    type: str
    required: true
  state:
    description: Whether there is to be such an index.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Name of the index.
    type: str
    required: true
  schema:
    description: Schema of the table, and with it of the index.
    type: str
    default: public
  table:
    description: Its table. Required for O(state=present).
    type: str
  columns:
    description:
      - Its columns in order, as SQL, such as V(tenant_id) or C(lower(email\)) or V(created_at DESC). Required for O(state=present).
      - They are taken as they are. Only trusted people may write them.
    type: list
    elements: str
  unique:
    description: Whether no two rows may be alike in it.
    type: bool
    default: false
  method:
    description: How it is built.
    type: str
    choices: [btree, hash, gin, gist, spgist, brin]
    default: btree
  where:
    description: Only the rows for which this SQL is true. It is taken as it is.
    type: str
  lock_timeout_seconds:
    description: Seconds that it waits for a lock. Once the index is made it waits for transactions older than itself.
    type: int
    default: 60
  open_transaction_seconds:
    description: Refused while a transaction is open for longer than this, because it would wait for its end.
    type: int
    default: 60
  time_budget_seconds:
    description: Seconds that it may take.
    type: int
    default: 3600
seealso:
  - module: runbook.ops.pg_index_info
"""

EXAMPLES = r"""
- name: Index the campaigns by tenant and time
  runbook.ops.pg_index:
    database: newsletter
    name: idx_campaigns_tenant_created
    table: campaigns
    columns: [tenant_id, created_at]
"""

RETURN = r"""
actions:
  description: The statements that ran, or would run, in order.
  returned: always
  type: list
  elements: str
changes:
  description: What was changed, or would be, in the shape that console and record read.
  returned: always
  type: list
  elements: dict
"""

import re
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, quote_identifier
from ansible_collections.runbook.ops.plugins.module_utils._pg_index_sql import (
    create_index,
    drop_index,
    find_index,
    oldest,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES, PgTarget

OPTIONS: dict[str, Any] = {
    **SERVER,
    "database": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "name": {"type": "str", "required": True},
    "schema": {"type": "str", "default": "public"},
    "table": {"type": "str"},
    "columns": {"type": "list", "elements": "str"},
    "unique": {"type": "bool", "default": False},
    "method": {"type": "str", "choices": ["btree", "hash", "gin", "gist", "spgist", "brin"], "default": "btree"},
    "where": {"type": "str"},
    "lock_timeout_seconds": {"type": "int", "default": 60},
    "open_transaction_seconds": {"type": "int", "default": 60},
    "time_budget_seconds": {"type": "int", "default": 3600},
}


def plain(sql: str) -> str:
    """Return ``sql`` without what makes no difference: blanks, quotes and parentheses around, ASC, capitals."""
    return re.sub(r"\s+asc$", "", re.sub(r'[\s"]+', " ", sql).strip().lower()).strip("() ")


def plan(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the statements (what it is called, SQL) that make it so.

    :raises ValueError: it is another index, something needs it, or somebody makes it now.
    """
    place = f"{wanted['schema']}.{wanted['name']}"
    if found and found["builder"]:
        raise ValueError(f"session {found['builder']} makes index {place} now: run this again when it is done")
    drop = ("drop index", drop_index(wanted["schema"], wanted["name"]))
    if wanted["state"] == "absent":
        if not found:
            return []
        needs = found["constraint"] or found["referenced"]
        if needs or found["identity"] or found["partitioned"]:
            why = f"constraint {needs} needs it" if needs else "a replica or a partitioned table needs it"
            raise ValueError(f"index {place} is not removed: {why}")
        return [drop]
    create = ("create index", create_index(wanted))
    if not found:
        return [create]
    differs = differences(found, wanted)
    if differs:
        raise ValueError(
            f"index {place} is another one ({', '.join(differs)}): {found['definition']}. Choose another name"
        )
    return [] if found["valid"] else [drop, create]


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in what the index that is there is another. Expressions are compared only where both are plain columns."""
    names = [key for key in ("table", "unique", "method") if found[key] != wanted[key]]
    mine, theirs = ([plain(one) for one in index["columns"]] for index in (wanted, found))
    simple = all(re.fullmatch(r"\w+", one) for one in mine)
    if len(mine) != len(theirs) or (simple and mine != theirs):
        names.append("columns")
    if bool(found["where"]) != bool(wanted["where"]):
        names.append("where")
    return names


def run(target: PgTarget, wanted: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises PgError: the database cannot be reached, or a statement failed; nothing half made is left then.
    :raises ValueError: it must not be done.
    """
    name = wanted["database"]
    found = target.json(name, find_index(wanted["schema"], wanted["name"]))
    statements = plan(found, wanted)
    seconds = {}
    if statements and not check_mode:
        now = target.json(name, oldest(wanted["open_transaction_seconds"]))
        if now["in_recovery"]:
            raise PgError(f"database {name} is on a standby: run this on its primary")
        if now["holder"]:
            raise PgError(f"it would wait for {now['holder']}: end it, then run this again")
        for action, sql in statements:
            began = time.monotonic()
            carry_out(target, wanted, action, sql)
            seconds[action] = round(time.monotonic() - began, 3)
    size = target.json(name, find_index(wanted["schema"], wanted["name"])) if seconds else None
    return {
        "changed": bool(statements),
        "actions": [sql for _action, sql in statements],
        "changes": [
            make_change(
                f"{name}: {wanted['schema']}.{wanted['name']}",
                action=action,
                section="Database",
                reason="described"
                if action == "create index"
                else "not wanted"
                if wanted["state"] == "absent"
                else "it was half made",
                before=found["bytes"] if found and action == "drop index" else None,
                after=size["bytes"] if size and action == "create index" else None,
                unit="bytes",
                seconds=seconds.get(action),
            )
            for action, _sql in statements
        ],
        "diff": {"before": "", "after": "".join(f"{sql}\n" for _action, sql in statements)},
    }


def carry_out(target: PgTarget, wanted: Mapping[str, Any], action: str, sql: str) -> None:
    """Run one statement, and remove what it leaves where it fails.

    :raises PgError: it failed.
    """
    # Names in the columns mean those that are in the table's schema.
    path = f"SET search_path = {quote_identifier(wanted['schema'])}, pg_catalog, public;\n"
    limits = {"timeout_seconds": wanted["time_budget_seconds"], "lock_timeout_seconds": wanted["lock_timeout_seconds"]}
    try:
        target.sql(wanted["database"], f"{path}{sql};", **limits)
    except PgError as exc:
        left = target.json(wanted["database"], find_index(wanted["schema"], wanted["name"]))
        if action == "create index" and left and not left["valid"] and not left["builder"]:
            try:
                target.sql(wanted["database"], f"{drop_index(wanted['schema'], wanted['name'])};", **limits)
            except PgError as again:
                raise PgError(
                    f"{exc}; what it left could not be removed ({again}), the next run will try again"
                ) from exc
        raise


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS,
        supports_check_mode=True,
        required_if=[("state", "present", ("table", "columns"))],
        **RULES,
    )
    try:
        target = PgTarget.from_params(module.params, application="runbook.ops pg_index")
        result = run(target, module.params, check_mode=module.check_mode)
    except (PgError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
