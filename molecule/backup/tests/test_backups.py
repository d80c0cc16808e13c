# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup holds what the database held, is proven, and lies in the bucket as well."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

DIRECTORY = "/home/deploy/newsletter/backups"
COUNT = "docker exec newsletter-postgres-1 psql -U newsletter -d newsletter -XqAtc 'SELECT count(*) FROM %s'"


@pytest.fixture(scope="module")
def backup(host: Host) -> str:
    """Return the directory of the only backup that was made."""
    found: str = host.check_output(f"ls -d {DIRECTORY}/daily_*Z")
    assert len(found.split()) == 1
    return found


@pytest.fixture(scope="module")
def manifest(host: Host, backup: str) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(host.file(f"{backup}/manifest.json").content_string)
    return described


def test_its_files_are_what_its_checksums_say(host: Host, backup: str) -> None:
    checked = host.run(f"cd {backup} && sha256sum --check --strict --quiet SHA256SUMS")
    assert (checked.rc, checked.stdout) == (0, "")


def test_nobody_else_may_read_it(host: Host, backup: str) -> None:
    assert host.file(backup).mode == 0o700
    assert set(host.check_output(f"find {backup} -type f -printf '%m '").split()) == {"600"}


def test_it_names_every_table_with_its_rows(host: Host, manifest: dict[str, Any]) -> None:
    named = "docker exec newsletter-postgres-1 psql -U newsletter -d newsletter -XqAtc %s"
    listed = host.check_output(
        named, "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    tables = manifest["content"]["tables"]
    assert set(tables) == set(listed.split())
    assert tables["public.email_events"] == int(host.check_output(COUNT, "public.email_events")) > 0


def test_it_was_restored_and_was_the_same(host: Host, backup: str) -> None:
    proof = json.loads(host.file(f"{backup}/verified.json").content_string)
    assert proof["drill"]["passed"] is True
    assert proof["drill"]["differences"] == []
    assert proof["identity"] == host.check_output(f"sha256sum <{backup}/SHA256SUMS").split()[0]


def test_the_test_restore_left_nothing_on_the_server(host: Host) -> None:
    listed = "docker exec newsletter-postgres-1 psql -U newsletter -d newsletter -XqAtc 'SELECT datname FROM pg_database ORDER BY 1'"
    assert host.check_output(listed).split() == ["newsletter", "postgres", "template0", "template1"]


def test_what_the_script_made_before_is_still_there(host: Host) -> None:
    assert host.check_output(f"ls {DIRECTORY} | grep -c sql.gz$") != "0"


def test_each_file_is_in_the_records_and_no_password_is(host: Host, backup: str) -> None:
    records = host.check_output("cat /var/lib/runbook-ops/runs/*.json")
    assert backup.rpartition("/")[2] in records
    secrets = json.loads(host.file("/etc/host-variables.json").content_string)
    values = [value for name, value in secrets.items() if any(word in name for word in ("password", "secret_key"))]
    assert values
    everything = records + host.check_output(f"cat {backup}/manifest.json {backup}/verified.json")
    assert [value for value in values if value in everything] == []
