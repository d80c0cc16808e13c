# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recoveries on a host from nothing: what is refused, one that is killed, one that succeeds, and what is left of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import _recoveries
from ._kill import kill_at
from ._recoveries import BUCKET, KEYS, object_storage, on, up
from .conftest import HOSTS, ROOT, Host, Outcome

EMPTY = "drill-12"
OFFSITE = ROOT / "inventories" / "owlivion" / "group_vars" / "owlivion_offsite" / "main.yml"
TRACES = f"{_recoveries.TRACES}! command -v nft >/dev/null || nft list ruleset"


def on_empty(script: str) -> str:
    """Run a script on the host from nothing."""
    return on(EMPTY, script)


@pytest.fixture(scope="module")
def storage(host: Host) -> Iterator[str]:
    """Return the URL of object storage that both hosts reach."""
    with object_storage(host.name) as url:
        yield url


@dataclass(frozen=True)
class Drill:
    """A system whose backups are off its host, and a host from nothing."""

    host: Host
    described: dict[str, Any]
    placed: Path
    inventory: str  # says where the empty host is

    def command(self, playbook: str, **variables: Any) -> list[str]:
        told = json.dumps({**self.described, **variables})
        return [*self.host.command(playbook), "-i", str(self.placed), "-i", self.inventory, "-e", told]

    def play(self, playbook: str, *options: str, **variables: Any) -> Outcome:
        done = subprocess.run(
            [*self.command(playbook, **variables), *options],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def drill(host: Host, storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """Bring up an empty host, and back the system up to where its own host is not needed."""
    inventory = up(EMPTY, "--fresh")
    # Of an authority that every Debian trusts there would be nothing to copy.
    root = host("cat /usr/local/share/ca-certificates/acme-test-root.crt")
    on_empty(f"cat >/usr/local/share/ca-certificates/authority.crt <<'END'\n{root}END\nupdate-ca-certificates")
    found = re.search("postgres://owlivion:([^@]+)@", host("cat /home/owlivion/.pm2/dump.pm2"))
    assert found
    items = yaml.safe_load(OFFSITE.read_text(encoding="utf-8"))["ops_backups"]
    described = {
        "ops_buckets": [{"name": "far", "bucket": BUCKET, "endpoint": storage, **KEYS}],
        "ops_backups": [{**one, "directory": "/backups/far"} for one in items if one.get("offsite")],
        "ops_objectives": {"rto": "4h", "rpo": "24h"},
        "ops_records": {"host": "owlivion-1"},
        "vault_owlivion_database_password": found[1],
    }
    placed = tmp_path_factory.mktemp("drill") / "hosts.yml"
    placed.write_text(
        "owlivion_offsite: {hosts: {owlivion-1: }, children: {drill: {hosts: {drill-1: }}}}\n", encoding="utf-8"
    )
    made_so = Drill(host, described, placed, inventory)
    saved = made_so.play("backup", "--limit", "owlivion-1")
    assert saved.code == 0, saved.text
    yield made_so
    host("rm -rf /backups/far")
    subprocess.run([sys.executable, str(HOSTS), "down", EMPTY], check=True)


def test_a_drill_without_a_host_for_it_fails(drill: Drill) -> None:
    done = drill.host.play("disaster_recovery_drill", variables=drill.described)
    assert done.code != 0
    assert "There is no host in the group drill" in done.text


@pytest.mark.usefixtures("untouched")
def test_a_drill_where_the_system_itself_is_reached_is_refused(drill: Drill) -> None:
    at = json.loads("".join(drill.host.inventory.read_text(encoding="utf-8").splitlines(keepends=True)[2:]))
    own = at["all"]["hosts"]["owlivion-1"]
    done = drill.play("disaster_recovery_drill", **{key: own[key] for key in ("ansible_port", "ansible_user")})
    assert done.code != 0
    assert "drill-1 is reached where owlivion-1 is" in done.text


def test_a_host_in_use_is_refused_and_left_as_it_was(drill: Drill) -> None:
    on_empty("mkdir -p /home/owlivion/owlivion-mail && touch /home/owlivion/owlivion-mail/precious")
    before = on_empty(TRACES)
    try:
        done = drill.play("disaster_recovery_drill")
        assert on_empty(TRACES) == before
    finally:
        on_empty("rm -r /home/owlivion")
    assert done.code != 0
    assert "this host is in use, and nothing was touched: /home/owlivion/owlivion-mail is there" in done.text


def test_storage_without_a_copy_is_refused_before_anything_is_installed(drill: Drill) -> None:
    before = on_empty(TRACES)
    gone = [{**drill.described["ops_buckets"][0], "prefix": None}]
    elsewhere = [{**one, "offsite": {"bucket": "far", "prefix": "other"}} for one in drill.described["ops_backups"]]
    done = drill.play("disaster_recovery_drill", ops_buckets=gone, ops_backups=elsewhere)
    assert done.code != 0
    assert "no complete copy of daily, configuration-files off the host" in done.text
    assert on_empty(TRACES) == before


def test_what_would_not_come_back_is_named(drill: Drill) -> None:
    lacking = [one for one in drill.described["ops_backups"] if one["name"] != "configuration"]
    done = drill.play("disaster_recovery_drill", ops_backups=lacking)
    assert done.code != 0
    assert "no item of ops_backups with offsite holds /home/owlivion/owlivion-mail/owlivion-sync-server" in done.text


@pytest.mark.usefixtures("untouched")
def test_after_a_killed_drill_the_next_one_recovers_everything_and_leaves_nothing(drill: Drill) -> None:
    before = on_empty(TRACES)
    users = drill.host.sql("SELECT count(*) FROM users")
    kill_at(drill.command("disaster_recovery_drill"), "Restore it, give it its name", after_seconds=2)
    left = on_empty("nft list table inet runbook_ops_drill; cat /var/lib/runbook-ops/recovery/journal.json; ls /home")
    assert "admin-prohibited" in left
    assert '"drill": true' in left
    assert "owlivion" in left
    done = drill.play("disaster_recovery_drill")
    assert done.code == 0, done.text
    assert on_empty(TRACES) == before
    record = drill.host.records()[-1]
    assert (record["playbook"], record["status"]) == ("disaster_recovery_drill", "ok")
    found = {check["id"]: check for check in record["checks"] if check["host"] == "drill-1"}
    assert 0 < found["recovery:rto"]["value"] < found["recovery:rto"]["limit"] == 4 * 3600
    assert 0 < found["recovery:rpo"]["value"] < found["recovery:rpo"]["limit"] == 24 * 3600
    assert len([one for one in found if one.startswith("recovery:step:")]) == 7
    assert {"ok"} == {check["status"] for name, check in found.items() if name.startswith("http:")}
    assert drill.host.sql("SELECT count(*) FROM users") == users
    assert drill.host.sql("SELECT count(*) FROM sync_data WHERE data_type = 'drill'") == "0"
    secrets = (drill.described["vault_owlivion_database_password"], KEYS["secret_key"])
    assert [one for one in secrets if one in json.dumps(record) + done.text] == []


@pytest.mark.usefixtures("untouched")
def test_a_test_restore_that_would_lose_more_than_is_promised_fails_and_leaves_nothing(drill: Drill) -> None:
    databases = drill.host.sql("SELECT string_agg(datname, ' ' ORDER BY 1) FROM pg_database")
    done = drill.play("test_restore", "--limit", "owlivion-1", ops_objectives={"rpo": "1s"})
    assert done.code != 0
    assert re.search(r"critical +recovery point", done.text)
    assert "promised are at most 1s" in done.text
    assert drill.host.sql("SELECT string_agg(datname, ' ' ORDER BY 1) FROM pg_database") == databases
    assert drill.host("ls -d /var/lib/runbook-ops/test-restore || true").strip() == ""
