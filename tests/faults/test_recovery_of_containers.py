# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system of containers on a host from nothing: a drill that leaves nothing, then a recovery for real that is killed, and stands."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ._kill import kill_at
from ._matrix import HOSTS, ROOT
from ._recoveries import BUCKET, KEYS, TRACES, copy_images, object_storage, on, up
from .conftest import Outcome

LIVE, EMPTY = "lifeplatform", "drill-13"
IMAGES = ("postgres:17", "redis:8", "your-registry/app:v1.2.3")
# The names that Docker gives its own networks change with each start of it.
DOCKER = "docker ps -aq; docker volume ls -q; docker network ls -q --filter type=custom; docker images -q | sort\n"
EVERYTHING = f"{TRACES}\n{DOCKER}! command -v nft >/dev/null || nft list tables | grep runbook || true"
# What must not change where a system serves: which containers, since when, and what they hold.
SERVING = """
docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.State}}' | sort
docker inspect --format '{{.State.StartedAt}}' $(docker ps -q) | sort
find /srv/lifeplatform /etc/nginx /etc/letsencrypt -printf '%p %i %T@\\n' | sort
cat /etc/hosts
"""
TASKS = (
    """docker exec lifeplatform-database-1 psql -XqAt -U postgres -d production_db -c 'SELECT count(*) FROM "Task"'"""
)
KEY = "docker exec lifeplatform-redis-1 redis-cli get drill:proof"


@dataclass(frozen=True)
class Containers:
    """The system whose backups are off its host, and a host from nothing."""

    described: dict[str, Any]
    live: str  # the inventory that says where the system is
    empty: str  # and where the host from nothing
    groups: dict[str, Path]  # inventories that put that host into a group

    def command(self, playbook: str, group: str | None = None, **variables: Any) -> list[str]:
        places = ["inventories/lifeplatform", self.live, *([self.empty, str(self.groups[group])] if group else [])]
        given = [word for place in places for word in ("-i", place)]
        return [
            "ansible-playbook",
            f"playbooks/{playbook}.yml",
            *given,
            "-e",
            json.dumps({**self.described, **variables}),
        ]

    def play(self, playbook: str, group: str | None = None, **variables: Any) -> Outcome:
        return run(self.command(playbook, group, **variables))


def run(command: list[str]) -> Outcome:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_COLOR": "1"}, capture_output=True, text=True, timeout=1500, check=False
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """Back the system up to where its own host is not needed, and bring up an empty host that has its images."""
    live, empty = up(LIVE), up(EMPTY, "--fresh")
    copy_images(LIVE, EMPTY, *IMAGES)
    root = on(LIVE, "cat /usr/local/share/ca-certificates/acme-test-root.crt")
    on(EMPTY, f"cat >/usr/local/share/ca-certificates/authority.crt <<'END'\n{root}END\nupdate-ca-certificates")
    on(LIVE, "docker exec lifeplatform-redis-1 redis-cli set drill:proof 'from the backup'")
    groups = {name: tmp_path_factory.mktemp("recovery") / f"{name}.yml" for name in ("drill", "recovery")}
    for name, place in groups.items():
        place.write_text(f"lifeplatform_docker: {{children: {{{name}: {{hosts: {{drill-1: }}}}}}}}\n", encoding="utf-8")
    with object_storage(LIVE) as url:
        described = {
            **json.loads(on(LIVE, "cat /etc/host-variables.json")),  # the vault, which the host from nothing shares
            "ops_buckets": [{"name": "backups", "bucket": BUCKET, "endpoint": url, **KEYS}],
            "ops_records": {"host": "lifeplatform-1"},
        }
        made = Containers(described, live, empty, groups)
        saved = made.play("backup")
        assert saved.code == 0, saved.text
        yield made
    on(LIVE, "docker exec lifeplatform-redis-1 redis-cli del drill:proof; rm -rf /backups/daily_* /backups/host-*")
    subprocess.run(["python3", str(HOSTS), "down", EMPTY], check=True)


def test_a_drill_brings_all_of_it_back_cut_off_from_the_world_and_leaves_nothing(containers: Containers) -> None:
    before, tasks = on(EMPTY, EVERYTHING), on(LIVE, TASKS)
    done = containers.play("disaster_recovery_drill", "drill", disaster_recovery_keep=True)
    assert done.code == 0, done.text
    assert (on(EMPTY, TASKS), on(EMPTY, KEY)) == (tasks, "from the backup\n")
    assert json.loads(on(EMPTY, "curl -sf https://your-domain.com/health"))["status"] == "ok"
    asked = f'fetch("{containers.described["ops_buckets"][0]["endpoint"]}").then(() => 9, (error) => console.log(error.cause.code))'
    assert on(EMPTY, f"docker exec lifeplatform-app-1 node -e '{asked}'").strip() in ("ECONNREFUSED", "EHOSTUNREACH")
    record = json.loads(on(LIVE, "cat /var/lib/runbook-ops/runs/*.json").splitlines()[-1])
    found = {check["id"]: check for check in record["checks"] if check["host"] == "drill-1"}
    assert 0 < found["recovery:rto"]["value"] < found["recovery:rto"]["limit"] == 4 * 3600
    assert 0 < found["recovery:rpo"]["value"] < found["recovery:rpo"]["limit"] == 24 * 3600
    assert len([one for one in found if one.startswith("recovery:step:")]) == 8
    assert found["prisma:production_db"]["status"] == "ok"
    cleaned = run([*_ad_hoc(containers), "-m", "runbook.ops.recovery_host", "-a", "system=lifeplatform state=absent"])
    assert cleaned.code == 0, cleaned.text
    assert on(EMPTY, EVERYTHING) == before


def test_a_recovery_for_real_that_is_killed_goes_on_and_stands(containers: Containers) -> None:
    plan = containers.play("disaster_recovery", "recovery")
    assert plan.code != 0
    assert "Nothing was touched" in plan.text
    told = {
        "disaster_recovery_confirm": "drill-1",
        "disaster_recovery_accept_unproven": "all that is left",
        "ops_records": {},
    }
    kill_at(containers.command("disaster_recovery", "recovery", **told), "redis | Restore it", after_seconds=1)
    done = containers.play("disaster_recovery", "recovery", **told)
    assert done.code == 0, done.text
    assert (on(EMPTY, TASKS), on(EMPTY, KEY)) == (on(LIVE, TASKS), "from the backup\n")
    assert on(EMPTY, "grep -c your-domain.com /etc/hosts || true").strip() == "0"
    assert on(EMPTY, "ls /var/lib/runbook-ops; find / -xdev -name '*.before-*' -path '*lifeplatform*'").split() == [
        "change",
        "runs",
    ]
    assert (
        json.loads(on(EMPTY, "curl -sf --resolve your-domain.com:443:127.0.0.1 https://your-domain.com/health"))[
            "status"
        ]
        == "ok"
    )


def test_a_host_that_serves_is_refused_and_goes_on_serving(containers: Containers) -> None:
    before = on(EMPTY, SERVING)
    for playbook, group in (("disaster_recovery", "recovery"), ("disaster_recovery_drill", "drill")):
        done = containers.play(playbook, group, disaster_recovery_confirm="drill-1")
        assert done.code != 0
        assert "this host is in use, and nothing was touched" in done.text
    assert on(EMPTY, SERVING) == before


def _ad_hoc(containers: Containers) -> list[str]:
    return ["ansible", "drill-1", "--become", "-i", containers.empty]
