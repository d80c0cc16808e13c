# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How tables are found by name, and in which order they stand."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import (
    Catalog,
    RowsError,
    Table,
    in_order,
    parse,
)

CATALOG = Catalog(
    "15.14",
    150014,
    "1",
    {
        name: Table(name, "public", name.rpartition(".")[2])
        for name in ("public.tenants", 'public."User"', "billing.bills")
    },
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param("tenants", "public.tenants", id="public goes without saying"),
        pytest.param("public.tenants", "public.tenants", id="its whole name"),
        pytest.param("User", 'public."User"', id="capitals without quotes"),
        pytest.param('"User"', 'public."User"', id="capitals in quotes"),
        pytest.param("billing.bills", "billing.bills", id="another schema"),
    ],
)
def test_a_table_is_found(wanted: str, found: str) -> None:
    assert CATALOG.find(wanted).name == found


def test_one_that_is_not_there_is_an_error_that_names_what_is_near() -> None:
    with pytest.raises(RowsError, match=r"there is no table tenant: correct its name; such are public.tenants"):
        CATALOG.find("tenant")
    with pytest.raises(RowsError, match="the database has no tables at all"):
        Catalog("15.14", 150014, "1", {}).find("tenants")


@pytest.mark.parametrize(
    ("names", "pairs", "ordered"),
    [
        pytest.param("cba", ["ab", "bc"], "cba", id="it is in order"),
        pytest.param("abc", ["ab", "bc"], "cba", id="turned round"),
        pytest.param("abc", [], "abc", id="nothing refers to anything"),
        pytest.param("ab", ["aa", "ba"], "ab", id="a reference to itself counts for nothing"),
        pytest.param("ab", ["ab", "ba"], "ab", id="in a circle the first stays first"),
        pytest.param("abc", ["ab", "ba", "ca"], "abc", id="a circle and one behind it"),
    ],
)
def test_each_stands_behind_those_that_it_refers_to(names: str, pairs: list[str], ordered: str) -> None:
    assert "".join(in_order(names, [(one[0], one[1]) for one in pairs])) == ordered


def test_references_to_what_is_not_there_are_left_out() -> None:
    key = {
        "name": "k",
        "columns": ["a"],
        "referenced": ["id"],
        "on_delete": "a",
        "deferrable": False,
        "table": "public.a",
    }
    table = {
        "name": "public.a",
        "schema": "public",
        "relation": "a",
        "partitioned": False,
        "key": None,
        "triggers": None,
        "sequences": None,
    }
    column = {"name": "a", "type": "integer", "generated": True, "always": False, "required": False}
    catalog = parse(
        {
            "server_version": "15.14",
            "server_version_num": 150014,
            "system_identifier": "1",
            "tables": [{**table, "columns": [column]}],
            "foreign_keys": [{**key, "references": "public.a"}, {**key, "references": "public.gone"}],
        }
    )
    assert [one.references for one in catalog.foreign_keys] == ["public.a"]
    assert catalog.tables["public.a"].stored() == []
