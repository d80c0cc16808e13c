# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host is what the runbook of Plugspace.io describes."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from testinfra.host import Host

APPLICATION = "/home/plugspace/plugspace"
BACKUPS = "/home/plugspace/backups"
ANY, LOOPBACK = ("0.0.0.0", "[::]"), ("127.0.0.1", "[::1]")  # noqa: S104  # where things listen, not where we do
# The WebSocket handshake of RFC 6455 with the key of its own example.
HANDSHAKE = (
    "curl --silent --no-buffer --max-time 4 --http1.1 --include --header 'Connection: Upgrade'"
    " --header 'Upgrade: websocket' --header 'Sec-WebSocket-Version: 13'"
    " --header 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' https://plugspace.io/voice?room=test"
)


def get(host: Host, url: str) -> Any:
    return json.loads(host.check_output("curl --fail --silent --show-error --max-time 10 %s", url))


def processes(host: Host) -> list[dict[str, Any]]:
    listing = host.check_output("runuser -u plugspace -- env HOME=/home/plugspace pm2 jlist")
    found: list[dict[str, Any]] = json.loads(listing[listing.index("[{") :])
    return found


def mongo(host: Host, expression: str, *, database: str = "admin") -> Any:
    """Return what the database says to its administrator."""
    program = (
        "import json, sys; from pymongo import MongoClient; from bson.json_util import dumps;"
        "password = json.load(open('/etc/host-variables.json'))['vault_plugspace_mongodb_admin_password'];"
        "client = MongoClient('127.0.0.1', username='admin', password=password, replicaSet='rs0');"
        f"database = client[{database!r}]; print(dumps({expression}))"
    )
    return json.loads(host.check_output("/opt/secantusdb/bin/python -c %s", program))


def wait_for_health(host: Host) -> None:
    host.check_output(
        "curl --fail --silent --retry 30 --retry-delay 1 --retry-all-errors https://plugspace.io/api/health"
    )


def test_all_units_of_the_host_are_well(host: Host) -> None:
    assert host.check_output("systemctl is-system-running --wait") == "running"


