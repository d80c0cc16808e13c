# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that lie about on a real host, wherever they do: a diagnosis meets all of them, and shows none."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from .conftest import Host

APP = "/home/owlivion/owlivion-mail/owlivion-sync-server"
OUT = "/home/owlivion/.pm2/logs/owlivion-sync-server-out.log"
ERROR = "/home/owlivion/.pm2/logs/owlivion-sync-server-error.log"
NGINX = "/var/log/nginx/error.log"
WEBHOOK = "https://alerts.example.com/in/planted-webhook-77ab"  # the inventory's own


class Plant(NamedTuple):
    """One secret: what must not be shown, where it lies, and in which words."""

    secret: str
    where: str  # a log, or one of the ways below
    text: str
    marker: str = ""  # what of it must be shown: the evidence was met, and only the secret taken out


PLANTS = [
    Plant("planted-env-0001x", "environment", "DB_PASSWORD=planted-env-0001x"),
    Plant("planted-env-0001x", OUT, "error: cannot log in with planted-env-0001x", "cannot log in with"),
    Plant("planted-dsn-0002x", "environment", "DATABASE_URL=postgres://app:planted-dsn-0002x@db/shop"),
    Plant("planted-dsn-0002x", OUT, "error: tried planted-dsn-0002x in vain", "in vain"),
    Plant("planted-file-0003", ".env", 'MAIL_PASS="planted-file-0003"'),
    Plant("planted-file-0003", ERROR, "SMTP said: 535 planted-file-0003 refused", "SMTP said"),
    Plant("planted-arg-0004x", "argument", "--api-token=planted-arg-0004x"),
    Plant("planted-arg-0005x", "argument", "--db-password planted-arg-0005x"),
    Plant("planted-url-0006x", "argument", "redis://:planted-url-0006x@10.9.8.7:6379/0"),
    Plant("planted-json-0007", OUT, 'error {"user":"joe","apiKey":"planted-json-0007"}', '"user":"joe"'),
    Plant("planted-query-008", NGINX, 'upstream failed, request: "GET /a?access_token=planted-query-008 HTTP/1.1"', "upstream failed"),
    Plant("planted-cookie-09", NGINX, "header error, Cookie: sid=planted-cookie-09; theme=dark", "header error"),
    Plant("cGxhbnRlZDp4MDAxMA", ERROR, "401 error for Authorization: Basic cGxhbnRlZDp4MDAxMA==", "401 error for"),
    Plant("planted.bearer.0011", ERROR, "error: sent Bearer planted.bearer.0011", "error: sent"),
    Plant("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwMDAxMiJ9.c2lnbmF0dXJl", ERROR, "jwt error eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwMDAxMiJ9.c2lnbmF0dXJl", "jwt error"),
    Plant("AKIAPLANTED000000013", ERROR, "S3 error for AKIAPLANTED000000013", "S3 error for"),
    Plant("planted0013secretAccessKey/abc+def", ERROR, "error aws_secret_access_key = planted0013secretAccessKey/abc+def"),
    Plant("sk_live_planted0014planted", ERROR, "Stripe error with sk_live_planted0014planted", "Stripe error"),
    Plant("T000/B015/planted015", ERROR, "error at https://hooks.slack.com/services/T000/B015/planted015"),
    Plant("ghp_planted016planted016planted016", ERROR, "git error https://ghp_planted016planted016planted016@github.com/a/b"),
    Plant("MIIEplanted017AAAAAAAAAAAA", ERROR, "error -----BEGIN PRIVATE KEY-----\nMIIEplanted017AAAAAAAAAAAA\n-----END PRIVATE KEY-----"),
    Plant("planted018@example.org", ERROR, "mail error for planted018@example.org", "mail error for"),
    Plant("planted019 literal", "session", "SELECT pg_sleep(600), 'planted019 literal'", "SELECT pg_sleep(?), ?"),
    Plant("planted020 failing", "statement", "SELECT 'planted020 failing' FROM no_such_table_020", "no_such_table_020"),
    Plant("planted-unit-0021", "unit", "fatal: token: planted-unit-0021", "fatal: token"),
    Plant("planted-sudo-0022", "sudo", "--password planted-sudo-0022"),
    Plant(WEBHOOK, ERROR, f"error: could not post to {WEBHOOK}", "could not post to"),
]  # fmt: skip

