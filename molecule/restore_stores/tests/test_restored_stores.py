# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis, MongoDB and nginx have what they had, who uses them works, and what was live before is kept."""

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


def counts(host: Host, secrets: dict[str, str]) -> dict[str, Any]:
    script = (
        "import sys; from urllib.parse import quote_plus; from pymongo import MongoClient; "
        "c = MongoClient('mongodb://admin:' + quote_plus(sys.argv[1]) + '@127.0.0.1:27017/?directConnection=true'); "
        "d = c.plugspace; import json; "
        "print(json.dumps({n: d[n].count_documents({}) for n in d.list_collection_names()} | {'@': c.list_database_names()}))"
    )
    asked = host.check_output(
        "/opt/secantusdb/bin/python -c %s %s", script, secrets["vault_plugspace_mongodb_admin_password"]
    )
    found: dict[str, Any] = json.loads(asked)
    return found


def test_every_document_is_back_and_what_was_live_is_kept_beside(host: Host, secrets: dict[str, str]) -> None:
    found = counts(host, secrets)
    assert found["users"] == 200 and "stray" not in found
    kept = {name.partition(".before-")[0]: number for name, number in found.items() if ".before-" in name}
    assert (kept["users"], kept["stray"]) == (0, 1)
    assert not [name for name in found if ".restored-" in name or ".failed-" in name]
    assert not [name for name in found["@"] if name.startswith("runbook_ops_drill")]


def test_all_restores_are_finished_and_nothing_is_left_stopped(journals: dict[str, dict[str, Any]]) -> None:
    assert set(journals) == {"sessions@redis.json", "state@files.json", "plugspace@mongodb.json"}
    for entry in journals.values():
        assert (entry["stage"], entry["open"], entry["closed"], entry["writers"]) == ("swapped", False, False, [])


def test_what_was_live_before_is_kept(host: Host, journals: dict[str, dict[str, Any]]) -> None:
    kept = [one["path"] for entry in journals.values() for one in entry["kept"]]
    assert [host.file(path).exists for path in kept if path.startswith("/")] == [True, True]
    assert "nonsense" in host.file(next(path for path in kept if path.startswith(SITE))).content_string
    assert host.run("ls -d /var/backups/runbook-ops/sessions-before-restore_*Z").rc == 0


def test_no_secret_is_in_the_records(host: Host, secrets: dict[str, str]) -> None:
    told = host.check_output(f"cat /var/lib/runbook-ops/runs/*.json {JOURNALS}/*.json")
    assert [value for value in secrets.values() if value in told] == []
