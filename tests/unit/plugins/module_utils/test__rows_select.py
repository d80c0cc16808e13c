# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows are a tenant's."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import (
    Catalog,
    Column,
    ForeignKey,
    RowsError,
    Table,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import (
    Pick,
    chain,
    copy_out,
    needed,
    overlooked,
    plan,
    strays,
)

COLUMNS = ("id", "tenant_id", "user_id", "owner_id", "parent_id", "plan_id")
TENANT = [{"table": "tenants", "column": "id", "value": "7"}]


def catalog(*references: str) -> Catalog:
    """Return tables of the same columns; ``users.tenant_id tenants`` is a reference."""
    keys = []
    for one in references:
        source, _, table = one.partition(" ")
        name, _, column = source.partition(".")
        keys.append(ForeignKey(one, f"public.{name}", (column,), f"public.{table}", ("id",)))
    names = {key.table for key in keys} | {key.references for key in keys} | {"public.tenants", "public.audit"}
    columns = tuple(Column(name, "bigint") for name in COLUMNS)
    return Catalog(
        "15",
        150000,
        "1",
        {name: Table(name, "public", name[7:], columns=columns) for name in sorted(names)},
        tuple(keys),
    )


def found(picks: list[Pick]) -> dict[str, list[str]]:
    return {pick.table[7:]: [f"{edge.columns[0]} {edge.references[7:]}" for edge in pick.edges] for pick in picks}


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        pytest.param(
            ["users.tenant_id tenants"], {"tenants": [], "users": ["tenant_id tenants"]}, id="who refers to it"
        ),
        pytest.param(
            ["comments.user_id users", "users.tenant_id tenants"],
            {"tenants": [], "users": ["tenant_id tenants"], "comments": ["user_id users"]},
            id="who refers to those",
        ),
        pytest.param(["tenants.plan_id plans"], {"tenants": []}, id="not those that it refers to"),
        pytest.param(
            ["tenants.owner_id users", "users.tenant_id tenants"],
            {"tenants": [], "users": ["tenant_id tenants"]},
            id="other tenants of its users are others'",
        ),
        pytest.param(
            ["comments.user_id users", "comments.tenant_id tenants", "users.tenant_id tenants"],
            {"tenants": [], "users": ["tenant_id tenants"], "comments": ["tenant_id tenants"]},
            id="the shortest way counts",
        ),
        pytest.param(
            ["comments.tenant_id tenants", "comments.parent_id comments"],
            {"tenants": [], "comments": ["tenant_id tenants", "parent_id comments"]},
            id="replies to what is its own",
        ),
        pytest.param(
            ["users.tenant_id tenants", "lists.tenant_id tenants", "members.user_id users", "members.owner_id lists"],
            {
                "tenants": [],
                "users": ["tenant_id tenants"],
                "lists": ["tenant_id tenants"],
                "members": ["user_id users", "owner_id lists"],
            },
            id="by each of two ways",
        ),
    ],
)
def test_a_tenants_rows_are_found_by_foreign_keys(references: list[str], expected: dict[str, list[str]]) -> None:
    picks = plan(catalog(*references), rows=TENANT)
    assert found(picks) == expected
    for number, pick in enumerate(picks):
        before = {one.table for one in picks[: number + 1]}
        assert {edge.references for edge in pick.edges} <= before


def test_what_is_excluded_is_not_followed_and_nothing_behind_it() -> None:
    known = catalog("users.tenant_id tenants", "comments.user_id users")
    assert list(found(plan(known, rows=TENANT, exclude=["users"]))) == ["tenants"]
    assert list(found(plan(known, rows=TENANT, follow=False))) == ["tenants"]


def test_whole_tables_stand_behind_those_that_they_refer_to() -> None:
    picks = plan(catalog("users.tenant_id tenants"), tables=["users", "tenants", "public.users"])
    assert [pick.table for pick in picks] == ["public.tenants", "public.users"]
    assert all(pick.whole for pick in picks)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({}, "say either which tables", id="nothing is asked for"),
        pytest.param({"tables": ["tenants"], "rows": TENANT}, "say either which tables", id="both are asked for"),
        pytest.param({"tables": ["nowhere"]}, "there is no table nowhere", id="a table is not there"),
        pytest.param(
            {"rows": [{**TENANT[0], "column": "x"}]}, "public.tenants has no column x", id="a column is not there"
        ),
        pytest.param({"rows": TENANT * 2}, "public.tenants stands twice in rows", id="a table stands twice"),
        pytest.param(
            {"rows": TENANT, "exclude": ["nowhere"]}, "there is no table nowhere", id="no such table to exclude"
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, list[str]], words: str) -> None:
    with pytest.raises(RowsError, match=words):
        plan(catalog(), **options)  # type: ignore[arg-type]


def test_a_pick_is_the_same_after_it_has_been_in_a_manifest() -> None:
    for pick in plan(catalog("users.tenant_id tenants", "users.parent_id users"), rows=TENANT):
        assert Pick.from_json(pick.as_json()) == pick


@pytest.mark.parametrize("value", ["7' OR '1'='1", "7; DROP TABLE tenants; --", "\\"])
def test_a_value_stays_within_its_quotes(value: str) -> None:
    sql = chain(catalog(), plan(catalog(), rows=[{**TENANT[0], "value": value}]))
    quoted = value.replace("\\", "\\\\").replace("'", "''")
    assert f"'{quoted}'" in sql


def test_names_of_a_manifest_must_be_those_of_tables_that_are_here() -> None:
    with pytest.raises(RowsError, match="has no column x here"):
        chain(catalog(), [Pick("public.tenants", "x", "1")])


def test_rows_are_printed_column_by_column() -> None:
    known = catalog()
    assert copy_out(known, plan(known, tables=["tenants"]), 0, ["id", "plan_id"]).endswith(
        'SELECT "id", "plan_id" FROM p0) TO STDOUT;\n'
    )


def test_what_is_referred_to_and_not_taken_is_known() -> None:
    known = catalog("users.tenant_id tenants", "users.plan_id plans", "tenants.owner_id users")
    picks = plan(known, rows=TENANT)
    assert needed(known, picks) == ["public.plans"]
    assert [key.name for key, _sql in strays(known, picks)] == ["users.tenant_id tenants", "tenants.owner_id users"]
    assert strays(known, plan(known, tables=["users", "tenants"])) == []


def test_a_table_that_seems_to_be_forgotten_is_named() -> None:
    known = catalog("users.tenant_id tenants")
    assert overlooked(known, plan(known, rows=TENANT)) == ["public.audit.tenant_id"]
    assert overlooked(known, plan(known, rows=TENANT), ["audit"]) == []
    assert overlooked(known, plan(known, tables=["users"])) == []
