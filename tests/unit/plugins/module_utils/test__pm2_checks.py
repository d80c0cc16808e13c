# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Online is not enough to be well, and an old PM2 is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App
from ansible_collections.runbook.ops.plugins.module_utils._pm2_checks import app_check, version_checks, version_key

NOW = 1000.0
ONLINE = App("api", status="online", instances=1, ids=(0,), started_at_ms=970_900, error_log="/logs/api-error.log")


@pytest.mark.parametrize(
    ("app", "status", "words"),
    [
        pytest.param(ONLINE, "ok", "up 29s", id="online"),
        pytest.param(replace(ONLINE, status="errored"), "critical", "is errored", id="errored"),
        pytest.param(replace(ONLINE, unstable_restarts=3), "critical", "crash loop", id="online between two crashes"),
        pytest.param(replace(ONLINE, unstable_restarts=3, started_at_ms=1), "ok", "up", id="recovered long ago"),
    ],
)
def test_online_is_not_enough_to_be_well(app, status, words):
    check = app_check(app, NOW)
    assert check["status"] == status
    assert words in check["detail"]
    assert (check["remedy"] is None) == (status == "ok")


def test_the_check_counts_the_instances_that_do_not_run():
    check = app_check(App("api", status="mixed", instances=3, down_ids=(1, 2)), NOW)
    assert check["detail"] == "2 of 3 instances do not run"


@pytest.mark.parametrize(("older", "newer"), [("7.0.9", "7.0.10"), ("6.9.9", "7.0.0"), ("7.0.4", "7.1.0-beta.1")])
def test_versions_compare_by_their_numbers(older, newer):
    assert version_key(older) < version_key(newer)


@pytest.mark.parametrize(
    ("daemon", "installed", "latest", "asked", "expected"),
    [
        pytest.param("7.0.4", "7.0.4", None, False, {"pm2-daemon:app": "ok"}, id="not asked"),
        pytest.param("6.0.1", "7.0.4", None, False, {"pm2-daemon:app": "warning"}, id="the daemon is old"),
        pytest.param("7.0.4", "7.0.4", "7.0.5", True, {"pm2-daemon:app": "ok", "pm2-published": "warning"}, id="newer"),
        pytest.param("7.0.4", "7.0.4", "7.0.4", True, {"pm2-daemon:app": "ok", "pm2-published": "ok"}, id="newest"),
        pytest.param(
            "7.0.4", "7.0.4", None, True, {"pm2-daemon:app": "ok", "pm2-published": "unknown"}, id="no answer"
        ),
        pytest.param(None, "7.0.4", "7.0.4", True, {"pm2-published": "ok"}, id="no daemon"),
        pytest.param("7.0.4", None, "7.0.4", True, {}, id="installed version not known"),
    ],
)
def test_pm2_itself_is_compared_with_what_is_installed_and_published(daemon, installed, latest, asked, expected):
    checks = version_checks(daemon, installed, user="app", latest=latest, asked=asked)
    assert {check["id"]: check["status"] for check in checks} == expected
