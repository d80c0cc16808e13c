# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fault is one fault: what follows from it says so, and nothing else does."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._consequences import explain, thing_of

NEEDS = {
    "site": ["app", "certificate:site"],
    "app": ["database", "cache"],
    "database": ["disk"],
    "cache": ["disk"],
    "a": ["b"],
    "b": ["a"],
}


def causes(**statuses: str) -> dict[str, str | None]:
    checks = [
        (make_check(f"x:{thing}", name=thing, section="S", status=status), thing) for thing, status in statuses.items()
    ]
    explain(checks, NEEDS)
    return {thing: check["because"] for check, thing in checks if check["because"]}


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        pytest.param({"site": "ok", "database": "critical"}, {}, id="what is well follows from nothing"),
        pytest.param(
            {"site": "critical", "app": "critical", "database": "critical"},
            {"site": "x:database", "app": "x:database"},
            id="all follow from the deepest",
        ),
        pytest.param(
            {"app": "critical", "database": "critical", "disk": "critical"},
            {"app": "x:disk", "database": "x:disk"},
            id="the deepest of all",
        ),
        pytest.param({"site": "critical", "database": "critical"}, {"site": "x:database"}, id="past what is well"),
        pytest.param({"site": "critical", "disk": "warning"}, {}, id="a warning explains nothing that is down"),
        pytest.param({"site": "warning", "app": "critical"}, {"site": "x:app"}, id="what is down explains a warning"),
        pytest.param({"site": "critical", "app": "unknown"}, {}, id="what nobody knows explains nothing that is down"),
        pytest.param({"site": "unknown", "app": "unknown"}, {"site": "x:app"}, id="unknown below unknown"),
        pytest.param({"database": "critical", "cache": "critical"}, {}, id="side by side"),
        pytest.param({"a": "critical", "b": "critical"}, {}, id="of a circle nobody is the cause"),
        pytest.param(
            {"site": "critical", "certificate:site": "critical"},
            {"site": "x:certificate:site"},
            id="a certificate that has expired",
        ),
        pytest.param(
            {"site": "warning", "certificate:site": "warning"},
            {},
            id="a certificate that expires soon makes nothing slow",
        ),
        pytest.param({"other": "critical", "disk": "critical"}, {}, id="what needs nothing"),
    ],
)
def test_a_bad_check_follows_from_what_it_needs(statuses: dict[str, str], found: dict[str, str]) -> None:
    assert causes(**statuses) == found


def test_one_probe_may_tell_of_several_things():
    check = make_check("systemd:postgresql@15-main.service", name="n", section="S", status="ok")
    about = {"nginx.service": "service:nginx", "postgresql@*.service": "service:postgresql"}
    assert thing_of(check, about) == "service:postgresql"
    assert thing_of(check, {"nginx.service": "service:nginx"}) is None
    assert thing_of(check, "host") == "host"
    assert thing_of(check, None) is None
