#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: mark a failed migration of Prisma as rolled back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prisma_migration
short_description: Mark a failed migration of Prisma as rolled back
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Runs C(prisma migrate resolve --rolled-back), where that is right. The migration must be known and must have failed, and none may be
    running. A migration that has succeeded is refused, as Prisma refuses it.
  - The mark undoes nothing in the database. A check says what stays. Another one says whether the schema is what the release expects, as
    C(prisma migrate diff) compares it, so whether the changes of the failed migration have been taken back.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the migration, such as V(20260201120000_add_tags).
    type: str
    required: true
  database:
    description: The database. The application's own configuration must name the same one.
    type: str
    required: true
  schema:
    description: Schema of the table C(_prisma_migrations).
    type: str
    default: public
  state:
    description: What it is marked as.
    type: str
    choices: [rolled_back]
    default: rolled_back
  directory:
    description: Absolute directory of the application, where Prisma finds its schema and its C(.env).
    type: path
  user:
    description: Account that runs Prisma in O(directory). Without it the module's own.
    type: str
  release:
    description:
      - In place of O(directory), a release of a service that Compose runs, such as the one that is live. Prisma then runs in a container of its own of
        its image.
    type: dict
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      id:
        description: Name of the release.
        type: str
        required: true
      directory:
        description: Directory of what is known of releases.
        type: path
        default: /var/lib/runbook-ops/deploy
  schema_file:
    description: The schema that the database is compared with, relative to where Prisma runs.
    type: str
    default: prisma/schema.prisma
  command:
    description: How Prisma is called. It is run without a shell.
    type: list
    elements: str
    default: [npx, --no-install, prisma]
seealso:
  - module: runbook.ops.prisma_migrations_info
  - name: Prisma, failed migrations
    description: What the mark means.
    link: https://www.prisma.io/docs/orm/prisma-migrate/workflows/patching-and-hotfixing
"""

EXAMPLES = r"""
- name: Have the next deployment apply the failed migration again
  runbook.ops.prisma_migration:
    name: 20260201120000_add_tags
    database: production_db
    directory: /srv/lifeplatform
    user: deploy

- name: The same with Prisma of the image that is live
  runbook.ops.prisma_migration:
    name: 20260201120000_add_tags
    database: production_db
    release: {service: app, id: 20260301T101500Z-0f3a9c1d2e4b}
"""

RETURN = r"""
actions:
  description: The command that ran, or would run.
  returned: success
  type: list
  elements: str
migration:
  description: The migration afterwards, or in check mode as it would be.
  returned: success
  type: dict
checks:
  description: What stays in the database, and how its schema is.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or would.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _prisma, _prisma_schema
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._migration import Program
from ansible_collections.runbook.ops.plugins.module_utils._migration_image import ReleaseImage
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError
from ansible_collections.runbook.ops.plugins.module_utils._migration_programs import compared, program, surroundings
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS, RULES, PgTarget

# A mark waits for nothing but a lock of Prisma's own table.
LIMITS = {"lock_timeout_seconds": 5, "timeout_seconds": 120}
OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    "name": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    "schema": {"type": "str", "default": "public"},
    "state": {"type": "str", "choices": ["rolled_back"], "default": "rolled_back"},
    "directory": {"type": "path"},
    "user": {"type": "str"},
    "release": {
        "type": "dict",
        "options": {
            "service": {"type": "str", "required": True},
            "id": {"type": "str", "required": True},
            "directory": {"type": "path", "default": "/var/lib/runbook-ops/deploy"},
        },
    },
    "schema_file": {"type": "str", "default": "prisma/schema.prisma"},
    "command": {"type": "list", "elements": "str", "default": ["npx", "--no-install", "prisma"]},
}


def prisma_of(params: dict[str, Any]) -> Program:
    """Return a call of Prisma, in the image of a release or in a directory of this host.

    :raises MigrationError: there is no such release.
    """
    asked = params["release"]
    if not asked:
        return program({**LIMITS, "chdir": params["directory"], "user": params["user"]}, params["command"], {})
    release = ReleaseImage(asked["service"], asked["id"], asked["directory"])
    variables = surroundings({**LIMITS, "environment_file": None, "environment": None}, release.environment)
    return release.program(params["command"], variables, timeout_seconds=LIMITS["timeout_seconds"])


def run(target: PgTarget, prisma: Program, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises PrismaError: it must not be marked.
    """
    name, place = params["name"], (params["database"], params["schema"])
    found = _prisma.plan(_prisma.read(target, *place), name)
    arguments = ["migrate", "resolve", "--rolled-back", name]
    checks = (
        [_stays(name, found), _prisma_schema.check(place[0], compared(prisma, params["schema_file"]))] if found else []
    )
    if found and not check_mode:
        prisma(*arguments)
        if _prisma.plan(_prisma.read(target, *place), name):
            raise _prisma.PrismaError(
                f"Prisma has ended well, and {name} is still failed in {params['database']}: it works on another database; "
                "compare DATABASE_URL of the application with database and login_host"
            )
    change = make_change(name, action="marked as rolled back", section="Databases", reason="it has failed")
    return {
        "changed": bool(found),
        "actions": [" ".join([*params["command"], *arguments])] if found else [],
        "migration": {**(found or {"name": name}), "state": "rolled_back"},
        "checks": checks,
        "changes": [change] if found else [],
        "diff": {"before": {"state": found["state"] if found else "rolled_back"}, "after": {"state": "rolled_back"}},
    }


def _stays(name: str, found: dict[str, Any]) -> dict[str, Any]:
    return make_check(
        f"prisma:{name}",
        name=f"migration {name}",
        section="Databases",
        status="warning",
        detail=_prisma.cannot_take_back(found),
        remedy="Compare the schema with the one before it: prisma migrate diff",
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS,
        supports_check_mode=True,
        **{
            **RULES,
            "required_one_of": [*RULES.get("required_one_of", []), ("directory", "release")],
            "mutually_exclusive": [*RULES.get("mutually_exclusive", []), ("directory", "release"), ("user", "release")],
        },
    )
    params = module.params
    try:
        target = PgTarget.from_params(params, application="runbook.ops prisma_migration")
        result = run(target, prisma_of(params), params, check_mode=module.check_mode)
    except (_prisma.PrismaError, MigrationError, PgError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
