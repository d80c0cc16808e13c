# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host is what the runbook of the newsletter application describes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from testinfra.host import Host

PROJECT = "/home/deploy/newsletter"
BACKUPS = f"{PROJECT}/backups"
QUEUES = ("campaign-emails", "ai-insights")


def compose(host: Host, *argv: str) -> str:
    """Return what Docker Compose says in the project, as the runbook calls it."""
    words = " ".join(["%s"] * len(argv))
    return host.check_output(f"docker compose --project-directory {PROJECT} {words}", *argv)


def get(host: Host, path: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads(
        host.check_output("curl -sSf --max-time 10 %s", f"http://localhost:3000{path}")
    )
    return answer


def sql(host: Host, query: str) -> list[str]:
    client = ("psql", "--no-psqlrc", "--no-align", "--tuples-only", "--username=newsletter", "--command", query)
    return compose(host, "exec", "-T", "postgres", *client).splitlines()


def redis(host: Host, *argv: str) -> str:
    return compose(host, "exec", "-T", "redis", "redis-cli", *argv)


def wait_for_health(host: Host) -> None:
    url = "http://localhost:3000/api/health"
    host.check_output("curl -sSf -o /dev/null --max-time 5 --retry 30 --retry-delay 1 --retry-all-errors %s", url)


@pytest.mark.parametrize("unit", ["docker", "cron", "ssh", "nginx", "certbot.timer"])
def test_the_units_run_and_survive_a_reboot(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled


def test_all_units_of_the_host_are_well(host: Host) -> None:
    assert host.check_output("systemctl is-system-running --wait") == "running"


def test_one_project_has_the_services_of_the_runbook_and_two_workers(host: Host) -> None:
    listed = compose(host, "ps", "--format", "{{.Service}} {{.State}} {{.Health}}").splitlines()
    assert sorted(line.strip() for line in listed) == [
        "balancer running",
        "newsletter-app running healthy",
        "postgres running healthy",
        "redis running healthy",
        "worker running",
        "worker running",
    ]


def test_only_ssh_and_nginx_are_reached_from_outside(host: Host) -> None:
    places = [line.split()[3].rpartition(":") for line in host.check_output("ss -Hltn").splitlines()]
    assert {int(port) for address, _, port in places if not address.startswith("127.0.0.1")} == {22, 80, 443}


def test_the_application_says_that_it_and_its_parts_work(host: Host) -> None:
    said = get(host, "/api/health")
    assert (said["status"], said["database"], said["redis"]) == ("ok", "ok", "ok")
    assert get(host, "/api/version") == {"version": "1.0.0"}
    assert get(host, "/api/campaigns") == {"count": 300}


def test_the_database_has_what_the_runbook_names(host: Host) -> None:
    for table in ("campaigns", "email_events", "tenants"):
        assert int(sql(host, f"SELECT count(*) FROM public.{table}")[0]) >= 20  # noqa: S608  # a word of ours
    indexes = sql(host, "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'idx_%' ORDER BY 1")
    assert indexes == ["idx_campaigns_tenant_created", "idx_email_events_campaign_type"]
    assert sql(host, "SELECT count(*) >= 0 FROM pg_stat_statements") == ["t"]


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_has_jobs_in_each_state_and_workers_on_it(host: Host, queue: str) -> None:
    assert redis(host, "exists", f"bull:{queue}:meta") == "1"
    # What a worker that was restarted had in hand is taken up by the next one: the sum does not change.
    assert sum(int(redis(host, "llen", f"bull:{queue}:{state}")) for state in ("wait", "active")) >= 2
    # Between two jobs a worker has none in hand.
    asked = f"docker compose --project-directory {PROJECT} exec -T redis redis-cli llen bull:{queue}:active"
    host.check_output("timeout 60 sh -c %s", f"until {asked} </dev/null | grep -q '[1-9]'; do sleep 0.2; done")
    assert redis(host, "zcard", f"bull:{queue}:delayed") == "1"
    assert redis(host, "zcard", f"bull:{queue}:failed") == "1"


def test_redis_keeps_every_key_when_its_memory_is_full(host: Host) -> None:
    assert redis(host, "config", "get", "maxmemory-policy").splitlines() == ["maxmemory-policy", "noeviction"]


def test_the_application_stores_and_reads_an_object(host: Host) -> None:
    assert get(host, "/api/storage") == {"stored": True}


@pytest.mark.parametrize("page", ["resend-status.com", "www.cloudflarestatus.com", "status.openai.com"])
def test_those_outside_have_status_pages_that_the_host_trusts(host: Host, page: str) -> None:
    said = json.loads(host.check_output("curl -sSf --max-time 10 %s", f"https://{page}/api/v2/status.json"))
    assert said["status"]["indicator"] == "none"


def test_the_logs_are_where_the_runbook_looks(host: Host) -> None:
    assert "listening, version 1.0.0" in host.file(f"{PROJECT}/logs/app.log").content_string
    assert "listening, version 1.0.0" in compose(host, "logs", "--no-color", "newsletter-app")
    assert host.file("/var/log/newsletter/backup.log").contains("backup_.*[.]sql[.]gz")
    assert host.run("logrotate --debug /etc/logrotate.d/newsletter").rc == 0


def test_the_newest_backup_is_a_whole_dump_and_less_than_26_hours_old(host: Host) -> None:
    names = sorted(name for name in host.file(BACKUPS).listdir() if name.startswith("backup_"))
    taken = datetime.strptime(names[-1], "backup_%Y%m%d.sql.gz").replace(tzinfo=timezone.utc)
    assert len(names) >= 30
    assert datetime.now(timezone.utc) - taken < timedelta(hours=2 + 26)
    assert host.check_output(f"{PROJECT}/scripts/test-backup-restore.sh") == f"{names[-1]} can be read"
    assert "CREATE TABLE public.campaigns" in host.check_output("zcat %s", f"{BACKUPS}/{names[-1]}")


@pytest.mark.parametrize(("service", "part"), [("postgres", "database"), ("redis", "redis")])
def test_health_says_which_part_is_down_and_comes_back_by_itself(host: Host, service: str, part: str) -> None:
    other = {"database": "redis", "redis": "database"}[part]
    compose(host, "stop", service)
    try:
        said = host.run("curl -sS --max-time 10 -w ' %{http_code}' http://localhost:3000/api/health").stdout
        body, _, status = said.rpartition(" ")
        answer = json.loads(body)
        assert (status, answer["status"], answer[other]) == ("503", "error", "ok")
        assert answer[part].startswith("error")
    finally:
        compose(host, "start", service)
        wait_for_health(host)


def test_the_workers_can_be_scaled(host: Host) -> None:
    up = ("up", "--detach", "--no-recreate", "--scale")
    compose(host, *up, "worker=3", "worker")
    try:
        assert len(compose(host, "ps", "--quiet", "worker").splitlines()) == 3
    finally:
        compose(host, *up, "worker=2", "worker")
    assert len(compose(host, "ps", "--quiet", "worker").splitlines()) == 2


def test_secrets_are_for_their_readers_only(host: Host) -> None:
    assert host.file(f"{PROJECT}/.env").mode == 0o600
    assert host.file("/etc/host-variables.json").mode == 0o600
    assert host.file(BACKUPS).mode == 0o700
