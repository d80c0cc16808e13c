#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: apply the migrations that a release brings, with a way back and without a long wait for locks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_migration
short_description: Apply the migrations that a release brings to a database of PostgreSQL
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Looks which migrations are pending, reads their SQL, and applies them. Nothing is applied where a statement destroys data or breaks
    the release that runs, or where there is no proven backup of the database, unless a reason is given.
  - With O(kind=sql) each file is one transaction, together with the note of it in the table C(public.runbook_ops_migrations). It runs as
    the owner of the database. A failed one leaves nothing behind. C(BEGIN) and C(COMMIT) around a file are taken for ours. A statement that
    cannot be in a transaction, such as C(CREATE INDEX CONCURRENTLY), needs a file of its own.
  - With O(kind=prisma) it is C(prisma migrate deploy), with O(kind=command) a program of the application's. How far a failed one came, and
    what it left, depends on that program.
  - With O(kind=drizzle) it is a program of the application's that calls Drizzle's migrator. What is pending, and whether it then is applied, says
    Drizzle's table. A migration that Drizzle would pass over is refused.
  - In check mode nothing is applied; what would be refused is refused.
extends_documentation_fragment:
  - runbook.ops.attributes.full
  - runbook.ops.change.fence
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
options:
  database:
    description: The database. The application's own configuration must name the same one.
    type: str
    required: true
  kind:
    description: What the migrations are.
    type: str
    choices: [sql, prisma, drizzle, command]
    required: true
  directory:
    description:
      - Absolute directory of the migrations, or one of the image of O(release). With O(kind=sql) files of SQL in the order of their names,
        but none that ends in C(.down.sql); a directory each with O(kind=prisma); what C(meta/_journal.json) names with O(kind=drizzle).
        Required for these.
      - With O(kind=command), what stands there under the name of a migration is looked into.
    type: path
  baseline:
    description:
      - With O(kind=sql) and a database that has tables but no note of migrations, the last file that is applied already, V(all) or V(none).
      - It is noted, and has to be said once.
    type: str
  retry:
    description: With O(kind=sql), a file whose single statement was cut off outside of a transaction, and may be run again.
    type: str
  schema:
    description: The schema of the tool's own table. Without it C(public) with O(kind=prisma), C(drizzle) with O(kind=drizzle).
    type: str
  command:
    description: With O(kind=prisma), how Prisma is called. It is run without a shell.
    type: list
    elements: str
    default: [npx, --no-install, prisma]
  pending:
    description: With O(kind=command), program and arguments that print the names of what is not applied yet, one a line.
    type: list
    elements: str
  apply:
    description: With O(kind=command) and O(kind=drizzle), program and arguments that apply it.
    type: list
    elements: str
  chdir:
    description: Absolute directory in which programs run, such as that of the release.
    type: path
  user:
    description: Account that runs programs. Without it the module's own.
    type: str
  release:
    description:
      - A release of a service that Compose runs. Programs then run each in a container of their own of its image, with its variables,
        networks and volumes, beside what serves; O(chdir) and O(user) are those of the image. Where O(directory) is relative, it is one of
        the image.
    type: dict
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      id:
        description: Name of the release, as M(runbook.ops.release) returns it.
        type: str
        required: true
      directory:
        description: Directory of what is known of releases.
        type: path
        default: /var/lib/runbook-ops/deploy
  environment_file:
    description: Absolute path of a file of C(KEY=value) lines for programs.
    type: path
  environment:
    description: More variables for programs. These may be secrets.
    type: dict
  lock_timeout_seconds:
    description:
      - The longest wait for a lock of a table; who waits for a lock makes all others wait behind it. Programs get it in C(PGOPTIONS) and in
        C(DATABASE_URL).
    type: float
    default: 5
  timeout_seconds:
    description: The longest run of a statement with O(kind=sql), of a program otherwise.
    type: float
    default: 900
  accept_destructive:
    description: Why data may be destroyed, or the running release be broken. The reason goes into the record.
    type: str
    default: ""
  backup_directory:
    description: Absolute directory of the backups of this database, as M(runbook.ops.pg_backup) makes them.
    type: path
  backup_set:
    description: Name of their set.
    type: str
  backup_age_seconds:
    description: The newest one that has been restored as a test must not be older.
    type: float
    default: 86400
  accept_no_backup:
    description: Why there need not be a proven backup. The reason goes into the record.
    type: str
    default: ""
  accept_drift:
    description:
      - With O(kind=prisma), why the database's schema may lack what the release expects. It is compared by C(prisma migrate diff) once nothing
        is pending, with the C(schema.prisma) beside O(directory).
    type: str
    default: ""
