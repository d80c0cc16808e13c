# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the morning checklist says of a host, held against the host itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host


@pytest.fixture(scope="module")
def report(host: Host) -> dict[str, Any]:
    """Return the report that the playbook wrote on the controller."""
    name = host.backend.hostname
    path = Path(os.environ["RUNBOOK_OPS_CACHE"]) / f"health-{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def checks(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in report["checks"]}


def test_a_healthy_host_raises_no_alarm(report: dict[str, Any]) -> None:
    assert report["status"] == "ok"
    assert {check["status"] for check in report["checks"]} == {"ok"}


def test_everything_that_the_checklist_names_is_looked_at(checks: dict[str, Any]) -> None:
    expected = {"nginx", "owlivion-sync-server", "public API", "owlivion.com", "Disk /", "Memory", "application"}
    assert expected <= checks.keys()
    assert any(name.startswith("postgresql@") for name in checks)


def test_the_use_of_the_disk_is_what_df_says(host: Host, checks: dict[str, Any]) -> None:
    used = int(host.check_output("df --output=pcent / | tail -n 1").strip(" %"))
    assert checks["Disk /"]["value"] == pytest.approx(used, abs=1.5)


def test_the_days_of_the_certificate_are_what_openssl_says(host: Host, checks: dict[str, Any]) -> None:
    days = int(checks["owlivion.com"]["value"])
    command = "openssl s_client -connect owlivion.com:443 -servername owlivion.com </dev/null 2>/dev/null | openssl x509 -noout -checkend %s"
    assert host.run(command, str((days - 1) * 86400)).rc == 0
    assert host.run(command, str((days + 1) * 86400)).rc == 1


def test_the_age_of_the_backup_is_that_of_the_newest_file(host: Host, checks: dict[str, Any]) -> None:
    newest = float(host.check_output("find /backups/daily -name 'backup_*' -printf '%T@\\n' | sort -n | tail -n 1"))
    assert checks["daily age"]["value"] == pytest.approx(
        time.time() - newest, abs=3600
    )  # of the report, on a busy machine


def test_nothing_is_left_on_the_host(host: Host) -> None:
    assert not host.file("/var/lib/runbook-ops").exists
