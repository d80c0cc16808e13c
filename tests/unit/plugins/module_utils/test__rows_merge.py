# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How rows are put among those that are there. What the statements do is tried on real databases: tests/local/test_rows.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import (
    Catalog,
    Column,
    ForeignKey,
    RowsError,
    Table,
    Trigger,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_merge import Merge, after, before, merges, outside
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import Edge, Pick

COLUMNS = (Column("id", "bigint", always=True), Column("tenant", "bigint"), Column("length", "int", generated=True))
TENANTS = Table("public.tenants", "public", "tenants", columns=COLUMNS, key=("id",))
USERS = Table("public.users", "public", "users", columns=COLUMNS, key=("id",), triggers=(Trigger("t", always=True),))
TO_TENANTS = ForeignKey("u", "public.users", ("tenant",), "public.tenants", ("id",))
TO_USERS = ForeignKey("t", "public.tenants", ("tenant",), "public.users", ("id",))
PICKS = (
    Pick("public.tenants", "id", "7"),
    Pick("public.users", edges=(Edge(("tenant",), "public.tenants", ("id",)),)),
)
STORED = {"id": "bigint", "tenant": "bigint"}


def catalog(*keys: ForeignKey, **tables: Table) -> Catalog:
    known = {"public.tenants": TENANTS, "public.users": USERS, **{one.name: one for one in tables.values()}}
    return Catalog("15", 150000, "1", known, keys)


def both(known: Catalog) -> list[Merge]:
    return merges(known, PICKS, [(1, "public.users", STORED), (0, "public.tenants", STORED)])


def test_tables_are_merged_behind_those_that_they_refer_to() -> None:
    assert [one.table.name for one in both(catalog(TO_TENANTS))] == ["public.tenants", "public.users"]


@pytest.mark.parametrize(
    ("keys", "waiting"),
    [
        pytest.param([TO_TENANTS], "", id="no circle"),
        pytest.param([TO_TENANTS, TO_USERS], '"t"', id="a circle"),
        pytest.param([TO_TENANTS, replace(TO_USERS, deferrable=True)], "", id="a circle that can wait by itself"),
    ],
)
def test_a_key_of_a_circle_waits_and_is_as_before_at_the_end(keys: list[ForeignKey], waiting: str) -> None:
    ordered = both(catalog(*keys))
    assert (f"ALTER CONSTRAINT {waiting} DEFERRABLE" in before(ordered)) == bool(waiting)
    assert (f"ALTER CONSTRAINT {waiting} NOT DEFERRABLE" in after(ordered)) == bool(waiting)


def test_triggers_rest_and_fire_as_before_at_the_end() -> None:
    ordered = both(catalog())
    assert 'ALTER TABLE ONLY "public"."users" DISABLE TRIGGER "t"' in before(ordered)
    assert 'ALTER TABLE ONLY "public"."users" ENABLE ALWAYS TRIGGER "t"' in after(ordered)
    assert after(ordered).startswith("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(("on_delete", "told"), [("a", 0), ("r", 0), ("c", 1), ("n", 1), ("d", 1)])
def test_a_key_that_deletes_elsewhere_is_known(on_delete: str, told: int) -> None:
    perks = Table("public.perks", "public", "perks", columns=COLUMNS)
    key = ForeignKey("p", "public.perks", ("tenant",), "public.tenants", ("id",), on_delete)
    assert len(outside(both(catalog(key, perks=perks)), replaces=True)) == told


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        pytest.param({**STORED, "x": "int"}, "column x is missing here", id="one that is not here"),
        pytest.param({**STORED, "tenant": "text"}, "column tenant is bigint here and text there", id="another type"),
        pytest.param({**STORED, "length": "int"}, "column length is computed here", id="one that is computed here"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: dict[str, str], words: str) -> None:
    with pytest.raises(RowsError, match=words):
        merges(catalog(), PICKS, [(0, "public.tenants", columns)])


def test_what_tells_rows_apart_is_never_replaced() -> None:
    merge = both(catalog())[0]
    assert 'SET "tenant" = s."tenant"' in merge.replace_different()
    assert '"id" = s."id",' not in merge.replace_different()
    keyless = replace(TENANTS, key=())
    assert both(catalog(tenants=keyless))[0].replace_different() == ""
