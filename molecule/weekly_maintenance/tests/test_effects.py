# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What weekly maintenance did on a host, and what it left alone."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

WORN_INDEXES = ("messages_message_id_idx", "api_tokens_fingerprint_idx", "audit_log_subject_idx")
WORN_TABLES = ("sync_log", "sync_data", "notifications", "sessions")
RELATIONS = """
SELECT json_object_agg(relname, json_build_object('file', relfilenode, 'bytes', pg_relation_size(oid),
  'dead', pg_stat_get_dead_tuples(oid)))
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""


@pytest.fixture(scope="module")
def before(host: Host) -> dict[str, Any]:
    """Return what the host looked like before the first run."""
    noted: dict[str, Any] = json.loads(host.file("/root/before.json").content_string)
    return noted


@pytest.fixture(scope="module")
def relations(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        host.check_output("runuser -u postgres -- psql -XqAt -d owlivion_sync -c %s", RELATIONS)
    )
    return found


@pytest.fixture(scope="module")
def keeper() -> Host:
    """Return the host that keeps the records: the first of a run."""
    config = f"{os.environ['RUNBOOK_OPS_CACHE']}/ssh/config"
    return testinfra.get_host("ssh://owlivion-12", ssh_config=config, sudo=True)


@pytest.fixture(scope="module")
def records(host: Host, keeper: Host) -> list[dict[str, Any]]:
    """Return the records of the runs, with what they say of this host."""
    found = [json.loads(line) for line in keeper.check_output("cat /var/lib/runbook-ops/runs/*.json").splitlines()]
    for record in found:
        for part in ("checks", "changes"):
            record[part] = [one for one in record[part] if one["host"] == host.backend.hostname]
    return found


@pytest.mark.parametrize("index", WORN_INDEXES)
def test_a_worn_index_is_rebuilt_and_gives_its_waste_back(
    before: dict[str, Any], relations: dict[str, Any], index: str
) -> None:
    assert relations[index]["file"] != before["relations"][index]["file"]
    assert relations[index]["bytes"] < 0.2 * before["relations"][index]["bytes"]


@pytest.mark.parametrize("table", WORN_TABLES)
def test_dead_rows_are_gone_and_the_table_was_not_rewritten(
    before: dict[str, Any], relations: dict[str, Any], table: str
) -> None:
    assert relations[table]["dead"] == 0
    assert relations[table]["file"] == before["relations"][table]["file"]


def test_what_needs_nothing_is_left_alone(
    before: dict[str, Any], relations: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    changed = {change["thing"].rpartition(".")[2] for record in records for change in record["changes"]}
    assert set(WORN_INDEXES) | set(WORN_TABLES) <= changed
    for name, relation in before["relations"].items():
        if name not in changed:
            assert relations[name]["file"] == relation["file"], name


def test_nothing_half_built_is_left(relations: dict[str, Any]) -> None:
    assert [name for name in relations if "_ccnew" in name or "_ccold" in name] == []


def test_no_service_was_restarted_without_a_reason(host: Host, before: dict[str, Any]) -> None:
    command = "systemctl show --property=Id --property=MainPID nginx.service 'postgresql@*.service'"
    assert host.check_output(command) == before["units"]
    assert host.file("/home/owlivion/.pm2/pids/owlivion-sync-server-0.pid").content_string == before["application"]


def test_each_run_left_one_record_and_the_second_changed_nothing(records: list[dict[str, Any]]) -> None:
    first, second = records[-2:]
    assert [record["status"] for record in (first, second)] == ["ok", "ok"]
    assert len(first["changes"]) >= 7
    assert second["changes"] == []
    assert all(change["reason"] for change in first["changes"])


def test_the_package_index_is_fresh_and_pending_updates_are_judged(records: list[dict[str, Any]]) -> None:
    checks = {check["name"]: check for check in records[-1]["checks"]}
    assert checks["Package index"]["status"] == "ok"
    assert checks["Package index"]["value"] < 1
    assert {"Security updates", "Pending updates", "Reboot", "PM2 daemon"} <= checks.keys()


def test_the_backups_of_the_week_are_judged(records: list[dict[str, Any]]) -> None:
    checks = {check["id"]: check for check in records[-1]["checks"]}
    assert checks["backup-log:weekly"]["status"] == "ok"
    assert {"backup-log:daily", "backup-log:weekly"} <= checks.keys()


def test_the_application_answers(host: Host) -> None:
    assert host.check_output("curl --fail --silent https://owlivion.com/api/v1/health") == '{"status":"ok"}'


def test_records_are_for_root_only(keeper: Host) -> None:
    assert keeper.file("/var/lib/runbook-ops/runs").mode == 0o700
    assert keeper.check_output("find /var/lib/runbook-ops/runs -name '*.json' -perm /077") == ""
