# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of JSON are counted, whichever logger wrote them."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_json import JsonReader
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import Tally


def read(*lines, fields=None):
    tally = Tally()
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines) + b"\n"
    JsonReader(fields or {}, tally, frozenset({"addresses", "agents", "paths"})).add(data, len(lines))
    return tally


@pytest.mark.parametrize(
    ("line", "endpoint", "status", "milliseconds"),
    [
        pytest.param(
            {"status": 200, "method": "GET", "path": "/a/7", "duration_ms": 12.4}, "GET /a/:id", "200", 12, id="plain"
        ),
        pytest.param(
            {"level": 30, "req": {"method": "POST", "url": "/b?x=1"}, "res": {"statusCode": 201}, "responseTime": 7},
            "POST /b",
            "201",
            7,
            id="pino",
        ),
        pytest.param(
            {"status": "502", "request": "GET /c HTTP/1.1", "request_time": "0.250"}, "GET /c", "502", 250, id="nginx"
        ),
        pytest.param({"status": 200, "path": "/d", "ms": None}, "GET /d", "200", None, id="no duration"),
        pytest.param(
            {"status": 200, "path": "/d", "ms": "1e400"}, "GET /d", "200", None, id="a duration beyond all numbers"
        ),
    ],
)
def test_requests_of_usual_loggers_are_found(line, endpoint, status, milliseconds):
    tally = read(line, line)
    one = tally.requests.endpoints[endpoint]
    assert dict(one.statuses) == {status: 2}
    assert list(one.durations) == ([] if milliseconds is None else [milliseconds])


def test_fields_of_ones_own_are_found():
    tally = read({"code": 404, "where": {"asked": "/x"}}, fields={"status": "code", "path": "where.asked"})
    assert dict(tally.requests.endpoints["GET /x"].statuses) == {"404": 1}


def test_levels_are_tallied_by_name():
    tally = read({"level": 50}, {"level": "ERROR"}, {"severity": "warn"}, {"level": True}, {})
    assert dict(tally.tops["levels"].counts) == {b"error": 2, b"warn": 1}


def test_broken_lines_count_as_such_and_take_no_other_with_them():
    good = {"status": 200, "path": "/a"}
    tally = read(good, b"{broken", b"", b"[1]", b"7", b"\xff", b'{"a":1},{"b":2}', good, b"[" * 5000)
    assert tally.broken == 7
    assert tally.requests.endpoints["GET /a"].count == 2


@pytest.mark.parametrize("status", [True, 99, 600, "2OO", None, 2e2, [], "²"])
def test_what_is_no_status_is_no_request(status):
    assert read({"status": status, "path": "/a"}).requests.endpoints == {}
