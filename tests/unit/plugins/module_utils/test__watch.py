# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.server
import threading

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._watch import (
    WatchWishes,
    Window,
    judge,
    measure_before,
    percentile,
    verdict_checks,
    watch,
)

WISHES = WatchWishes((), least_requests=20, error_percent=5, slowdown_percent=50)
QUIET = Window(60, 20, 0, 0.02, 400, 2, 0.05, 0.01, 0.02)


@pytest.mark.parametrize(
    ("after", "is_over", "why"),
    [
        pytest.param(QUIET, True, None, id="as before"),
        pytest.param(QUIET._replace(asked_failed=1), True, None, id="one failure of twenty is chance"),
        pytest.param(QUIET._replace(asked_failed=2), False, "10.0 % of 20 own requests", id="two of twenty"),
        pytest.param(QUIET._replace(asked=19, asked_failed=9), True, None, id="too few own requests are no evidence"),
        pytest.param(QUIET._replace(logged_failed=22), True, None, id="users: five percent more"),
        pytest.param(
            QUIET._replace(logged_failed=24), True, "6.0 % of 400 requests of users", id="users: more than that"
        ),
        pytest.param(
            QUIET._replace(asked=3, asked_failed=3, failed_in_a_row=3, wrong="HTTP 502"),
            False,
            "3 requests in a row failed, none did before: HTTP 502",
            id="all fail at once",
        ),
        pytest.param(QUIET._replace(asked_p95=0.11), True, None, id="slower by less than anybody notices"),
        pytest.param(QUIET._replace(asked_p95=0.5), False, None, id="some are slow: wait for the end"),
        pytest.param(
            QUIET._replace(asked_p95=0.5), True, "95th percentile of 20 own requests is 0.50 s", id="at the end"
        ),
        pytest.param(
            QUIET._replace(asked_p95=0.5, asked_median=0.4),
            False,
            "95th percentile of 20 own",
            id="most are slow: at once",
        ),
        pytest.param(
            QUIET._replace(asked=7, asked_p95=0.8, asked_median=0.7),
            True,
            "of 7 own requests",
            id="few, for most are slow",
        ),
        pytest.param(QUIET._replace(asked=7, asked_p95=0.8), True, None, id="few, and one of them is slow"),
        pytest.param(
            QUIET._replace(logged_p95=0.5), True, "of 400 requests of users is 0.50 s", id="users wait longer"
        ),
        pytest.param(QUIET._replace(logged_p95=None), True, None, id="the log tells no times"),
    ],
)
def test_a_release_is_bad_where_it_fails_or_slows_down_more_than_allowed(after, is_over, why):
    found = judge(QUIET, after, WISHES, is_over=is_over)
    assert (found is None) if why is None else (why in (found or ""))


def test_what_failed_before_as_well_is_not_held_against_a_release():
    before = QUIET._replace(asked_failed=20, failed_in_a_row=20)
    assert judge(before, QUIET._replace(asked_failed=20, failed_in_a_row=20), WISHES) is None


@pytest.mark.parametrize(
    ("values", "percent", "wanted"),
    [
        ([], 95, None),
        ([3.0], 95, 3.0),
        ([1.0] * 19 + [9.0], 95, 1.0),
        ([1.0] * 18 + [8.0, 9.0], 95, 8.0),
        ([1.0, 2.0, 3.0], 50, 2.0),
    ],
)
def test_a_percentile_is_one_of_the_values(values, percent, wanted):
    assert percentile(values, percent) == wanted


class Application(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def application():
    Application.status = 200
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_a_version_that_answers_with_errors_is_known_long_before_the_time_is_over(application):
    wishes = WatchWishes(({"url": application},), seconds=60, pause_seconds=0.01)
    before = measure_before(wishes)
    Application.status = 500
    verdict = watch(wishes, before)
    assert before.asked == 20
    assert not before.asked_failed
    assert not verdict.good
    assert "in a row failed" in verdict.why
    assert verdict.after.seconds < 10
    assert verdict_checks("api", verdict)[0]["status"] == "critical"


def test_what_is_wrong_with_the_slot_itself_ends_the_watch(application):
    wishes = WatchWishes(({"url": application},), seconds=60, pause_seconds=0.01)
    verdict = watch(wishes, Window(), look=lambda: "api restarts: exit code 1")
    assert (verdict.good, verdict.why) == (False, "api restarts: exit code 1")


def test_a_version_that_does_well_is_good_after_the_time(application, tmp_path):
    log = tmp_path / "access.log"
    log.write_text("")
    wishes = WatchWishes(({"url": application},), seconds=0.3, pause_seconds=0.01, logs=(str(log),))
    verdict = watch(wishes, measure_before(wishes))
    assert verdict.good
    assert verdict.why.startswith("0 of ")
    assert verdict_checks("api", verdict)[0]["status"] == "ok"
    assert "/var/log/all.log is not looked at" in verdict_checks("api", verdict, ("/var/log/all.log",))[0]["detail"]
