# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the description of a system says of the restore of one of its databases."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._restore_options import restore_options

SYSTEM: dict[str, Any] = {
    "services": [
        {"name": "postgresql", "manager": "systemd", "health": {"database": "shop"}},
        {"name": "pgbouncer", "manager": "systemd", "after": ["postgresql"], "health": {"database": "shop"}},
        {"name": "redis", "manager": "systemd", "after": []},
        {"name": "api", "manager": "pm2", "after": ["postgresql"], "health": {"url": "http://localhost"}},
        {"name": "worker", "manager": "pm2", "after": ["redis"], "needs": ["shop"]},
        {"name": "web", "manager": "vercel", "needs": ["shop"]},
        {"name": "nginx", "manager": "systemd", "after": ["api"]},
    ],
    "databases": [
        {"name": "shop", "engine": "postgresql", "owner": "app", "superuser": "postgres", "canary": "SELECT 1"},
        {"name": "docs", "engine": "mongodb"},
    ],
    "backups": [
        {
            "name": "daily",
            "made_by": "collection",
            "databases": ["shop"],
            "directory": "/b",
            "keep": {"last": 3},
            "max_age_seconds": 1,
        }
    ],
}


def test_writers_are_who_needs_the_database_and_not_what_it_runs_in() -> None:
    found = restore_options(SYSTEM, "shop")
    assert found["writers"] == ["api", "worker"]
    assert found["unstoppable"] == ["web"]
    assert (found["directory"], found["set"]) == ("/b", "daily")
    assert found["canaries"] == ["SELECT 1"]
    assert found["reach"]["run_as"] == "postgres"


@pytest.mark.parametrize("encrypted", [[0], [1], [0, 1], []])
def test_the_last_backup_is_encrypted_where_one_of_its_backups_is(encrypted: list[int]) -> None:
    encryption = {"method": "age", "recipients": ["age1x"]}
    items = [
        {
            **SYSTEM["backups"][0],
            "name": f"daily{number}",
            **({"encryption": encryption} if number in encrypted else {}),
        }
        for number in range(2)
    ]
    items[1]["compression"] = "gzip"
    found = restore_options({**SYSTEM, "backups": items}, "shop")
    assert found["form"] == {"compression": "gzip", **({"encryption": encryption} if encrypted else {})}


def test_a_database_whose_backups_a_script_makes_has_no_set() -> None:
    found = restore_options({**SYSTEM, "backups": []}, "shop")
    assert (found["directory"], found["set"]) == (None, None)


@pytest.mark.parametrize(("name", "said"), [("shp", "known are shop, docs"), ("docs", "MongoDB")])
def test_what_cannot_be_restored_is_said(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        restore_options(SYSTEM, name)
