# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system says of its logs becomes what is scanned."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_plan import check_log, plan_log_scans

SERVICES = [
    {"name": "api", "manager": "pm2", "user": "deploy", "standby_name": "api-green"},
    {"name": "worker", "manager": "compose", "project": "shop", "compose_service": "queue"},
]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param(
            {"path": "/a.log", "format": "combined", "top": []}, {"path": "/a.log", "format": "combined"}, id="a file"
        ),
        pytest.param({"pm2": "api"}, {"pm2": "api", "also": ["api-green"], "user": "deploy"}, id="either slot of PM2"),
        pytest.param({"container": "worker"}, {"project": "shop", "service": "queue"}, id="a container"),
        pytest.param(
            {"unit": "nginx.service", "errors": ["x"]}, {"unit": "nginx.service", "errors": ["x"]}, id="a unit"
        ),
    ],
)
def test_each_log_is_scanned_where_it_is_kept(log, expected):
    planned = plan_log_scans({"services": SERVICES, "logs": [{"name": "mine", "hosts": [], **log}]})
    assert planned == [{"name": "mine", **expected}]
    assert check_log(planned[0])


def test_the_threshold_of_failed_requests_is_that_of_the_system():
    planned = plan_log_scans(
        {"logs": [{"name": "a", "path": "/a"}], "thresholds": {"error_rate_percent": {"warning": 1}}}
    )
    assert planned[0]["failed_percent"] == {"warning": 1}


def test_a_cache_is_told_of_by_the_log_that_it_names():
    system = {
        "logs": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b"}],
        "caches": [{"name": "pages", "log": "b", "hit_percent": {"warning": 80}}, {"name": "other", "log": None}],
    }
    first, second = plan_log_scans(system)
    assert "cache" not in first
    assert check_log(second)["cache"] == {"name": "pages", "hit_percent": {"warning": 80}}
