# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monthly maintenance with real updates pending: predicted, refused beside a backup, cut off, finished, restarted in order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import ROOT, Host, Outcome

UPDATES = Path(__file__).with_name("updates.sh").read_text(encoding="utf-8")
NAMES = "libssl3 libssl-dev nginx nginx-light"
NEW = "+runbook1"
APP = "owlivion-sync-server"
# Who serves, in the order in which they need each other, and since when.
RUNNING = rf"""
systemctl show -P MainPID 'postgresql@15-main.service'
runuser -u owlivion -- pm2 jlist | python3 -c 'import json, sys; print(*(a["pid"] for a in json.load(sys.stdin) if a["name"] == "{APP}"))'
systemctl show -P MainPID nginx
"""
BEGAN = "for pid in $({running}); do python3 -c \"print(open('/proc/$pid/stat').read().rpartition(')')[2].split()[19])\"; done"
OUTDATED = "grep -l 'lib\\(ssl\\|crypto\\).*(deleted)' /proc/[0-9]*/maps | cut -d/ -f3 | xargs -r ps -o comm= -p | grep -E 'postgres|nginx|node' || true"
# The module first, which would tidy up behind what it has started.
CUT = r"""
kill -KILL $(ps -o ppid= -p "$(pgrep --oldest --full 'timeout --kill-after')")
kill -KILL $(pgrep --full 'timeout --kill-after|apt-get|dpkg|libssl3.*postinst')
rm /srv/runbook-updates/wait
"""
RESTARTS = [("postgresql", "restarted"), (APP, "restarted"), ("nginx", "restarted")]


def monthly(host: Host, *options: str) -> Outcome:
    """Run the playbook, for as long as an installation takes on a machine that does other things too."""
    done = subprocess.run(
        [*host.command("monthly_maintenance"), "-e", '{"service_restarts_check_published": false}', *options],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def versions(host: Host) -> dict[str, str]:
    lines = host("dpkg-query --show --showformat='${Package} ${Version} ${db:Status-Status}\\n' " + NAMES).splitlines()
    return {name: f"{version} {status}" for name, version, status in (line.split() for line in lines)}


def running(host: Host) -> list[str]:
    return host(RUNNING).split()


def refused(host: Host) -> Outcome:
    """Run the playbook while something runs that is called as a backup is."""
    host("cp /bin/sleep /tmp/pg_dump; (setsid /tmp/pg_dump 3600 >/dev/null 2>&1 &)")
    try:
        return monthly(host)
    finally:
        host("kill $(pidof /tmp/pg_dump); rm /tmp/pg_dump")


def cut_off(host: Host) -> None:
    """Run the playbook until a package is being configured, and kill it and all that works there, as if the host had lost its power."""
    host("touch /srv/runbook-updates/wait")
    with subprocess.Popen(
        host.command("monthly_maintenance"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        while run.poll() is None and not host("ls /srv/runbook-updates/waits", check=False):
            time.sleep(1)
        assert run.poll() is None, "it ended before"
        os.killpg(run.pid, signal.SIGKILL)
    host(CUT)


# One after the other on the same host: to make updates takes longer than to install them.
@pytest.fixture(scope="module")
def pending(host: Host) -> Iterator[Host]:
    """Return a host with security updates of what all of its services run; one of the packages is on hold."""
    automatic = host("apt-mark showauto")
    host(UPDATES)
    yield host
    host("set -- away\n" + UPDATES)
    host(f"systemctl restart 'postgresql@*.service' nginx; runuser -u owlivion -- pm2 restart {APP} >/dev/null")
    assert host("apt-mark showauto") == automatic


def test_updates_and_the_restarts_that_follow_are_predicted_and_nothing_is_changed(pending: Host) -> None:
    before = versions(pending), running(pending)
    predicted = monthly(pending, "--check", "--diff")
    assert predicted.code == 0, predicted.text
    assert (versions(pending), running(pending)) == before
    updates = {(f"package {name}", "upgraded") for name in ("libssl3", "libssl-dev", "nginx")}
    assert predicted.table("Predicted changes") == updates | set(RESTARTS), predicted.text
    assert len(predicted.lines_with("restarted", "which an update replaces")) == len(RESTARTS), predicted.text


def test_nothing_is_installed_while_a_backup_runs_of_a_database_that_would_be_restarted(pending: Host) -> None:
    before = versions(pending), running(pending)
    outcome = refused(pending)
    assert outcome.code != 0
    assert outcome.lines_with("postgresql", "must not be restarted now", "pg_dump"), outcome.text
    assert pending.records()[-1]["changes"] == []
    assert (versions(pending), running(pending)) == before


def test_what_is_cut_off_in_the_middle_is_finished_by_the_next_run_and_services_follow_in_order(pending: Host) -> None:
    before, served, automatic = versions(pending), running(pending), pending("apt-mark showauto")
    cut_off(pending)
    assert any("half-configured" in text for text in versions(pending).values())

    done = monthly(pending)
    assert done.code == 0, done.text
    old = {name: text.split()[0] for name, text in before.items()}
    after = versions(pending)
    assert after == {name: f"{old[name]}{'' if name == 'nginx-light' else NEW} installed" for name in old}
    assert pending("apt-mark showauto") == automatic
    assert pending("ls /usr/sbin/policy-rc.d", check=False) == ""
    assert not set(served) & set(running(pending))
    assert pending(OUTDATED) == ""
    began = [int(ticks) for ticks in pending(BEGAN.format(running=RUNNING)).split()]
    assert began == sorted(began)

    record = [one for one in pending.records() if one["playbook"] == "monthly_maintenance"][-1]
    assert [(one["thing"], one["action"]) for one in record["changes"] if one["action"] == "restarted"] == RESTARTS
    checks = {check["id"]: check for check in record["checks"]}
    assert "libssl.so.3, replaced on disk since" in checks["pm2-daemon:owlivion"]["detail"], (
        "it is not restarted by the way"
    )
    assert (checks["updates:left-out"]["status"], checks["updates:left-out"]["detail"]) == (
        "warning",
        "nginx-light (held)",
    )
    assert (checks["reboot"]["status"], checks["reboot"]["detail"]) == ("warning", "asked for by libssl3")

    served = running(pending)
    again = monthly(pending)
    assert again.code == 0, again.text
    assert again.table("Changes") == set()
    assert (versions(pending), running(pending)) == (after, served)
