# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor on a real host: sees what the checklist sees, tells once, and survives what it tells of."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ._matrix import admit
from .conftest import ROOT, Host

RECEIVER = ROOT / "tests" / "integration" / "targets" / "monitor" / "files" / "receiver.py"
SECRETS = ("planted-webhook-secret", "planted-mail-password")
VARIABLES: dict[str, Any] = {
    "ops_alerts": {
        "email": "ops@example.com",
        "smtp": {"host": "127.0.0.1", "port": 2525},
        "webhook": f"http://127.0.0.1:2580/services/{SECRETS[0]}",
        "after": 2,
        "clear": 2,
    },
    # Seldom enough that no look of the timer's own comes between those of a test.
    "ops_monitoring": {"interval": "12h"},
    # The tests share their machine, and its load is none of theirs.
    "ops_thresholds": {
        "load_per_cpu": {"warning": 1000, "critical": 1000},
        "cpu_percent": {"warning": 100, "critical": 100},
        "response_seconds": {"warning": 100},
    },
}
LEFT = """
ls -d /usr/local/lib/runbook-ops /etc/runbook-ops/monitor* /etc/systemd/system/runbook-ops-monitor* \
  /var/lib/runbook-ops/monitor /run/runbook-ops-monitor /var/lib/systemd/timers/*runbook* 2>/dev/null || true
"""


@dataclass(frozen=True)
class Monitored:
    """A host with the monitor on it, and receivers that remember."""

    host: Host

    def look(self, times: int = 1) -> None:
        self.host("systemctl start runbook-ops-monitor.service\n" * times)

    def told(self, by: str = "email") -> list[dict[str, str]]:
        """Return what a receiver got, in order."""
        lines = self.host("cat /run/receiver/got 2>/dev/null || true").splitlines()
        return [message for message in map(json.loads, lines) if message["by"] == by]

    def state(self) -> dict[str, Any]:
        return json.loads(self.host("cat /var/lib/runbook-ops/monitor/state.json"))