@pytest.mark.parametrize(
    "unit",
    [
        *("nginx", "mongod", "redis", "pm2-plugspace", "prometheus", "prometheus-alertmanager"),
        *("prometheus-node-exporter", "alert-relay", "ufw", "fail2ban", "cron", "ssh", "certbot.timer"),
    ],
)
def test_the_services_run_and_survive_a_reboot(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.check_output("systemctl is-enabled %s", unit) in ("enabled", "alias")


def test_all_listens_on_the_loopback_address_but_ssh_and_the_proxy(host: Host) -> None:
    places = [line.split()[3].rpartition(":") for line in host.check_output("ss -Hltn").splitlines()]
    assert {address for address, _, _ in places} <= {*ANY, *LOOPBACK}
    assert {int(port) for address, _, port in places if address in ANY} == {2222, 80, 443}
    inside = {4000, 4001, 6379, 9090, 9093, 9099, 9100, 27017}
    assert {int(port) for address, _, port in places if address in LOOPBACK} == inside


def test_the_application_answers_through_tls_with_a_trusted_certificate(host: Host) -> None:
    said = get(host, "https://plugspace.io/api/health")
    assert (said["status"], said["mongodb"], said["redis"]) == ("ok", "ok", "ok")
    file = "/etc/letsencrypt/live/plugspace.io/cert.pem"
    assert host.run("openssl x509 -in %s -noout -checkend %s", file, str(88 * 86400)).rc == 0
    assert not host.service("pebble").is_running


def test_the_voice_server_speaks_websocket_through_the_proxy(host: Host) -> None:
    said = host.run(HANDSHAKE).stdout_bytes
    assert b"101 Switching Protocols" in said
    assert b'"type":"welcome","room":"test"' in said


def test_two_applications_run_under_pm2_and_keep_no_secret_there(host: Host) -> None:
    found = [(one["name"], one["pm2_env"]["exec_mode"], one["pm2_env"]["status"]) for one in processes(host)]
    api, voice = ("plugspace-api", "cluster_mode", "online"), ("plugspace-voice", "fork_mode", "online")
    assert sorted(found) == [api, api, voice]
    password = host.check_output("sed -n s/^REDIS_PASSWORD=//p %s/.env", APPLICATION)
    assert password
    assert password not in json.dumps(processes(host))
    assert host.file(f"{APPLICATION}/.env").mode == 0o600


def test_the_applications_write_where_the_runbook_looks(host: Host) -> None:
    for directory in ("nginx", "pm2", "mongodb", "redis", "plugspace"):
        assert host.file(f"/var/log/{directory}").listdir()
    assert host.file("/var/log/mongodb/mongod.log").size > 0
    assert host.file("/var/log/plugspace/api.log").contains("GET /api/health 200")


def test_the_database_is_a_replica_set_that_asks_for_a_password(host: Host) -> None:
    status = mongo(host, "database.command('replSetGetStatus')")
    assert (status["set"], [member["stateStr"] for member in status["members"]]) == ("rs0", ["PRIMARY"])
    assert {user["user"] for user in mongo(host, "database.command('usersInfo')")["users"]} == {
        "admin",
        "plugspace_app",
    }
    assert mongo(host, "database.spaces.count_documents({})", database="plugspace") == 40
    stranger = "from pymongo import MongoClient; MongoClient('127.0.0.1').plugspace.spaces.find_one()"
    refused = host.run("/opt/secantusdb/bin/python -c %s", stranger)
    assert refused.rc != 0
    assert "requires authentication" in refused.stderr


def test_redis_asks_for_a_password_and_has_a_limit(host: Host) -> None:
    assert "NOAUTH" in host.check_output("redis-cli ping")
    password = host.check_output("sed -n s/^REDIS_PASSWORD=//p %s/.env", APPLICATION)
    asked = f"REDISCLI_AUTH={password} redis-cli config get maxmemory"
    assert host.check_output(asked).splitlines() == ["maxmemory", str(64 << 20)]


@pytest.mark.parametrize(("unit", "part"), [("mongod", "mongodb"), ("redis-server", "redis")])
def test_an_outage_shows_in_the_health_answer_and_is_survived(host: Host, unit: str, part: str) -> None:
    before = sorted(process["pid"] for process in processes(host))
    host.check_output("systemctl stop %s", unit)
    try:
        said = host.run("curl --silent --max-time 10 --write-out %s https://plugspace.io/api/health", " %{http_code}")
        body, _, status = said.stdout.rpartition(" ")
        assert status == "503"
        assert json.loads(body)[part] == "unavailable"
    finally:
        host.check_output("systemctl start %s", unit)
        wait_for_health(host)
    assert sorted(process["pid"] for process in processes(host)) == before
    # What the applications said about it is no error of the server that other tests look at.
    host.check_output("truncate --size 0 /var/log/plugspace/api.log /var/log/plugspace/voice.log")
    wait_for_health(host)


def test_the_file_of_the_maintenance_mode_stops_users_only(host: Host) -> None:
    host.check_output("touch /var/www/maintenance.flag")
    try:
        asked = "curl --silent --output /dev/null --write-out %s https://plugspace.io/api/health"
        assert host.check_output(asked, "%{http_code}") == "503"
        assert get(host, "http://127.0.0.1:4000/api/health")["status"] == "ok"
    finally:
        host.check_output("rm /var/www/maintenance.flag")


def test_prometheus_reaches_its_targets_and_knows_when_the_certificate_expires(host: Host) -> None:
    wanted, found = dict.fromkeys(("prometheus", "node", "plugspace-api"), "up"), {}
    end = time.monotonic() + 60  # what it reads next tells of what is up again
    while found != wanted and time.monotonic() < end:
        targets = get(host, "http://localhost:9090/api/v1/targets")["data"]["activeTargets"]
        found = {target["labels"]["job"]: target["health"] for target in targets}
    assert found == wanted
    query = "http://localhost:9090/api/v1/query?query=ssl_certificate_expiry_timestamp_seconds-time()"
    (found,) = get(host, query)["data"]["result"]
    assert 88 * 86400 < float(found["value"][1]) < 91 * 86400


def test_an_alert_reaches_the_relay(host: Host) -> None:
    file, deadline = host.file("/var/log/alert-relay/alerts.jsonl"), time.monotonic() + 120
    while not (file.exists and file.contains("Watchdog")) and time.monotonic() < deadline:
        time.sleep(0.5)
    alerts = json.loads(file.content_string.splitlines()[0])["alerts"]
    assert ("Watchdog", "firing") in {(alert["labels"]["alertname"], alert["status"]) for alert in alerts}


def test_the_firewall_lets_three_ports_in(host: Host) -> None:
    said = host.check_output("ufw status")
    assert said.startswith("Status: active")
    allowed = {line.split()[0] for line in said.splitlines() if "ALLOW" in line}
    assert allowed == {"2222/tcp", "80/tcp", "443/tcp"}


def test_an_address_can_be_banned_and_let_in_again(host: Host) -> None:
    try:
        host.check_output("fail2ban-client set sshd banip 192.0.2.66")
        assert "192.0.2.66" in host.check_output("fail2ban-client status sshd")
        assert "2222" in host.check_output("iptables-save | grep -e f2b-sshd -e 192.0.2.66")
    finally:
        host.check_output("fail2ban-client set sshd unbanip 192.0.2.66")


def test_backups_of_seven_nights_have_the_checksums_they_say(host: Host) -> None:
    names = sorted(host.file(BACKUPS).listdir())
    assert len(names) == 7
    for name in names:
        taken = datetime.strptime(name, "%Y%m%d_%H%M%S").replace(tzinfo=timezone.utc)
        assert abs(host.file(f"{BACKUPS}/{name}").mtime.timestamp() - taken.timestamp()) < 60
        assert host.file("/var/log/plugspace/backup.log").contains(f"{taken:%Y-%m-%d} .* backup completed: .*/{name} ")
    assert datetime.now(timezone.utc) - taken < timedelta(hours=26)
    said = host.check_output("/usr/local/bin/restore.sh %s --dry-run --all", names[-1])
    assert said.splitlines()[-1] == f"{names[-1]} could be restored"


def test_a_backup_can_be_taken_and_one_that_was_changed_is_found(host: Host) -> None:
    before = set(host.file(BACKUPS).listdir())
    host.check_output("runuser -u plugspace -- /usr/local/bin/backup.sh")
    (new,) = set(host.file(BACKUPS).listdir()) - before
    try:
        manifest = json.loads(host.file(f"{BACKUPS}/{new}/manifest.json").content_string)
        assert {"environment", "redis.rdb", "mongodb/plugspace/users.bson.gz"} <= set(manifest["checksums"])
        host.check_output("/usr/local/bin/restore.sh %s --dry-run --all", new)
        host.check_output("echo changed >> %s", f"{BACKUPS}/{new}/redis.rdb")
        assert host.run("/usr/local/bin/restore.sh %s --dry-run --all", new).rc != 0
    finally:  # the other scenarios find the host as it was
        host.check_output("rm -r %s && sed -i '$ d' /var/log/plugspace/backup.log", f"{BACKUPS}/{new}")
