# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database is what its backup says, the one before it is kept, and nothing else was touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host


def sql(host: Host, statement: str, database: str = "owlivion_sync") -> str:
    told: str = host.check_output("runuser -u postgres -- psql -XqAt -d %s -c %s", database, statement)
    return told


@pytest.fixture(scope="module")
def before(host: Host) -> dict[str, str]:
    """Return what was noted before the rows were lost."""
    lines = host.file("/root/before-the-restore").content_string.splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


@pytest.fixture(scope="module")
def manifest(host: Host) -> dict[str, Any]:
    newest = host.check_output("ls -d /backups/daily/daily_*Z | tail -n 1")
    described: dict[str, Any] = json.loads(host.file(f"{newest}/manifest.json").content_string)
    return described


def test_the_lost_rows_are_there_again(host: Host, manifest: dict[str, Any]) -> None:
    assert int(sql(host, "SELECT count(*) FROM contacts")) >= manifest["content"]["tables"]["public.contacts"] > 1000


def test_the_rest_is_as_it_was(host: Host, before: dict[str, str]) -> None:
    assert sql(host, "SELECT count(*) FROM users") == before["users"]
    assert sql(host, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'owlivion_sync'") == "owlivion"


def test_the_database_before_it_is_kept(host: Host) -> None:
    (kept,) = sql(host, r"SELECT datname FROM pg_database WHERE datname LIKE 'owlivion\_sync\_before\_%'").split()
    assert int(sql(host, "SELECT count(*) FROM contacts", kept)) < 1000


def test_a_last_backup_of_it_was_made(host: Host) -> None:
    (last,) = host.check_output("ls -d /var/backups/runbook-ops/owlivion_sync-before-restore_*Z").split()
    described = json.loads(host.file(f"{last}/manifest.json").content_string)
    assert described["content"]["tables"]["public.contacts"] < 1000


def test_the_application_works_with_it(host: Host) -> None:
    answer = host.check_output("curl --fail --silent --max-time 5 https://owlivion.com/api/v1/health")
    assert json.loads(answer)["status"] == "ok"
    assert int(
        sql(host, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'owlivion_sync' AND usename = 'owlivion'")
    )


def test_the_bystander_was_not_touched(host: Host) -> None:
    assert sql(host, "SELECT count(*), sum(id) FROM mine", "bystander") == "1000|500500"


def test_nothing_is_left_half_done(host: Host) -> None:
    names = sql(host, "SELECT datname FROM pg_database ORDER BY 1").split()
    assert [name for name in names if "_restored_" in name or "_scratch_" in name or "_failed_" in name] == []
