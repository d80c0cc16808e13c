# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host is what the runbook of the life management platform describes, run by Docker Compose."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone

import pytest
from testinfra.host import Host

PROJECT = "/srv/lifeplatform"
COMPOSE = f"docker compose --file {PROJECT}/docker-compose.prod.yml"
SITE = "https://your-domain.com"


def get(host: Host, path: str) -> dict[str, object]:
    """Return the JSON that the platform answers with, asked through nginx."""
    answer: dict[str, object] = json.loads(host.check_output("curl -sSf %s", SITE + path))
    return answer


def sql(host: Host, query: str) -> list[str]:
    client = f"{COMPOSE} exec -T database psql --no-psqlrc -At -U postgres -d production_db -c %s"
    return host.check_output(client, query).splitlines()


@pytest.mark.parametrize("unit", ["docker", "nginx", "cron", "ssh"])
def test_the_units_run_and_survive_a_reboot(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled


def test_no_unit_has_failed(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --no-legend --plain") == ""


def test_two_instances_their_balancer_a_database_and_a_cache_run(host: Host) -> None:
    listed = [json.loads(line) for line in host.check_output(f"{COMPOSE} ps --format json").splitlines()]
    assert sorted(one["Service"] for one in listed) == ["app", "app", "balancer", "database", "redis"]
    assert {one["Health"] for one in listed if one["Service"] != "balancer"} == {"healthy"}


def test_health_version_and_tasks_answer_through_nginx(host: Host) -> None:
    assert get(host, "/health")["status"] == "ok"
    assert get(host, "/api/version") == {"version": "1.2.3"}
    assert get(host, "/api/tasks") == {"count": 3000}


def test_users_notice_nothing_while_one_instance_is_stopped(host: Host) -> None:
    first = host.check_output(f"{COMPOSE} ps --quiet app").splitlines()[0]
    host.check_output("docker stop %s", first)
    try:
        assert all(get(host, "/health")["status"] == "ok" for _attempt in range(6))
    finally:
        host.check_output("docker start %s", first)
        host.check_output(f"{COMPOSE} up --detach --wait --no-recreate app")


def test_a_third_instance_is_found_by_the_balancer(host: Host) -> None:
    try:
        host.check_output(f"{COMPOSE} up --detach --wait --no-recreate --no-deps --scale app=3 app")
        addresses = host.check_output(f"{COMPOSE} exec -T balancer getent ahostsv4 app | sort -u -k1,1")
        assert len(addresses.splitlines()) == 3
        assert get(host, "/health")["status"] == "ok"
    finally:
        host.check_output(f"{COMPOSE} up --detach --wait --no-recreate --no-deps --scale app=2 app")


def test_nothing_but_ssh_and_the_web_is_reached_from_outside(host: Host) -> None:
    listening = host.check_output("ss --listening --tcp --numeric --no-header")
    outside = {line.split()[3].rsplit(":", 1)[1] for line in listening.splitlines() if "127.0.0.1:" not in line}
    assert outside == {"22", "80", "443"}


def test_each_migration_is_applied_and_recorded_as_prisma_does(host: Host) -> None:
    rows = [row.split("|") for row in sql(host, "SELECT migration_name, checksum FROM _prisma_migrations ORDER BY 1")]
    assert [name for name, _checksum in rows] == ["20250110093000_init", "20250302141500_task_due_date"]
    for name, checksum in rows:
        content = host.file(f"{PROJECT}/prisma/migrations/{name}/migration.sql").content
        assert hashlib.sha256(content).hexdigest() == checksum
    assert int(sql(host, 'SELECT count(*) FROM "User"')[0]) == 120


def test_the_newest_backup_is_whole_and_from_the_last_night(host: Host) -> None:
    newest = sorted(host.file("/backups").listdir())[-1]
    taken = datetime.strptime(newest, "backup-%Y%m%d-%H%M%S.sql.gz").replace(tzinfo=timezone.utc)
    assert datetime.now(timezone.utc) - taken < timedelta(hours=26)
    assert "PostgreSQL database dump complete" in host.check_output("zcat %s | tail -5", f"/backups/{newest}")


def test_the_schedule_can_take_a_backup_and_store_a_copy(host: Host) -> None:
    before = set(host.file("/backups").listdir())
    host.check_output("/usr/local/sbin/backup-platform")
    (new,) = set(host.file("/backups").listdir()) - before
    try:
        ask = "curl -sSf --config /etc/backup-storage.conf --aws-sigv4 aws:amz:us-east-1:s3"
        for name in (new, "latest.sql.gz"):
            stored = host.check_output(f"{ask} https://s3.us-east-1.amazonaws.com/backups/%s | wc -c", name)
            assert int(stored) == host.file(f"/backups/{new}").size
    finally:  # the other scenarios find the host as it was
        host.check_output("rm %s", f"/backups/{new}")


def test_the_bucket_keeps_earlier_versions(host: Host) -> None:
    assert "<Status>Enabled</Status>" in host.check_output(
        "curl -sSf 'https://s3.us-east-1.amazonaws.com/backups?versioning'"
    )


def test_secrets_are_for_their_readers_only(host: Host) -> None:
    assert host.file(f"{PROJECT}/.env").mode == 0o600
    assert host.file("/etc/backup-storage.conf").mode == 0o600
