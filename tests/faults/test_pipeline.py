# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys on a real server, with users who ask all the time: by a pipeline and by hand, good and bad ones, killed, looked at first, and back."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ._deploys import ANSWER, STATE, USER, VERSION, kept
from ._kill import kill_stopped
from ._pipeline import Pipeline
from .conftest import ROOT, Host

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "versions"))
from versions import KINDS, stream

# The repository of the pipeline takes the place of the one on the Internet, and a directory that of the monitor.
REPOSITORY = """
runuser -u owlivion -- git config --global url.{url}.insteadOf https://github.com/babafpv/owlivion-mail
mkdir -p -m 0700 /var/lib/runbook-ops/monitor
"""

# The first is applied already: it would fail.
MIGRATIONS = {
    "001_begin.sql": "CREATE TABLE users (id integer);\n",
    "002_notes.sql": "CREATE TABLE deploy_notes (note text);\n",
}
MORE = {"003_more.sql": "ALTER TABLE deploy_notes ADD COLUMN noted_at timestamptz;\n"}
VERSIONS = [
    ("1.0.0", "good", {}),
    ("1.1.0", "throws-after-a-while", {}),
    ("1.2.0", "good", {"003_half.sql": "CREATE TABLE deploy_half (id integer);\nSELECT 1 / 0;\n"}),
    ("1.3.0", "good", {"003_drop.sql": "DROP TABLE deploy_notes;\n"}),
    ("1.4.0", "good", MORE),
    ("1.5.0", "good", MORE),
]


def versions() -> str:
    made = []
    for number, kind, more in VERSIONS:
        files = {f"deployment/migrations/{name}": sql for name, sql in {**MIGRATIONS, **more}.items()}
        made.append((number, KINDS[kind]._replace(files=files)))
    return stream(made, "owlivion-sync-server")


# What is other than in the inventory: watches that are short, and silence.
QUICK = {"watch": "4s", "hotfix_watch": "3s", "rollback_slowdown_percent": 2000, "silence": "10m"}
NO_BACKUP = {"database_migration_accept_no_backup": "a test", "database_migration_baseline": "001_begin.sql"}


