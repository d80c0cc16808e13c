# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that goes back to before a migration: killed once the names are exchanged, the next run finishes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from pg_cluster import Cluster
from restore_module import make_backup

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
BEFORE, MIGRATION = "20260101000000_init", "20260201120000_add_tags"
TABLES = """
CREATE TABLE users (id int PRIMARY KEY);
INSERT INTO users SELECT generate_series(1, 100);
CREATE TABLE _prisma_migrations (migration_name text, started_at timestamptz, finished_at timestamptz, rolled_back_at timestamptz,
  logs text, applied_steps_count int);
"""
NOTE = "INSERT INTO _prisma_migrations VALUES ('{name}', now(), now(), NULL, NULL, 1)"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A database that was backed up an hour ago, and has had a bad migration since."""
    with Cluster() as cluster:
        cluster.sql("CREATE DATABASE shop")
        cluster.sql(TABLES + NOTE.format(name=BEFORE), "shop")
        hour_ago = datetime.now(timezone.utc) - timedelta(hours=1)
        make_backup(cluster, "shop", cluster.directory / "backups", at=hour_ago)
        cluster.sql(NOTE.format(name=MIGRATION), "shop")
        cluster.sql("DELETE FROM users WHERE id > 10", "shop")
        yield cluster


def play(cluster: Cluster, *, kill: str = "") -> subprocess.CompletedProcess[str]:
    inventory = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ops_system": {"name": "trial", "title": "A trial", "time_zone": "UTC"},
        "ops_databases": [{"name": "shop", "owner": cluster.user}],
    }
    place = str(cluster.directory)
    variables = {
        "restore_database": "shop",
        "restore_confirm": "shop",
        "restore_migration": MIGRATION,
        "restore_reach": {"login_host": place, "login_port": cluster.port, "run_as": cluster.user},
        "restore_directory": f"{place}/backups",
        "restore_set": "shop",
        "restore_skip_last_backup": "a test",
        "restore_database_probes": [],
        "restore_journal_directory": f"{place}/journal",
        "record_directory": f"{place}/runs",
    }
    (cluster.directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"here": inventory}}}))
    argv = [str(ANSIBLE), str(ROOT / "playbooks" / "database_rollback.yml"), "-i", f"{place}/hosts.json"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_BECOME": "false"}
    return subprocess.run(
        [*argv, "-e", json.dumps(variables)],
        env={**environment, **({"RUNBOOK_OPS_KILL_AT": f"pg_restore:{kill}"} if kill else {})},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def users(cluster: Cluster) -> str:
    return cluster.sql("SELECT count(*) FROM users", "shop")


def databases(cluster: Cluster) -> str:
    return cluster.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'")


def test_a_rollback_that_is_killed_after_the_exchange_is_finished_by_the_next_run(cluster: Cluster) -> None:
    killed = play(cluster, kill="closed")
    assert killed.returncode
    assert users(cluster) == "100"
    finished = play(cluster)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (users(cluster), databases(cluster)) == ("100", "2")
    again = play(cluster)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"is what it was before {MIGRATION} already" in again.stdout
    assert (users(cluster), databases(cluster)) == ("100", "2")
