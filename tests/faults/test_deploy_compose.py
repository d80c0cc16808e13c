# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys through Compose on a real server, two containers behind a balancer, with users who ask all the time and notice nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from ._containers import Host, as_before
from ._kill import kill_stopped
from ._matrix import NAMES, ROOT
from .conftest import Outcome

# Images of the application that runs, each with its version; one of them ends soon after its start.
IMAGES = """
set -eu
cp -a /etc/nginx /root/nginx.before
mkdir -p /root/images/prisma; cd /root/images
cat >npx <<'END'
NPX
END
chmod 755 npx
cp -a /srv/lifeplatform/prisma/schema.prisma /srv/lifeplatform/prisma/migrations prisma/
image() {
  printf "process.env.VERSION = '%s'; %s\n" "$1" "$2" >version.js
  cat >Dockerfile <<END
FROM your-registry/app:v1.2.3
LABEL org.opencontainers.image.version=$1
ENV NODE_OPTIONS=--require=/version.js
COPY version.js /
COPY npx /usr/local/bin/
COPY prisma /app/prisma
END
  docker build -q -t "your-registry/app:v$1" . 2>/dev/null
}
image 1.3.0 ''
mkdir prisma/migrations/20260101000000_notes
echo 'ALTER TABLE "Task" ADD COLUMN "note" TEXT;' >prisma/migrations/20260101000000_notes/migration.sql
sed -i 's/^model Task {/&\\n  note String?/' prisma/schema.prisma
image 1.4.0 "if (String(process.argv[1]).endsWith('server.js')) setTimeout(() => { throw new Error('broken on purpose'); }, 500);"
image 1.5.0 ''
sed -i 's/^model Task {/&\\n  owner String?/' prisma/schema.prisma
image 1.6.0 ''
mkdir prisma/migrations/20260102000000_owners
echo 'ALTER TABLE "Task" ADD COLUMN "owner" TEXT; SELECT 1 / 0;' >prisma/migrations/20260102000000_owners/migration.sql
image 1.7.0 ''
""".replace("NPX", (ROOT / "tests" / "stubs" / "prisma" / "npx").read_text(encoding="utf-8"))
PSQL = "docker exec lifeplatform-database-1 psql -XqAt -U postgres -d production_db -c"
COLUMNS = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'note'"
NOTES = f'{PSQL} "{COLUMNS}"; {PSQL} "SELECT count(*) FROM _prisma_migrations"'  # noqa: S608  # our own words
FAILED = f'{PSQL} "SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL"'  # noqa: S608  # the same
SLOTS = "docker ps --format '{{.Label \"com.docker.compose.project\"}}' | grep -x 'lifeplatform-app-[a-z]*'"
LEFT = "docker ps -aq --filter label=com.docker.compose.project=app-migration; ls /var/lib/runbook-ops/deploy/app | grep migration || true"
NO_BACKUP = ("-e", "database_migration_accept_no_backup=it is a test")
AS_BEFORE = f"""
touch /root/load.end
{as_before("lifeplatform", "app", "/srv/lifeplatform/docker-compose.prod.yml")}
docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | grep -E 'your-registry/app:v1[.][3-9][.]0' | xargs -r docker rmi -f
rm -rf /root/images /root/load.*
{PSQL} "DELETE FROM _prisma_migrations WHERE migration_name LIKE '2026%'"
{PSQL} 'ALTER TABLE "Task" DROP COLUMN IF EXISTS "note", DROP COLUMN IF EXISTS "half"'
"""  # noqa: S608  # our own words
USERS = (
    "setsid python3 /root/load.py 127.0.0.1:443 --tls --host your-domain.com --path /api/version --rate 8 --slow 0 --websockets 0 \
  --requests 300 --seconds 3000 --end /root/load.end >/root/load.json 2>/root/load.err </dev/null &"
)
TOLD = "touch /root/load.end; for n in $(seq 400); do ! pgrep -f /root/load.py >/dev/null || sleep 0.1; done; cat /root/load.json"


def serves(host: Host) -> str:
    """Return the version that users get."""
    return str(json.loads(host.asked("your-domain.com", "/api/version"))["version"])


@pytest.fixture(params=[name for name in NAMES if name.removeprefix("demo-") == "lifeplatform"])
def platform(request: pytest.FixtureRequest) -> Iterator[Host]:
    host = Host.up(request.param)
    host(IMAGES)
    host(f"cat >/root/load.py <<'END'\n{(ROOT / 'tests/load/load.py').read_text()}\nEND")
    yield host
    host(AS_BEFORE, check=False)


def scaled(host: Host, number: int) -> Outcome:
    """Scale it, whatever the memory of this machine is."""
    wish = {"service_name": "app", "service_state": "scaled", "service_replicas": number, "service_beyond_room": True}
    return host.play("service", "-e", json.dumps(wish))


