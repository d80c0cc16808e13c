# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor as it stands on a host."""

from __future__ import annotations

import json
import time

from testinfra.host import Host

STATE = "/var/lib/runbook-ops/monitor/state.json"
UNIT = "runbook-ops-monitor"


def test_the_timer_comes_back_after_a_reboot_and_runs(host: Host) -> None:
    timer = host.service(f"{UNIT}.timer")
    assert timer.is_enabled
    assert timer.is_running


def test_it_looks_every_five_minutes(host: Host) -> None:
    ask = f'date +%s --date="$(systemctl show {UNIT}.timer --property=NextElapseUSecRealtime --value)"'
    assert -10 <= int(host.check_output(ask)) - time.time() <= 320


def test_it_has_looked_and_found_nothing(host: Host) -> None:
    state = json.loads(host.file(STATE).content_string)
    assert state["status"] == "ok", state["msg"]
    assert len(state["last"]) > 20


def test_secrets_and_memory_are_for_root_only(host: Host) -> None:
    for path in ("/etc/runbook-ops/monitor.json", "/etc/runbook-ops/monitor.secrets.json", STATE):
        assert (host.file(path).mode, host.file(path).user) == (0o600, "root")


def test_it_is_confined(host: Host) -> None:
    told = host.check_output(f"systemd-analyze security --no-pager {UNIT}.service | tail -n 1")
    assert float(told.split("service: ")[1].split()[0]) < 5


def test_a_run_costs_little(host: Host) -> None:
    began = time.monotonic()
    assert host.run(f"systemctl start {UNIT}.service").rc == 0
    assert time.monotonic() - began < 30  # five, where nothing else is done on the machine
