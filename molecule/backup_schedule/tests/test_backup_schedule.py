# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup jobs as they stand on a host, and what they make of it without a controller."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

UNIT = "runbook-ops-backup@{}"
JOBS = ("daily", "weekly")


@pytest.mark.parametrize("name", JOBS)
def test_the_timer_comes_back_after_a_reboot_runs_and_makes_up_for_a_night(host: Host, name: str) -> None:
    timer = host.service(f"{UNIT.format(name)}.timer")
    assert timer.is_enabled
    assert timer.is_running
    assert host.check_output(f"systemctl show {UNIT.format(name)}.timer --property=Persistent --value") == "yes"


@pytest.mark.parametrize("name", JOBS)
def test_a_run_makes_a_backup_that_is_verified_and_says_so(host: Host, name: str) -> None:
    before = set(host.file(f"/backups/{name}").listdir())
    assert host.run(f"systemctl start {UNIT.format(name)}.service").rc == 0
    (made,) = {one for one in set(host.file(f"/backups/{name}").listdir()) - before if not one.startswith(".")}
    backup = f"/backups/{name}/{made}"
    assert host.run(f"cd {backup} && sha256sum --check --strict --quiet SHA256SUMS").rc == 0
    assert json.loads(host.file(f"{backup}/manifest.json").content_string)["content"]["tables"]["public.users"] > 0
    assert json.loads(host.file(f"{backup}/verified.json").content_string)["files"]
    assert f"{name} backup completed: {made}" in host.file("/var/log/owlivion-backup.log").content_string


KILL = """
systemctl start --no-block {unit}
for n in $(seq 1200); do ls -d /backups/daily/*.partial && break; sleep 0.05; done
systemctl kill --signal=KILL --kill-who=all {unit}
for n in $(seq 1200); do systemctl show {unit} --property=ActiveState --value | grep -E 'failed|inactive' && break; sleep 0.1; done
"""
WHOLE = "for name in /backups/daily/daily_*Z; do (cd $name && sha256sum --check --strict --quiet SHA256SUMS) || exit 1; done"


def test_a_run_that_is_killed_leaves_nothing_that_looks_like_a_backup_and_is_not(host: Host) -> None:
    unit = f"{UNIT.format('daily')}.service"
    host.run(KILL.format(unit=unit))
    assert host.run(WHOLE).rc == 0
    assert host.run(f"systemctl start {unit}").rc == 0
    assert host.run(WHOLE).rc == 0
    assert host.run("ls -d /backups/daily/*.partial").rc != 0


def test_the_line_of_cron_that_did_the_same_is_retired_and_no_other(host: Host) -> None:
    lines = host.check_output("crontab -l -u owlivion").splitlines()
    (retired,) = [line for line in lines if line.startswith("# runbook.ops backs up instead: ")]
    assert retired.endswith("/backup.sh")
    assert [line for line in lines if line.endswith("/healthcheck.sh") and not line.startswith("#")]


def test_what_is_done_and_its_secrets_are_for_root_only(host: Host) -> None:
    for path in ("/etc/runbook-ops/backup.json", "/etc/runbook-ops/backup.secrets.json"):
        assert (host.file(path).mode, host.file(path).user) == (0o600, "root")
