# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys through Compose on a real server, two containers behind a balancer, with users who ask all the time and notice nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ._kill import kill_stopped
from ._matrix import HOSTS, NAMES, ROOT
from .conftest import Outcome

QUICK = {"ops_deployment": {"watch": "3s", "rollback_slowdown_percent": 2000}}
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
image 1.4.0 "if (String(process.argv[1]).endsWith('server.js')) setTimeout(() => { throw new Error('broken on purpose'); }, 500);"
image 1.5.0 ''
""".replace("NPX", (ROOT / "tests" / "stubs" / "prisma" / "npx").read_text(encoding="utf-8"))
PSQL = "docker exec lifeplatform-database-1 psql -XqAt -U postgres -d production_db -c"
COLUMNS = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'note'"
NOTES = f'{PSQL} "{COLUMNS}"; {PSQL} "SELECT count(*) FROM _prisma_migrations"'  # noqa: S608  # our own words
LEFT = "docker ps -aq --filter label=com.docker.compose.project=app-migration; ls /var/lib/runbook-ops/deploy/app | grep migration || true"
NO_BACKUP = ("-e", "database_migration_accept_no_backup=it is a test")
AS_BEFORE = """
touch /root/load.end
rm -rf /etc/nginx && mv /root/nginx.before /etc/nginx && systemctl reload nginx
systemctl stop 'runbook-ops-live-*' 2>/dev/null
rm -rf /var/lib/runbook-ops/deploy /run/runbook-ops/deploy /etc/tmpfiles.d/runbook-ops-live* /etc/systemd/system/runbook-ops-live*
rm -rf /etc/systemd/system/*.wants/runbook-ops-live*; systemctl daemon-reload
for slot in blue green; do
  docker ps -aq --filter label=com.docker.compose.project=lifeplatform-app-$slot | xargs -r docker rm -f
  docker network ls -q --filter label=com.docker.compose.project=lifeplatform-app-$slot | xargs -r docker network rm
done
docker compose --progress quiet --file /srv/lifeplatform/docker-compose.prod.yml up --detach --wait
docker images --format '{{.Repository}}:{{.Tag}}' | grep -E 'your-registry/app:v1[.][345][.]0' | xargs -r docker rmi -f
rm -rf /root/images /root/load.*
PSQL "DELETE FROM _prisma_migrations WHERE migration_name = '20260101000000_notes'"
PSQL 'ALTER TABLE "Task" DROP COLUMN IF EXISTS "note"'
""".replace("PSQL", PSQL)
USERS = (
    "setsid python3 /root/load.py 127.0.0.1:443 --tls --host your-domain.com --path /api/version --rate 8 --slow 0 --websockets 0 \
  --requests 300 --seconds 3000 --end /root/load.end >/root/load.json 2>/root/load.err </dev/null &"
)
VERSION = "curl -sk --resolve your-domain.com:443:127.0.0.1 https://your-domain.com/api/version"
TOLD = "touch /root/load.end; for n in $(seq 400); do ! pgrep -f /root/load.py >/dev/null || sleep 0.1; done; cat /root/load.json"


@dataclass(frozen=True)
class Host:
    name: str
    inventory: str

    def __call__(self, script: str, *, check: bool = True) -> str:
        command = [sys.executable, str(HOSTS), "ssh", self.name, "sudo", "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=300, check=False)
        if check and done.returncode:
            raise AssertionError(f"on {self.name}: {done.stderr}")
        return done.stdout

    def command(self, playbook: str, *options: str) -> list[str]:
        where = ["-i", "inventories/lifeplatform", "-i", self.inventory]
        return ["ansible-playbook", f"playbooks/{playbook}.yml", *where, "-e", json.dumps(QUICK), *options]

    def play(self, playbook: str, *options: str) -> Outcome:
        environment = os.environ | {"NO_COLOR": "1"}
        done = subprocess.run(
            self.command(playbook, *options),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def serves(self) -> str:
        """Return the version that users get."""
        return str(json.loads(self(VERSION))["version"])


@pytest.fixture(params=[name for name in NAMES if name.removeprefix("demo-") == "lifeplatform"])
def platform(request: pytest.FixtureRequest) -> Iterator[Host]:
    subprocess.run([sys.executable, str(HOSTS), "up", request.param], check=True)
    asked = [sys.executable, str(HOSTS), "inventory", request.param]
    host = Host(request.param, subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    host(IMAGES)
    host(f"cat >/root/load.py <<'END'\n{(ROOT / 'tests/load/load.py').read_text()}\nEND")
    yield host
    host(AS_BEFORE, check=False)


def test_nobody_notices_deploys_of_containers_bad_versions_killed_controllers_and_the_way_back(platform: Host) -> None:
    host = platform
    done = host.play("deploy", "-e", "deploy_version=v1.3.0")
    assert done.code == 0, done.text
    assert host.serves() == "1.3.0"
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
    assert host.serves() == "1.3.0"
    assert host(NOTES).split() == ["1", "3"], "a container of the new image applies it before the release starts"
    assert host(LEFT) == ""

    kill_stopped(host.command("deploy", "-e", "deploy_version=v1.5.0"), host, "live:linked")
    assert host.serves() in ("1.3.0", "1.5.0")
    finished = host.play("deploy", "-e", "deploy_version=v1.5.0")
    assert finished.code == 0, finished.text
    assert host.serves() == "1.5.0"
    well = host.play("health_check", "-e", '{"health_topics": ["services"]}')
    assert well.code == 0, well.text

    # What a person brought up had the first slot's port, which the bad version took; its definition is known, so it starts anew.
    first = re.findall(r"adopted-[0-9a-f]+", host("ls /var/lib/runbook-ops/deploy/app/releases"))[0]
    home = host.play("rollback", "-e", f"rollback_version={first}")
    assert home.code == 0, home.text
    assert host.serves() == "1.2.3"

    told = json.loads(host(TOLD))
    assert told["requests"] >= 300
    assert told["failed"] == 0, told
    assert set(told["versions"]) == {"1.3.0", "1.5.0", "1.2.3"}
