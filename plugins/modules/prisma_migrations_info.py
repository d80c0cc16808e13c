#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: say which migrations Prisma has applied to a database, and which have failed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prisma_migrations_info
short_description: Say which migrations Prisma has applied to a database
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Reads the table C(_prisma_migrations). Nothing is changed, and Prisma itself is not needed.
extends_documentation_fragment:
  - runbook.ops.attributes.info
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
options:
  database:
    description: The database.
    type: str
    required: true
  schema:
    description: Schema of the table.
    type: str
    default: public
seealso:
  - module: runbook.ops.prisma_migration
"""

EXAMPLES = r"""
- name: See the migrations
  runbook.ops.prisma_migrations_info:
    database: production_db
  register: __migrations
"""

RETURN = r"""
migrations:
  description: The migrations, oldest first; of several tries of one the last.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    state: {description: 'One of applied, failed, rolled_back.', type: str}
    started_at: {description: 'When it was begun, UTC.', type: str}
    finished_at: {description: When it had succeeded; null where it had not., type: str}
    rolled_back_at: {description: When it was marked as rolled back; null where it was not., type: str}
    steps: {description: Number of its steps that were noted as carried out., type: int}
running:
  description: Whether C(prisma migrate) works in this database at this moment.
  returned: success
  type: bool
checks:
  description: Whether a migration has failed.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _prisma
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS, RULES, PgTarget

OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "schema": {"type": "str", "default": "public"},
}


def run(target: PgTarget, database: str, schema: str) -> dict[str, Any]:
    """Return the module's result.

    :raises PgError: the server does not tell.
    """
    told = _prisma.read(target, database, schema)
    failed = [one["name"] for one in told["migrations"] if one["state"] == "failed"]
    check = make_check(
        f"prisma:{database}",
        name=f"{database} migrations",
        section="Databases",
        status="critical" if failed else "ok",
        value=len(failed),
        unit="failed",
        detail=f"failed: {', '.join(failed)}" if failed else f"{len(told['migrations'])} known, none has failed",
        remedy="Look at its logs in _prisma_migrations, then playbooks/database_rollback.yml",
    )
    return {"changed": False, **told, "checks": [check]}


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, **RULES)
    params = module.params
    try:
        target = PgTarget.from_params(params, application="runbook.ops prisma_migrations_info")
        result = run(target, params["database"], params["schema"])
    except (PgError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
