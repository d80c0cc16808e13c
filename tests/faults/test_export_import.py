# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of one tenant, and of one table, are lost on a real host and come back by the playbooks; all else stays as it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from ._matrix import HOSTS, NAMES, ROOT, Patient, systems

PROJECT = "/home/deploy/newsletter"
PRINT = """
SELECT 'tenants ' || md5(string_agg(t::text, ' ' ORDER BY id)) FROM tenants t
UNION ALL SELECT 'campaigns ' || md5(string_agg(t::text, ' ' ORDER BY id)) FROM campaigns t
UNION ALL SELECT 'email_events ' || md5(string_agg(t::text, ' ' ORDER BY id)) FROM email_events t
"""
LOSE_TENANT = """
DELETE FROM email_events USING campaigns c WHERE campaign_id = c.id AND tenant_id = 7;
DELETE FROM campaigns WHERE tenant_id = 7;
DELETE FROM tenants WHERE id = 7;
"""


class Newsletter(Patient):
    """The newsletter's host, whose database runs in a container."""

    def sql(self, sql: str) -> str:
        psql = (
            f"docker compose --project-directory {PROJECT} exec -T postgres psql -XqAt -v ON_ERROR_STOP=1 -U newsletter"
        )
        return self.run(f"{psql} <<'END'\n{sql}\nEND").strip()

    def play(self, playbook: str, *options: str, **variables: Any) -> tuple[int, str]:
        """Run a playbook to its end and return its exit code and what it said."""
        inventories = ("-i", "inventories/newsletter", "-i", self.inventory)
        done = subprocess.run(
            ["ansible-playbook", f"playbooks/{playbook}.yml", *inventories, "-e", json.dumps(variables), *options],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Newsletter:
    """Return the host; one of another system has no tenants."""
    name = NAMES[0]
    if "newsletter" not in name:
        pytest.skip("only the newsletter has tenants")
    subprocess.run([sys.executable, str(HOSTS), "up", name], check=True)
    asked = [sys.executable, str(HOSTS), "inventory", name]
    inventory = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return Newsletter(name, systems()["newsletter"], inventory, tmp_path_factory.mktemp("rows") / "report.json")


def test_a_tenant_that_was_deleted_comes_back_and_the_way_back_is_known(host: Newsletter) -> None:
    whole = host.sql(PRINT)
    code, text = host.play("export_data", data_export_database="newsletter", data_export_tenant=7)
    assert code == 0, text
    assert "public.email_events: 1000 (campaign_id in public.campaigns)" in text
    path = re.search(r"^\s+(/\S+/newsletter-export_\S+Z), ", text, re.MULTILINE)
    assert path, text
    wanted = {"data_import_database": "newsletter", "data_import_backup": path[1]}
    host.sql(LOSE_TENANT)
    lost = host.sql(PRINT)
    try:
        code, text = host.play("import_data", **wanted)
        assert (code != 0, host.sql(PRINT)) == (True, lost), text
        assert "run this again with -e data_import_confirm=newsletter" in text
        assert "public.campaigns: 15 missing" in text
        code, text = host.play("import_data", **wanted, data_import_confirm="newsletter")
        assert code == 0, text
        assert host.sql(PRINT) == whole
    finally:
        if host.sql(PRINT) != whole:
            host.play("import_data", **wanted, data_import_confirm="newsletter")
    way_back = re.search(r"data_import_backup=(/\S+)", text)
    assert way_back, text
    host.run(f"cd {way_back[1]} && sha256sum --check --quiet SHA256SUMS")
    host.run("rm -rf /var/backups/runbook-ops/exports /var/backups/runbook-ops/newsletter-before-import_*")


def test_a_table_comes_back_out_of_the_newest_proven_backup(host: Newsletter) -> None:
    whole = host.sql(PRINT)
    for playbook, options in (("backup", {}), ("verify_backups", {"backup_drill": "all"})):
        code, text = host.play(playbook, backup_names=["daily"], **options)
        assert code == 0, text
    host.sql("DELETE FROM email_events WHERE event_type = 'bounced'")
    changed = int(host.sql("UPDATE campaigns SET subject = 'written since' WHERE id = 1 RETURNING id"))
    wanted = {"data_import_database": "newsletter", "data_import_tables": ["email_events"]}
    code, text = host.play("restore_tables", **wanted, data_import_confirm="newsletter")
    assert code == 0, text
    assert "public.email_events: 5000 inserted" in text
    assert (changed, host.sql("SELECT subject FROM campaigns WHERE id = 1")) == (1, "written since")
    assert host.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%scratch%'") == "0"
    host.sql("UPDATE campaigns SET subject = 'Issue 1' WHERE id = 1")
    assert host.sql(PRINT) == whole
    host.run("rm -rf /var/backups/runbook-ops/newsletter-before-import_*")


def test_nothing_is_guessed(host: Newsletter) -> None:
    code, text = host.play("restore_tables", "--tags", "preflight", data_import_database="newsletter")
    assert (code != 0, "Say what is taken out of the backup" in text) == (True, True), text