@pytest.fixture(scope="module")
def pipeline(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    inventories = [str(ROOT / "inventories/owlivion"), str(host.inventory)]
    made = Pipeline(tmp_path_factory.mktemp("pipeline"), inventories, {"ops_deployment": QUICK, **NO_BACKUP})
    made.write(versions())
    gateway = host("ip route show default").split()[2]
    with made.served(gateway) as url, kept(host, REPOSITORY.format(url=url)):
        yield made


@pytest.fixture(autouse=True)
def _users(host: Host, pipeline: Pipeline) -> Iterator[None]:
    """Have users ask all the time, and fail where one got a wrong answer."""
    del pipeline
    host(USER)
    yield
    asked, wrong, _ = host(f"rm /root/user.asks; {ANSWER}").split(maxsplit=2)
    assert int(asked) > 100
    assert int(wrong) == 0, host("cat /root/user.says")


def serves(host: Host) -> str:
    """Return the commit that users get."""
    return str(json.loads(host(VERSION))["commit"])


def table(host: Host, name: str) -> str:
    return host.sql(f"SELECT to_regclass('{name}')")


def no_backups() -> list[dict[str, Any]]:
    """Return the described backups, in a directory that holds none."""
    group = ROOT / "inventories" / "owlivion" / "group_vars" / "owlivion" / "main.yml"
    described = yaml.safe_load(group.read_text(encoding="utf-8"))["ops_backups"]
    return [{**one, "directory": "/srv/small/none"} for one in described]


def test_a_push_is_deployed_and_what_must_not_stay_ends_with_a_code_of_its_own(
    host: Host, pipeline: Pipeline, tmp_path: Path
) -> None:
    at_first = host(VERSION)
    refused = pipeline.run("deploy", "-e", "deploy_version=main")
    assert (refused["code"], refused["outcome"]) == (10, "refused"), refused  # nothing was pushed yet
    assert host(VERSION) == at_first

    done = pipeline.push("1.0.0")
    assert (done["code"], done["message"], done["changed"]) == (0, "", True), done
    assert done["hosts"]["owlivion-1"]["outcome"] == "promoted"
    assert {"start", "gate", "switch", "watch"} <= set(done["hosts"]["owlivion-1"]["seconds"])
    assert serves(host) == pipeline.commit("1.0.0")
    assert table(host, "deploy_notes") == "deploy_notes"

    again = pipeline.run("deploy", "-e", f"deploy_version={pipeline.commit('1.0.0')}")
    assert (again["code"], again["changed"], again["hosts"]["owlivion-1"]["outcome"]) == (0, False, "unchanged"), again

    bad = pipeline.push("1.1.0")
    assert (bad["code"], bad["outcome"]) == (11, "rolled_back"), bad
    assert "broken on purpose" in bad["message"]
    assert "serves as before" in bad["message"]
    assert host.records()[-1]["failure"]["message"] in bad["message"]

    half = pipeline.push("1.2.0")
    assert (half["code"], half["outcome"]) == (10, "refused"), half
    assert "division by zero" in half["message"]
    assert table(host, "deploy_half") == ""

    destroys = pipeline.push("1.3.0")
    assert destroys["code"] == 10, destroys
    assert "003_drop.sql" in destroys["message"]
    assert table(host, "deploy_notes") == "deploy_notes"

    pipeline.offer("1.4.0")
    no_backup = tmp_path / "no_backup.json"  # whatever backups the tests before this one have left
    no_backup.write_text(json.dumps({"ops_backups": no_backups(), "database_migration_accept_no_backup": ""}))
    unproven = pipeline.run("deploy", "-e", "deploy_version=1.4.0", "-e", f"@{no_backup}")
    assert unproven["code"] == 10, unproven
    assert "backup" in unproven["message"]

    nobody = pipeline.run("deploy", "-e", "deploy_version=main", "-e", "ansible_port=1")
    assert (nobody["code"], nobody["outcome"]) == (13, "not_reached"), nobody
    assert serves(host) == pipeline.commit("1.0.0")


def test_nobody_notices_a_killed_controller_a_release_that_is_looked_at_first_and_the_way_back(
    host: Host, pipeline: Pipeline
) -> None:
    pipeline.offer("1.4.0", "1.5.0")
    given = ["-e", json.dumps({"ops_deployment": QUICK, **NO_BACKUP}), "-e", "deploy_version=1.4.0"]
    kill_stopped([*host.command("deploy"), *given], host, "live:linked")

    # The requests go to it, so this finishes what was cut off, and leaves another release beside.
    pipeline.does("deploy", "-e", "deploy_version=1.5.0", "-e", "deploy_until=staged")
    assert serves(host) == pipeline.commit("1.4.0")
    beside = [host(f"curl -s http://localhost:{port}/api/v1/version") for port in (3000, 3001)]
    assert {json.loads(one)["commit"] for one in beside} == {pipeline.commit("1.4.0"), pipeline.commit("1.5.0")}
    pipeline.does("promote")
    assert serves(host) == pipeline.commit("1.5.0")

    pipeline.does("rollback")
    assert serves(host) == pipeline.commit("1.4.0")
    first = re.findall(r"adopted-[0-9a-f]+", host(f"ls {STATE}/releases"))[0]
    pipeline.does("rollback", "-e", f"rollback_version={first}")

    assert "unix:/run/runbook-ops/deploy" in host("nginx -T 2>/dev/null")
    pipeline.does("end_deploys")
    configuration = host("nginx -T 2>/dev/null")
    assert "runbook-ops/deploy" not in configuration
    assert "127.0.0.1:3001" in configuration, "the release that was adopted stands where 1.5.0 was"
    assert host("ls -d /run/runbook-ops/deploy/owlivion-sync-server/*.sock 2>/dev/null || true") == ""

    # The monitor was silenced, and speaks again.
    assert host("ls -A /var/lib/runbook-ops/monitor/silences") == ""
