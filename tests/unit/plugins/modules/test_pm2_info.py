# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list says whether a daemon runs, and asks the registry only when told to."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.modules import pm2_info


class FakeHost:
    user, pm2_home = "app", "/home/app/.pm2"

    def __init__(self, processes):
        self._processes, self.asked = processes, []

    def processes(self):
        return self._processes

    def daemon_version(self):
        return "7.0.4"

    def installed_version(self):
        return "7.0.4"

    def latest_version(self, timeout_seconds):
        self.asked.append(timeout_seconds)
        return "7.0.5"


def run(host, *, check_latest=False):
    return pm2_info.run(host, check_latest=check_latest, registry_timeout_seconds=20, now=1000.0)


def test_without_a_daemon_there_are_no_applications_and_no_error():
    result = run(FakeHost(None))
    assert (result["running"], result["apps"], result["daemon_version"], result["checks"]) == (False, [], None, [])


def test_the_registry_is_asked_only_when_told_to():
    host = FakeHost([])
    assert run(host)["latest_version"] is None
    assert host.asked == []
    assert run(host, check_latest=True)["latest_version"] == "7.0.5"
    assert host.asked == [20]


def test_every_application_has_a_check():
    env = {"status": "errored", "pm_err_log_path": "/l"}
    result = run(FakeHost([{"name": "api", "pm_id": 0, "pm2_env": env}]))
    assert [(check["id"], check["status"]) for check in result["checks"]] == [
        ("pm2:api", "critical"),
        ("pm2-daemon:app", "ok"),
    ]
    assert [app["name"] for app in result["apps"]] == ["api"]
