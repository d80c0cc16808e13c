# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis and nginx have what they had, who uses them works, and what was live before is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

JOURNALS = "/var/lib/runbook-ops/restores"
SITE = "/etc/nginx/conf.d/plugspace.conf"


@pytest.fixture(scope="module")
def journals(host: Host) -> dict[str, dict[str, Any]]:
    names = host.file(JOURNALS).listdir()
    return {
        name: json.loads(host.file(f"{JOURNALS}/{name}").content_string) for name in names if name.endswith(".json")
    }


@pytest.fixture(scope="module")
def secrets(host: Host) -> dict[str, str]:
    known = json.loads(host.file("/etc/host-variables.json").content_string)
    return {name: value for name, value in known.items() if "password" in name}


def test_every_key_is_back(host: Host, secrets: dict[str, str]) -> None:
    asked = f"REDISCLI_AUTH={secrets['vault_plugspace_redis_password']} redis-cli get mark:%s"
    assert [host.check_output(asked, str(number)) for number in (1, 100)] == ["1", "100"]


def test_the_site_is_what_it_was_and_nginx_serves_it(host: Host) -> None:
    assert host.file(SITE).content == host.file("/root/plugspace.conf").content
    assert host.run("nginx -t").rc == 0
    assert host.run("curl --fail --silent --output /dev/null https://plugspace.io/api/health").rc == 0


def test_both_restores_are_finished_and_nothing_is_left_stopped(journals: dict[str, dict[str, Any]]) -> None:
    assert set(journals) == {"sessions@redis.json", "state@files.json"}
    for entry in journals.values():
        assert (entry["stage"], entry["open"], entry["closed"], entry["writers"]) == ("swapped", False, False, [])


def test_what_was_live_before_is_kept(host: Host, journals: dict[str, dict[str, Any]]) -> None:
    kept = [one["path"] for entry in journals.values() for one in entry["kept"]]
    assert [host.file(path).exists for path in kept] == [True, True]
    assert "nonsense" in host.file(next(path for path in kept if path.startswith(SITE))).content_string
    assert host.run("ls -d /var/backups/runbook-ops/sessions-before-restore_*Z").rc == 0


def test_no_secret_is_in_the_records(host: Host, secrets: dict[str, str]) -> None:
    told = host.check_output(f"cat /var/lib/runbook-ops/runs/*.json {JOURNALS}/*.json")
    assert [value for value in secrets.values() if value in told] == []