def three_instances_get_requests(host: Host) -> None:
    beyond = scaled(host, 4)
    assert "app cannot have 4 instances: ops_services allows" in beyond.text, beyond.text
    done = scaled(host, 3)
    assert done.code == 0, done.text
    ((slot, _containers),) = Counter(host(SLOTS).split()).most_common(1)  # the one before stands by, with fewer
    before = host.connections(slot, slot)
    assert len(before) == 3, before
    host(
        "for n in $(seq 90); do curl -sk -o /dev/null --resolve your-domain.com:443:127.0.0.1 https://your-domain.com/api/version; done"
    )
    after = host.connections(slot, slot)
    assert all(after[name] - taken >= 10 for name, taken in before.items()), f"each gets its share: {before}, {after}"
    again = scaled(host, 3)
    assert again.code == 0, again.text
    assert host.connections(slot, slot).keys() == before.keys()
    assert scaled(host, 2).code == 0
    assert len(host.connections(slot, slot)) == 2


def what_the_schema_lacks_and_a_failed_migration(host: Host) -> None:
    lacks = host.play("deploy", "-e", "deploy_version=v1.6.0")
    assert lacks.code != 0
    assert "the schema of production_db lacks what the release expects" in lacks.text, lacks.text
    assert serves(host) == "1.5.0"

    failed = host.play("deploy", "-e", "deploy_version=v1.7.0", *NO_BACKUP)
    assert failed.code != 0
    assert "division by zero" in failed.text, failed.text
    assert serves(host) == "1.5.0"
    host(f'{PSQL} \'ALTER TABLE "Task" ADD COLUMN "half" TEXT\'')  # what one that is no transaction would have left
    mark = (
        "-e",
        "restore_database=production_db",
        "-e",
        "restore_migration_by=resolve",
        "-e",
        "restore_migration=20260102000000_owners",
    )
    left = host.play("database_rollback", *mark, "--check")
    assert 'ALTER TABLE "Task" DROP COLUMN "half"' in left.text, left.text
    asked = host.play("database_rollback", *mark)
    assert "Nothing was touched. 20260102000000_owners (failed) would be marked" in asked.text, asked.text
    assert host(FAILED).strip() == "1"

    host(f'{PSQL} \'ALTER TABLE "Task" DROP COLUMN "half"\'')
    confirmed = (*mark, "-e", "restore_confirm=production_db")
    done = host.play("database_rollback", *confirmed)
    assert done.code == 0, done.text
    assert "it is what the release expects" in done.text, done.text
    assert host(FAILED).strip() == "0"
    assert host.play("database_rollback", *confirmed).code == 0, "a second time there is nothing to do"
    succeeded = host.play("database_rollback", *confirmed, "-e", "restore_migration=20260101000000_notes")
    assert "20260101000000_notes has succeeded" in succeeded.text, succeeded.text
    assert host(LEFT) == ""


def test_nobody_notices_deploys_of_containers_bad_versions_killed_controllers_and_the_way_back(platform: Host) -> None:
    host = platform
    done = host.play("deploy", "-e", "deploy_version=v1.3.0")
    assert done.code == 0, done.text
    assert serves(host) == "1.3.0"
    host(USERS)

    again = host.play("deploy", "-e", "deploy_version=v1.3.0", "--check")
    assert again.code == 0, again.text
    assert "predicted change" not in again.text

    # It brings a migration: without a way back nothing is applied, and it is not even started.
    assert host(NOTES).split() == ["0", "2"]
    refused = host.play("deploy", "-e", "deploy_version=v1.4.0")
    assert refused.code != 0
    assert "proven backup of the database" in refused.text, refused.text
    assert host(NOTES).split() == ["0", "2"]

    failed = host.play("deploy", "-e", "deploy_version=v1.4.0", *NO_BACKUP)
    assert failed.code != 0
    assert "serves as before" in failed.text
    assert "broken on purpose" in failed.text
    assert serves(host) == "1.3.0"
    assert host(NOTES).split() == ["1", "3"], "a container of the new image applies it before the release starts"
    assert host(LEFT) == ""

    kill_stopped(host.command("deploy", "-e", "deploy_version=v1.5.0"), host, "live:linked")
    assert serves(host) in ("1.3.0", "1.5.0")
    finished = host.play("deploy", "-e", "deploy_version=v1.5.0")
    assert finished.code == 0, finished.text
    assert serves(host) == "1.5.0"
    well = host.play("health_check", "-e", '{"health_topics": ["services"]}')
    assert well.code == 0, well.text

    three_instances_get_requests(host)
    what_the_schema_lacks_and_a_failed_migration(host)

    # What a person brought up had the first slot's port, which the bad version took; its definition is known, so it starts anew.
    first = re.findall(r"adopted-[0-9a-f]+", host("ls /var/lib/runbook-ops/deploy/app/releases"))[0]
    home = host.play("rollback", "-e", f"rollback_version={first}")
    assert home.code == 0, home.text
    assert serves(host) == "1.2.3"

    told = json.loads(host(TOLD))
    assert told["requests"] >= 300
    assert told["failed"] == 0, told
    assert set(told["versions"]) == {"1.3.0", "1.5.0", "1.2.3"}
