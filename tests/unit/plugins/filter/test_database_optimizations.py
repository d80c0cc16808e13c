# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which databases are optimized, how each is reached, and that no password is told."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.filter.database_optimizations import database_optimizations

SYSTEM = {
    "databases": [
        {
            "engine": "postgresql",
            "name": "shop",
            "host": "db.example.com",
            "port": 5433,
            "user": "keeper",
            "password": "s3cr3t",
            "schema": "sales",
            "wanted_indexes": [{"name": "idx_new", "table": "orders", "columns": ["placed_at"]}],
            "unwanted_indexes": ["idx_old"],
        },
        {"engine": "mongodb", "name": "logs"},
    ],
}


def test_only_postgresql_is_taken_with_its_way_and_its_indexes():
    (shop,) = database_optimizations(SYSTEM)
    assert shop["reach"] == {"login_host": "db.example.com", "login_port": 5433, "login_user": "keeper"}
    assert shop["unwanted"] == [{"name": "idx_old", "schema": "sales"}]
    (index,) = shop["indexes"]
    assert (index["schema"], index["unique"], index["method"], index["where"]) == ("sales", False, "btree", None)


def test_a_password_is_named_and_never_told():
    assert "s3cr3t" not in str(database_optimizations(SYSTEM))
    assert database_optimizations(SYSTEM)[0]["secret"] == "database:shop"


def test_a_host_without_databases_has_nothing_to_optimize():
    assert database_optimizations({}) == []


def test_what_is_no_description_is_refused_in_one_line():
    with pytest.raises(AnsibleFilterError, match="takes the description that the role system registers"):
        database_optimizations({"databases": [{"name": "shop"}]})