@pytest.fixture(scope="module")
def installed(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    admit(host.name, tmp_path_factory.mktemp("admitted"))  # what earlier tests left in the logs is none of these tests'
    script = base64.b64encode(RECEIVER.read_bytes()).decode()
    host(
        f"mkdir -p /run/receiver && rm -f /run/receiver/got\necho {script} | base64 -d >/run/receiver/receiver.py\n"
        "systemd-run --quiet --collect --unit=receiver python3 /run/receiver/receiver.py 2525 2580 /run/receiver/got\n"
        "timeout 60 sh -c 'until (: >/dev/tcp/127.0.0.1/2580) 2>/dev/null; do sleep 0.1; done' || true"
    )
    outcome = host.play("install_monitoring", variables=VARIABLES)
    assert outcome.code == 0, outcome.text
    yield Monitored(host)
    outcome = host.play("install_monitoring", variables={**VARIABLES, "monitoring_state": "absent"})
    host("systemctl stop receiver; rm -rf /run/receiver")
    assert outcome.code == 0, outcome.text


@pytest.fixture
def monitored(installed: Monitored) -> Monitored:
    """Return a monitor that has nothing to tell, and receivers that have got nothing yet."""
    for _look in range(10):
        installed.look()
        if installed.state()["checks"] == {}:
            break
    else:
        pytest.fail(f"{installed.host.name} is ill before the test begins: {installed.state()['checks']}")
    installed.host("rm -f /run/receiver/got")
    return installed


def test_the_timer_and_the_playbook_see_the_same_and_a_second_run_changes_nothing(
    monitored: Monitored, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    monitored.look()
    outcome = monitored.host.play("health_check", variables={**VARIABLES, "health_report_path": str(report)})
    assert outcome.code == 0, outcome.text
    checks = json.loads(report.read_text(encoding="utf-8"))["checks"]
    assert monitored.state()["last"] == {check["id"]: check["status"] for check in checks}

    again = monitored.host.play("install_monitoring", "-v", variables=VARIABLES)
    assert (again.code, again.table("Changes")) == (0, set()), again.text


def test_one_fault_is_one_message_and_so_is_its_end(monitored: Monitored) -> None:
    monitored.host("systemctl stop nginx")
    try:
        monitored.look(3)
    finally:
        monitored.host("systemctl start nginx")
    monitored.look(2)
    for receiver in ("email", "webhook"):
        subjects = [message["subject"] for message in monitored.told(receiver)]
        assert len(subjects) == 2, subjects
        assert "critical: nginx" in subjects[0]
        assert "all clear: nginx" in subjects[1]


def test_a_full_disk_stops_no_alert_and_doubles_none(monitored: Monitored) -> None:
    """Its memory lies on a disk that is full: what it cannot write there it keeps elsewhere until there is room."""
    monitored.host(
        "rm -rf /srv/small/monitor && mv /var/lib/runbook-ops/monitor /srv/small/monitor\n"
        "ln -s /srv/small/monitor /var/lib/runbook-ops/monitor\n"
        "systemctl stop nginx\ndd if=/dev/zero of=/srv/small/fill bs=1M 2>/dev/null || true"
    )
    try:
        monitored.look(4)
        subjects = [message["subject"] for message in monitored.told()]
        assert len([subject for subject in subjects if "nginx" in subject]) == 1, subjects
        monitored.host("test -s /run/runbook-ops-monitor/state.json")
    finally:
        monitored.host("systemctl start nginx; rm -f /srv/small/fill")
    monitored.look(3)
    identities = Counter(message["id"] for message in monitored.told())
    monitored.host(
        "rm /var/lib/runbook-ops/monitor && mv /srv/small/monitor /var/lib/runbook-ops/monitor\n"
        "test ! -e /run/runbook-ops-monitor/state.json"
    )
    assert set(identities.values()) == {1}


def test_runs_that_are_killed_anywhere_lose_nothing_and_repeat_nothing_under_another_id(monitored: Monitored) -> None:
    monitored.host("systemctl stop nginx")
    try:
        monitored.host(
            "for step in $(seq 1 30); do systemctl start --no-block runbook-ops-monitor.service\n"
            'sleep "0.$((step * 23 % 40 + 10))"; systemctl kill --signal=KILL runbook-ops-monitor.service 2>/dev/null\n'
            "systemctl stop runbook-ops-monitor.service; done; systemctl reset-failed runbook-ops-monitor.service || true"
        )
        monitored.look(3)
    finally:
        monitored.host("systemctl start nginx")
    monitored.look(2)
    for receiver in ("email", "webhook"):
        identities = {message["id"]: message["subject"] for message in monitored.told(receiver)}
        subjects = list(identities.values())
        assert len(subjects) == 2, identities
        assert "critical: nginx" in subjects[0]
        assert "all clear: nginx" in subjects[1]


def test_no_secret_is_in_what_is_shown_or_written_for_all_to_read(monitored: Monitored) -> None:
    outcome = monitored.host.play("install_monitoring", "-vvv", "--check", "--diff", variables=VARIABLES)
    assert outcome.code == 0, outcome.text
    readable = monitored.host(
        "cat /etc/runbook-ops/monitor.json /etc/systemd/system/runbook-ops-monitor.*; cat /var/lib/runbook-ops/monitor/*\n"
        "journalctl -u runbook-ops-monitor.service --no-pager"
    )
    for secret in SECRETS:
        assert secret not in readable
        # Ansible shows the variables of the command line at -vvv: what the playbook itself shows is what counts.
        assert not [line for line in outcome.lines_with(secret) if "ops_alerts" not in line], outcome.text


def test_what_is_removed_leaves_nothing_and_what_cron_did_comes_back(host: Host) -> None:
    before = host("crontab -l -u owlivion")
    for variables in ({"monitoring_replace_cron": True}, {"monitoring_state": "absent"}):
        outcome = host.play("install_monitoring", variables={**VARIABLES, **variables})
        assert outcome.code == 0, outcome.text
    assert host("crontab -l -u owlivion") == before
    assert host(LEFT) == ""
