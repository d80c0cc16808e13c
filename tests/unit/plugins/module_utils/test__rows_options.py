# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.filter.rows_options import rows_options


def system(**database: Any) -> dict[str, Any]:
    return {"databases": [{"name": "shop", "engine": "postgresql", **database}], "services": [], "backups": []}


@pytest.mark.parametrize(
    ("tenants", "tenant", "rows"),
    [
        pytest.param(None, "", [], id="no tenant is asked for"),
        pytest.param({"table": "tenants", "column": "id"}, "", [], id="none is asked for, though there are some"),
        pytest.param(
            {"table": "tenants", "column": "slug"},
            "acme",
            [{"table": "tenants", "column": "slug", "value": "acme"}],
            id="by the column that is described",
        ),
        pytest.param(
            {"table": "tenants", "column": None},
            7,
            [{"table": "tenants", "column": "id", "value": "7"}],
            id="by its number",
        ),
        pytest.param({"table": "t", "column": "id"}, 0, [{"table": "t", "column": "id", "value": "0"}], id="number 0"),
    ],
)
def test_a_tenants_rows_are_named_as_the_description_says(
    tenants: Any, tenant: Any, rows: list[dict[str, str]]
) -> None:
    assert rows_options(system(tenants=tenants), "shop", tenant)["rows"] == rows


def test_a_database_that_tells_no_tenants_apart_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="describe tenants of it in ops_databases"):
        rows_options(system(), "shop", 7)


def test_an_export_is_encrypted_for_those_who_can_read_the_backups() -> None:
    key = {"method": "age", "recipients": ["age1abc"]}
    item = {
        "name": "daily",
        "made_by": "collection",
        "databases": ["shop"],
        "directory": "/b",
        "encryption": key,
        "keep": {},
    }
    assert rows_options(system(), "shop")["encryption"] == {}
    assert rows_options({**system(), "backups": [item]}, "shop")["encryption"] == key
