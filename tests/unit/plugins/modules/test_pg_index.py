# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index is made or removed only where nothing speaks against it."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.modules.pg_index import plan

WANTED = {
    "state": "present",
    "schema": "public",
    "name": "idx",
    "table": "campaigns",
    "columns": ["tenant_id", "created_at"],
    "unique": False,
    "method": "btree",
    "where": None,
}
FOUND = {
    "valid": True,
    "unique": False,
    "method": "btree",
    "table": "campaigns",
    "columns": ["tenant_id", "created_at"],
    "where": None,
    "definition": "CREATE INDEX ...",
    "constraint": None,
    "referenced": None,
    "identity": False,
    "partitioned": False,
    "builder": None,
}
CREATE = 'CREATE INDEX CONCURRENTLY "idx" ON "public"."campaigns" USING "btree" (tenant_id, created_at)'
DROP = 'DROP INDEX CONCURRENTLY IF EXISTS "public"."idx"'


@pytest.mark.parametrize(
    ("found", "state", "expected"),
    [
        pytest.param(None, "present", [CREATE], id="missing"),
        pytest.param(FOUND, "present", [], id="there"),
        pytest.param({**FOUND, "valid": False}, "present", [DROP, CREATE], id="half made"),
        pytest.param(None, "absent", [], id="gone already"),
        pytest.param(FOUND, "absent", [DROP], id="to go"),
    ],
)
def test_what_is_run(found, state, expected):
    assert [sql for _action, sql in plan(found, {**WANTED, "state": state})] == expected


@pytest.mark.parametrize(
    ("more", "state", "words"),
    [
        pytest.param({"builder": 4711}, "present", "session 4711 makes index public.idx now", id="being made"),
        pytest.param({"constraint": "k"}, "absent", "constraint k needs it", id="of a constraint"),
        pytest.param({"identity": True}, "absent", "a replica or a partitioned table needs it", id="of a replica"),
        pytest.param({"columns": ["tenant_id"]}, "present", r"another one \(columns\)", id="other columns"),
        pytest.param({"table": "other"}, "present", r"another one \(table\)", id="of another table"),
        pytest.param({"where": "x > 1"}, "present", r"another one \(where\)", id="of some rows"),
    ],
)
def test_what_is_refused(more, state, words):
    with pytest.raises(ValueError, match=words):
        plan({**FOUND, **more}, {**WANTED, "state": state})
