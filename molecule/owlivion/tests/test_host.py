# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts are what the runbook of Owlivion describes, with something on them to maintain."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone

import pytest
from testinfra.host import Host

APPLICATION = "/home/owlivion/owlivion-mail/owlivion-sync-server"


def sql(host: Host, query: str) -> list[str]:
    """Return the rows of a query, as the application's user asks it."""
    command = "runuser -u owlivion -- psql --no-psqlrc -At -d owlivion_sync -c %s"
    return host.check_output(command, query).splitlines()


def processes(host: Host) -> list[dict[str, object]]:
    listing = host.check_output("runuser -u owlivion -- env HOME=/home/owlivion pm2 jlist")
    found: list[dict[str, object]] = json.loads(listing[listing.index("[{") :])
    return found


def test_the_application_answers_through_tls_with_a_trusted_certificate(host: Host) -> None:
    assert (
        host.check_output("curl --fail --silent --show-error https://owlivion.com/api/v1/health") == '{"status":"ok"}'
    )


def test_the_certificate_is_valid_for_about_ninety_days(host: Host) -> None:
    file = "/etc/letsencrypt/live/owlivion.com/cert.pem"
    assert host.run("openssl x509 -in %s -noout -checkend %s", file, str(88 * 86400)).rc == 0
    assert host.run("openssl x509 -in %s -noout -checkend %s", file, str(91 * 86400)).rc == 1


def test_the_acme_server_is_stopped(host: Host) -> None:
    assert not host.service("pebble").is_running


@pytest.mark.parametrize("unit", ["nginx", "postgresql", "pm2-owlivion", "cron", "ssh"])
def test_the_services_run_and_survive_a_reboot(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled


def test_one_application_runs_under_pm2_on_the_loopback_address(host: Host) -> None:
    (process,) = processes(host)
    assert process["name"] == "owlivion-sync-server"
    environment = process["pm2_env"]
    assert isinstance(environment, dict)
    assert (environment["status"], environment["exec_mode"]) == ("online", "fork_mode")
    assert host.socket("tcp://127.0.0.1:3000").is_listening
    assert not host.socket("tcp://0.0.0.0:3000").is_listening


def test_the_application_lives_through_a_restart_of_the_database(host: Host) -> None:
    before = [process["pid"] for process in processes(host)]
    host.check_output("systemctl restart postgresql")
    health = "curl --fail --silent --retry 20 --retry-delay 1 --retry-all-errors http://127.0.0.1:3000/api/v1/health"
    assert host.check_output(health) == '{"status":"ok"}'
    assert [process["pid"] for process in processes(host)] == before
    # What the application said about it is no error of the server that the other scenarios look at.
    host.check_output("truncate --size 0 /home/owlivion/.pm2/logs/owlivion-sync-server-error.log")


def test_the_database_belongs_to_the_application(host: Host) -> None:
    assert sql(host, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == [
        "owlivion"
    ]
    assert int(sql(host, "SELECT count(*) FROM users")[0]) == 500
    assert sql(host, "SELECT count(*) >= 0 FROM pg_stat_statements") == ["t"]


def test_four_of_twenty_tables_are_full_of_dead_rows(host: Host) -> None:
    rows = [row.split("|") for row in sql(host, "SELECT relname, n_live_tup, n_dead_tup FROM pg_stat_user_tables")]
    assert len(rows) == 20
    bloated = {name for name, live, dead in rows if int(dead) > 0.2 * (int(live) + int(dead))}
    assert bloated == {"sync_data", "sessions", "sync_log", "notifications"}


def test_three_indexes_are_much_larger_than_their_entries(host: Host) -> None:
    query = (
        "SELECT indexrelid::regclass FROM pg_stat_user_indexes JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE pg_relation_size(indexrelid) > 200 * greatest(reltuples, 10000)"
    )
    bloated = {"messages_message_id_idx", "api_tokens_fingerprint_idx", "audit_log_subject_idx"}
    assert set(sql(host, query)) == bloated


def test_the_database_is_small_enough_to_be_made_quickly(host: Host) -> None:
    assert int(sql(host, "SELECT pg_database_size('owlivion_sync')")[0]) < 300_000_000


@pytest.mark.parametrize(("kind", "age"), [("daily", timedelta(hours=26)), ("weekly", timedelta(days=8))])
def test_backups_are_recent_complete_and_logged(host: Host, kind: str, age: timedelta) -> None:
    files = sorted(name for name in host.file(f"/backups/{kind}").listdir() if name.startswith("backup_"))
    assert len(files) >= 8
    newest = host.file(f"/backups/{kind}/{files[-1]}")
    taken = datetime.strptime(files[-1], "backup_%Y%m%d_%H%M%S.sql.gz").replace(tzinfo=timezone.utc)
    assert datetime.now(timezone.utc) - taken < age
    assert abs(newest.mtime.timestamp() - taken.timestamp()) < 60
    assert "PostgreSQL database dump complete" in host.check_output("zcat %s | tail -5", newest.path)
    line = rf"{taken:%Y-%m-%d} .* {kind} backup completed: {re.escape(newest.path)} \({newest.size} bytes\)"
    assert re.search(line, host.file("/var/log/owlivion-backup.log").content_string)


def test_the_scripts_of_the_schedule_exist(host: Host) -> None:
    table = host.check_output("crontab -u owlivion -l")
    schedule = dict(line.rsplit(" ", 1)[::-1] for line in table.splitlines() if not line.startswith("#"))
    assert set(schedule.values()) == {"0 2 * * *", "0 3 * * 0", "*/5 * * * *"}
    for script in schedule:
        assert script.startswith(f"{APPLICATION}/deployment/")
        assert host.file(script).mode & 0o100


def test_a_backup_taken_by_the_schedule_is_logged(host: Host) -> None:
    before = host.file("/backups/daily").listdir()
    host.check_output("runuser -u owlivion -- %s", f"{APPLICATION}/deployment/backup.sh")
    (new,) = set(host.file("/backups/daily").listdir()) - set(before)
    try:
        host.check_output("gzip --test %s", f"/backups/daily/{new}")
        log = host.file("/var/log/owlivion-backup.log").content_string
        assert log.splitlines()[-1].endswith(f"/{new} ({host.file(f'/backups/daily/{new}').size} bytes)")
    finally:  # the other scenarios find the host as it was
        host.check_output("rm %s && sed -i '$ d' /var/log/owlivion-backup.log", f"/backups/daily/{new}")


def test_firewall_and_logins_left_traces(host: Host) -> None:
    assert host.file("/var/log/ufw.log").contains("UFW BLOCK")
    assert host.file("/var/log/auth.log").contains("Failed password")