seealso:
  - module: runbook.ops.prisma_migrations_info
  - module: runbook.ops.pg_backup
"""

EXAMPLES = r"""
- name: Apply what the new release brings
  runbook.ops.database_migration:
    database: owlivion_sync
    kind: sql
    directory: /home/owlivion/releases/20260301T101500Z-0f3a9c1d2e4b/deployment/migrations
    backup_directory: /var/backups/runbook-ops
    backup_set: owlivion_sync

- name: Have Prisma of a new image do it, before a container of it serves
  runbook.ops.database_migration:
    database: production_db
    kind: prisma
    directory: prisma/migrations
    release: {service: app, id: 20260301T101500Z-0f3a9c1d2e4b}
    backup_directory: /backups
    backup_set: daily

- name: Have Prisma do it, as the application's account
  runbook.ops.database_migration:
    database: production_db
    kind: prisma
    directory: /srv/lifeplatform/prisma/migrations
    chdir: /srv/lifeplatform
    user: deploy
    environment_file: /srv/lifeplatform/.env
    backup_directory: /var/backups/runbook-ops
    backup_set: production_db
"""

RETURN = r"""
pending:
  description: The migrations that were applied, or in check mode would be, in their order.
  returned: success
  type: list
  elements: str
applied:
  description: The migrations of the release that are applied afterwards. Not known with O(kind=command).
  returned: success
  type: list
  elements: str
unknown:
  description: Migrations that are applied, and that the release does not have.
  returned: success
  type: list
  elements: str
backup:
  description: Name of the proven backup that is the way back; empty where nothing was pending, or none was demanded.
  returned: success
  type: str
findings:
  description: What statements of pending migrations do.
  returned: success
  type: list
  elements: dict
  contains:
    migration: {description: Its name., type: str}
    line: {description: 'Line of the statement, from 1.', type: int}
    kind: {description: 'One of destroys, breaks, locks, unseen.', type: str}
    says: {description: In words., type: str}
    statement: {description: Its first words., type: str}
outcome:
  description: Where it failed, V(refused) with a database that is as it was, or V(not_rolled_back).
  returned: failure
  type: str
seconds:
  description: How long it took; null where nothing was applied.
  returned: success
  type: float
checks:
  description: What was found about each pending migration, and with O(kind=prisma) about the schema.
  returned: success
  type: list
  elements: dict
changes:
  description: What was applied, or would be, also where a later one failed.
  returned: always
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _database_migration
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS, RULES

OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    **FENCE,
    "database": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": ["sql", "prisma", "drizzle", "command"], "required": True},
    "directory": {"type": "path"},
    "baseline": {"type": "str"},
    "retry": {"type": "str"},
    "schema": {"type": "str"},
    "command": {"type": "list", "elements": "str", "default": ["npx", "--no-install", "prisma"]},
    "pending": {"type": "list", "elements": "str"},
    "apply": {"type": "list", "elements": "str"},
    "chdir": {"type": "path"},
    "user": {"type": "str"},
    "release": {
        "type": "dict",
        "options": {
            "service": {"type": "str", "required": True},
            "id": {"type": "str", "required": True},
            "directory": {"type": "path", "default": "/var/lib/runbook-ops/deploy"},
        },
    },
    "environment_file": {"type": "path"},
    "environment": {"type": "dict", "no_log": True},
    "lock_timeout_seconds": {"type": "float", "default": 5},
    "timeout_seconds": {"type": "float", "default": 900},
    "accept_destructive": {"type": "str", "default": ""},
    "backup_directory": {"type": "path"},
    "backup_set": {"type": "str"},
    "backup_age_seconds": {"type": "float", "default": 86400},
    "accept_no_backup": {"type": "str", "default": ""},
    "accept_drift": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS,
        supports_check_mode=True,
        required_if=[
            ("kind", "sql", ["directory"]),
            ("kind", "prisma", ["directory"]),
            ("kind", "drizzle", ["directory", "apply"]),
            ("kind", "command", ["pending", "apply"]),
        ],
        **RULES,
    )
    try:
        result = _database_migration.run(module.params, check_mode=module.check_mode)
    except MigrationError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except (PgError, SetError, LockError, ValueError) as exc:
        module.fail_json(msg=str(exc), outcome="refused")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
