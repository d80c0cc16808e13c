# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon that is older than what is installed is said, and so is a newer release."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pm2_checks import version_checks, version_key
from ansible_collections.runbook.ops.plugins.module_utils._restart import stale


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


def test_a_daemon_that_runs_a_library_of_before_an_update_is_named():
    lib = {"/usr/lib/libssl.so.3"}
    (check,) = version_checks("7.0.4", "7.0.4", user="app", reasons=stale(lib, ()))
    assert (check["status"], check["detail"]) == (
        "warning",
        "runs 7.0.4; it runs /usr/lib/libssl.so.3, replaced on disk since",
    )
    assert "pm2 update" in check["remedy"]
    (check,) = version_checks("7.0.4", "7.0.4", user="app", reasons=stale((), lib))
    assert check["detail"] == "runs 7.0.4; it runs /usr/lib/libssl.so.3, which an update replaces"
