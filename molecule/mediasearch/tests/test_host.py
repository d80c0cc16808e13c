# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host is what the runbook of AI Media Search describes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from testinfra.host import Host

PROJECT = "/srv/ai-media-search"


def get(host: Host, url: str, *options: str) -> dict[str, object]:
    """Return the JSON that ``url`` answers with."""
    answer: dict[str, object] = json.loads(
        host.check_output("curl -sS --fail-with-body %s %s", " ".join(options) or "-g", url)
    )
    return answer


def status(host: Host, url: str, *, method: str = "GET") -> str:
    return host.check_output("curl -s -o /dev/null -w '%%{http_code}' -X %s %s", method, url)


def sql(host: Host, query: str) -> list[str]:
    client = "docker exec postgres psql --no-psqlrc -At -U postgres -d mediasearch -c %s"
    return host.check_output(client, query).splitlines()


@pytest.mark.parametrize("unit", ["docker", "nginx", "cron", "ssh"])
def test_the_units_run_and_survive_a_reboot(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled


def test_no_unit_has_failed(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --no-legend --plain") == ""


def test_the_containers_have_the_names_of_the_runbook_and_are_healthy(host: Host) -> None:
    listed = host.check_output("docker ps --format '{{.Names}} {{.Status}}'").splitlines()
    assert {line.split()[0] for line in listed} == {"api-container", "worker-container", "postgres", "redis"}
    assert all("(healthy)" in line for line in listed if not line.startswith("worker"))


def test_they_belong_to_one_project(host: Host) -> None:
    (project,) = json.loads(host.check_output("docker compose ls --format json"))
    assert (project["Name"], project["ConfigFiles"]) == ("ai-media-search", f"{PROJECT}/docker-compose.yml")


@pytest.mark.parametrize("base", ["http://localhost:3000", "https://yourdomain.com"])
def test_the_api_is_healthy_directly_and_through_nginx(host: Host, base: str) -> None:
    assert get(host, f"{base}/api/health")["status"] == "ok"


def test_the_login_test_wants_a_post(host: Host) -> None:
    assert status(host, "http://localhost:3000/api/auth/test", method="POST") == "200"
    assert status(host, "http://localhost:3000/api/auth/test") == "404"


def test_the_queues_are_told_to_those_with_a_token_only(host: Host) -> None:
    url = "http://localhost:3000/api/admin/queues/stats"
    assert status(host, url) == "401"
    token = json.loads(host.file("/etc/host-variables.json").content_string)["vault_mediasearch_admin_token"]
    answer = json.loads(host.check_output("curl -sSf -H %s %s", f"Authorization: Bearer {token}", url))
    assert set(answer["queues"]) == {"media-processing", "embeddings"}
    for counts in answer["queues"].values():
        assert (counts["delayed"], counts["failed"] >= 1) == (
            1,
            True,
        )  # what else there is depends on the worker's restarts


def test_the_metrics_are_told_on_the_loopback_address_only(host: Host) -> None:
    assert "http_requests_total" in host.check_output("curl -sSf http://localhost:9090/metrics")
    listening = host.check_output("ss --listening --tcp --numeric --no-header")
    outside = {line.split()[3].rsplit(":", 1)[1] for line in listening.splitlines() if "127.0.0.1:" not in line}
    assert outside == {"22", "80", "443"}


def test_the_tables_of_the_runbook_hold_rows(host: Host) -> None:
    for table in ("media_items", "embeddings", "search_history", "users", "user_activity", "cost_tracking"):
        assert int(sql(host, f"SELECT count(*) FROM {table}")[0]) >= 200  # noqa: S608  # a word of ours
    assert sql(host, "SELECT count(*) >= 0 FROM pg_stat_statements") == ["t"]
    assert sql(host, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == [
        "mediasearch"
    ]


def test_a_maintenance_flag_turns_users_away_and_nobody_else(host: Host) -> None:
    host.check_output("touch /var/www/maintenance.flag")
    try:
        assert status(host, "https://yourdomain.com/api/health") == "503"
        assert status(host, "http://localhost:3000/api/health") == "200"
    finally:
        host.check_output("rm /var/www/maintenance.flag")
    assert status(host, "https://yourdomain.com/api/health") == "200"


def test_the_application_and_its_proxy_write_their_logs(host: Host) -> None:
    logs = [name for name in host.file(f"{PROJECT}/logs").listdir() if name.startswith("api-")]
    assert len(logs) >= 3  # one for each day
    assert "searches in the last hour" in host.file(f"{PROJECT}/logs/{min(logs)}").content_string
    status(host, "https://yourdomain.com/api/health")
    assert '"GET /api/health HTTP/2' in host.file(f"{PROJECT}/logs/access.log").content_string


def test_stripe_has_a_status_page_that_the_host_trusts(host: Host) -> None:
    answer = get(host, "https://status.stripe.com/api/v2/status.json")
    assert answer["status"] == {"indicator": "none", "description": "All Systems Operational"}


def test_the_newest_backup_is_a_whole_dump_and_less_than_seven_hours_old(host: Host) -> None:
    newest = sorted(name for name in host.file("/backups").listdir() if name.startswith("backup-"))[-1]
    taken = datetime.strptime(newest, "backup-%Y%m%d-%H%M%S.dump").replace(tzinfo=timezone.utc)
    assert datetime.now(timezone.utc) - taken < timedelta(hours=7)
    assert "media_items" in host.check_output("docker exec -i postgres pg_restore --list < %s", f"/backups/{newest}")


def test_the_schedule_can_take_a_backup_and_store_a_copy(host: Host) -> None:
    before = set(host.file("/backups").listdir())
    host.check_output("/scripts/backup-database.sh")
    (new,) = set(host.file("/backups").listdir()) - before
    stored = "https://s3.us-east-1.amazonaws.com/your-backup-bucket/postgres/" + new
    try:
        size = host.check_output(
            "curl -sSf --config /etc/backup-storage.conf --aws-sigv4 aws:amz:us-east-1:s3 %s | wc -c", stored
        )
        assert int(size) == host.file(f"/backups/{new}").size
    finally:  # the other scenarios find the host as it was
        host.check_output("rm %s && sed -i '$ d' /logs/backup.log", f"/backups/{new}")
        host.check_output(
            "curl -sSf -X DELETE --config /etc/backup-storage.conf --aws-sigv4 aws:amz:us-east-1:s3 %s", stored
        )


def test_the_application_stores_and_reads_an_object(host: Host) -> None:
    assert get(host, "http://localhost:3000/api/storage") == {"stored": True}


def test_health_says_which_part_is_down_and_comes_back_by_itself(host: Host) -> None:
    host.check_output("docker stop redis")
    try:
        answer = host.run("curl -sS -w ' %{http_code}' http://localhost:3000/api/health").stdout
        assert answer.endswith(" 503")
        assert json.loads(answer[:-4])["database"] == "ok"
        assert json.loads(answer[:-4])["redis"].startswith("error")
    finally:
        host.check_output("docker start redis")
    host.check_output("curl -sSf --retry 20 --retry-delay 1 --retry-all-errors http://localhost:3000/api/health")


def test_secrets_are_for_their_readers_only(host: Host) -> None:
    assert host.file(f"{PROJECT}/.env").mode == 0o600
    assert host.file("/etc/backup-storage.conf").mode == 0o600
