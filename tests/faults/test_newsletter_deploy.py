# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of the newsletter, whose migrations Drizzle's own migrator applies, and three instances of it that share the requests."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ._containers import Host, as_before
from ._matrix import NAMES
from .conftest import Outcome

DOMAIN, PROJECT = "newsletter.example.com", "newsletter"
# Images of the application with its migrations; that of 1.2.0 fails half way, that of 1.3.0 came from another branch.
# No backup of an earlier test is left, which would be taken for the one that a migration needs.
IMAGES = """
set -eu
rm -rf /home/deploy/newsletter/backups/daily_*
cp -a /etc/nginx /root/nginx.before
cp -a /usr/local/share/newsletter/application /root/application; cd /root/application
image() { docker build -q --build-arg VERSION=$1 -t "your-registry/newsletter:v$1" . 2>/dev/null; }
migration() {
  cat >"drizzle/$1.sql"
  python3 - "$1" "$2" <<'END'
import json, pathlib, sys
path = pathlib.Path("drizzle/meta/_journal.json")
told = json.loads(path.read_text())
told["entries"].append({"idx": len(told["entries"]), "version": "7", "when": int(sys.argv[2]), "tag": sys.argv[1], "breakpoints": True})
path.write_text(json.dumps(told))
END
}
echo 'ALTER TABLE "campaigns" ADD COLUMN "note" text;' | migration 0001_note 1735776000000
image 1.1.0
cp -a drizzle before
printf '%s\\n' 'ALTER TABLE "campaigns" ADD COLUMN "half" text;' '--> statement-breakpoint' 'SELECT 1 / 0;' | migration 0002_half 1735862400000
image 1.2.0
rm -rf drizzle && mv before drizzle
echo 'ALTER TABLE "campaigns" ADD COLUMN "late" text;' | migration 0002_late 1735700000000
image 1.3.0
"""
PSQL = "docker exec newsletter-postgres-1 psql -XqAt -U newsletter -d newsletter -c"
COLUMNS = f"{PSQL} \"SELECT string_agg(column_name, ' ' ORDER BY 1) FROM information_schema.columns WHERE column_name IN ('note', 'half', 'late')\""  # noqa: S608  # our own words
NOTED = f"{PSQL} 'SELECT count(*) FROM drizzle.__drizzle_migrations'"  # noqa: S608  # the same
AS_BEFORE = f"""
{as_before(PROJECT, "newsletter-app", "/home/deploy/newsletter/docker-compose.yml")}
docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | grep -E 'your-registry/newsletter:v1[.][123][.]0' | xargs -r docker rmi -f
rm -rf /root/application /home/deploy/newsletter/backups/daily_*
{PSQL} 'DROP SCHEMA IF EXISTS drizzle CASCADE; ALTER TABLE campaigns DROP COLUMN IF EXISTS note'
"""


def serves(host: Host) -> str:
    """Return the version that users get."""
    return str(json.loads(host.asked(DOMAIN, "/api/version"))["version"])


def deploy(host: Host, version: str, *options: str) -> Outcome:
    return host.play("deploy", "-e", f"deploy_version={version}", *options)


@pytest.fixture(params=[name for name in NAMES if name.removeprefix("demo-") == "newsletter"])
def newsletter(request: pytest.FixtureRequest) -> Iterator[Host]:
    host = Host.up(request.param)
    host(IMAGES)
    yield host
    host(AS_BEFORE, check=False)


def test_migrations_of_drizzle_are_applied_once_after_a_verified_backup_and_three_instances_share_the_requests(
    newsletter: Host,
) -> None:
    host = newsletter
    three_instances_share_the_requests(host)

    refused = deploy(host, "v1.1.0")
    assert refused.code != 0
    assert "there is no proven backup of the database" in refused.text, refused.text
    assert host(COLUMNS).strip() == ""
    for playbook, option in (("backup", {}), ("verify_backups", {"backup_drill": "all"})):
        saved = host.play(playbook, "-e", json.dumps(option))
        assert saved.code == 0, saved.text

    done = deploy(host, "v1.1.0")
    assert done.code == 0, done.text
    assert (serves(host), host(COLUMNS).strip(), host(NOTED).strip()) == ("1.1.0", "note", "2")
    again = deploy(host, "v1.1.0", "--check")
    assert again.code == 0, again.text
    assert "predicted change" not in again.text

    half = deploy(host, "v1.2.0")
    assert half.code != 0
    assert "migration failed: division by zero" in half.text, half.text
    assert (serves(host), host(COLUMNS).strip(), host(NOTED).strip()) == ("1.1.0", "note", "2")

    late = deploy(host, "v1.3.0")
    assert "0002_late is not applied, and older than what was applied last" in late.text, late.text
    assert (serves(host), host(COLUMNS).strip()) == ("1.1.0", "note")

    (home,) = set(host("ls /var/lib/runbook-ops/deploy/newsletter-app/releases | grep -o 'adopted-[0-9a-f]*'").split())
    back = host.play("rollback", "-e", f"rollback_version={home}")
    assert back.code == 0, back.text
    assert (serves(host), host(COLUMNS).strip()) == ("1.0.0", "note"), "a rollback leaves the schema"


def three_instances_share_the_requests(host: Host) -> None:
    asked = ("-e", "service_name=newsletter-app", "-e", "service_state=scaled")
    beyond = host.play("service", *asked, "-e", "service_replicas=4")
    assert "newsletter-app cannot have 4 instances: ops_services allows" in beyond.text, beyond.text
    done = host.play("service", *asked, "-e", "service_cause=cpu")
    assert done.code == 0, done.text
    before = host.connections(PROJECT, "newsletter-app")
    assert len(before) == 3, before
    host("for n in $(seq 60); do curl -s -o /dev/null http://localhost:3000/api/version; done")
    after = host.connections(PROJECT, "newsletter-app")
    assert all(after[name] - taken >= 15 for name, taken in before.items()), f"each gets its share: {before}, {after}"
    back = host.play("service", *asked, "-e", "service_replicas=1")
    assert back.code == 0, back.text
    assert len(host.connections(PROJECT, "newsletter-app")) == 1