PREPARE = r"""
set -eu
for log in {logs}; do stat -c '%n %s' "$log"; done > /dev/shm/plants
cat >> {app}/.env <<'END'
{files}
END
systemd-run --quiet --collect --unit=plant-process {environment} python3 -c 'import time; time.sleep(300)' {arguments}
systemd-run --quiet --unit=plant-unit sh -c "echo '{unit}'; exit 3" || true
sudo true {sudo}
runuser -u postgres -- psql -qX -d owlivion_sync -c "{statement}" 2>/dev/null || true
(runuser -u postgres -- psql -qX -d owlivion_sync -c "{session}" >/dev/null 2>&1 &)
for _attempt in $(seq 300); do
  runuser -u postgres -- psql -XqAt -c "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()" | grep -q planted019 && break
  sleep 0.1
done
timeout 60 sh -c 'until journalctl --quiet -u plant-unit | grep -q planted-unit; do sleep 0.1; done'
"""
CLEAN = """
while read -r log size; do truncate -s "$size" "$log"; done < /dev/shm/plants
rm -f /dev/shm/plants {app}/.env
systemctl stop plant-process; systemctl reset-failed plant-unit
runuser -u postgres -- psql -qX >/dev/null <<'END'
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%planted019%' AND pid <> pg_backend_pid()
END
"""


def of(where: str) -> list[str]:
    return [plant.text for plant in PLANTS if plant.where == where]


@pytest.fixture(scope="module")
def planted(host: Host) -> Iterator[Host]:
    """Return a host with all of the secrets on it, and take them away again."""
    logs = {plant.where for plant in PLANTS if plant.where.startswith("/")}
    try:
        host(
            PREPARE.format(
                logs=" ".join(sorted(logs)),
                app=APP,
                files="\n".join(of(".env")),
                environment=" ".join(f"-E '{text}'" for text in of("environment")),
                arguments=" ".join(of("argument")),
                unit=of("unit")[0],
                sudo=of("sudo")[0],
                statement=of("statement")[0],
                session=of("session")[0],
            )
        )
        for log in sorted(logs):
            # PM2 writes ISO times, nginx its own.
            stamp = "%Y/%m/%d %H:%M:%S [error] 1#1:" if log == NGINX else "%Y-%m-%dT%H:%M:%S:"
            lines = "\n".join(of(log))
            host(f"while IFS= read -r line; do echo \"$(date '+{stamp}') $line\"; done >> {log} <<'END'\n{lines}\nEND")
        yield host
    finally:
        host(CLEAN.format(app=APP), check=False)


class Watch(threading.Thread):
    """Looks at the arguments of all processes, those of the host's container too, for what only the inventory knows."""

    def __init__(self, secret: str) -> None:
        super().__init__(daemon=True)
        self.secret, self.seen, self.over = secret.encode(), set(), threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes()
                except OSError:
                    continue
                if self.secret in words and b"extra-of-this-test" not in words:
                    self.seen.add(words.replace(b"\0", b" ").decode(errors="replace"))


@pytest.fixture(scope="module")
def told(planted: Host, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return everything that a diagnosis tells, by where it stands."""
    folder = tmp_path_factory.mktemp("diagnosis")
    extra = folder / "extra.yml"
    extra.write_text(
        f"vault_owlivion_alert_webhook: {WEBHOOK}\ndiagnosis_path: {folder}/bundle.tar.gz\n", encoding="utf-8"
    )
    watch = Watch(WEBHOOK)
    watch.start()
    outcome = planted.play("diagnose", "-vvv", "-e", f"@{extra}")
    watch.over.set()
    watch.join()
    assert outcome.code == 0, outcome.text
    found = {"output": outcome.text, "arguments of processes": "\n".join(watch.seen)}
    with tarfile.open(folder / "bundle.tar.gz") as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name] = file.read().decode()
    found["records"] = planted("cat /var/lib/runbook-ops/runs/*.json 2>/dev/null", check=False)
    return found


@pytest.mark.parametrize("plant", PLANTS, ids=[f"{plant.secret[:24]} in {plant.where}" for plant in PLANTS])
def test_a_secret_is_shown_nowhere(told: dict[str, str], plant: Plant) -> None:
    places = {
        name: text[max(0, text.find(plant.secret) - 80) :][:200] for name, text in told.items() if plant.secret in text
    }
    assert not places


@pytest.mark.parametrize("part", ["planted", "PLANTED", "cGxhbnRlZ", "eyJhbGci", "T000/B0"])
def test_not_even_a_part_of_one_is_shown(told: dict[str, str], part: str) -> None:
    assert not {name: text[max(0, text.find(part) - 80) :][:200] for name, text in told.items() if part in text}


@pytest.mark.parametrize("plant", [plant for plant in PLANTS if plant.marker], ids=lambda plant: plant.marker)
def test_what_stands_around_it_is_evidence(told: dict[str, str], plant: Plant) -> None:
    assert any(plant.marker in text for name, text in told.items() if name.endswith(".txt"))
