# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Under which heading a value is drawn, and what cannot be full."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._report_topics import capacity_of, topic_of

DAY = 86400.0


@pytest.mark.parametrize(
    ("identity", "unit", "topic"),
    [
        pytest.param("statement:shop:1a2b", "ms", "Performance", id="a statement"),
        pytest.param("statements:shop:slowest", "ms", "Performance", id="statements"),
        pytest.param("cache_hit:shop", "%", "Performance", id="a cache of a database"),
        pytest.param("redis_hits:cache", "%", "Performance", id="hits"),
        pytest.param("redis_slow:cache", "/day", "Performance", id="slow commands"),
        pytest.param("queue_within:mails", "%", "Performance", id="done in time"),
        pytest.param("pm2:api:event_loop", "s", "Performance", id="an event loop"),
        pytest.param("metrics:api:p95", "ms", "Performance", id="a percentile of an application"),
        pytest.param("latency:GET /", "s", "Response times", id="a percentile of a log"),
        pytest.param("pm2:api:memory", "B", "Memory", id="memory"),
        pytest.param("certificate_served:example.org", "days", "Certificates", id="a certificate that is served"),
        pytest.param("certificate_trial:example.org", None, None, id="a renewal on trial"),
        pytest.param("redis:cache:hits", "%", "Databases", id="hits since the start"),
    ],
)
def test_a_check_has_one_heading(identity: str, unit: str | None, topic: str | None) -> None:
    assert topic_of(identity, unit) == topic


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        pytest.param("redis:cache:memory", True, id="memory"),
        pytest.param("redis:cache:clients", True, id="clients"),
        pytest.param("redis:cache:hits", False, id="a hit rate"),
        pytest.param("queue_within:mails", False, id="jobs in time"),
        pytest.param("cache_hit:shop", False, id="a cache"),
    ],
)
def test_only_what_can_be_full_is_forecast(identity: str, told: bool) -> None:
    points = [(day * DAY, 20.0 + day) for day in range(40)]
    figure = {"host": "web-1", "id": identity, "name": identity, "unit": "%", "limit": 90, "value": 59.0}
    assert (capacity_of(figure, points, now=40 * DAY) is not None) == told
