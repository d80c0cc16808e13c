# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error rate is failed requests in relation to all of a period; a query covers full days and cannot write."""

from __future__ import annotations

import calendar
import json
import re
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import error_rate, query


def rate_options(path, **other):
    spec = {"probe": "error_rate", "path": str(path), **other}
    return {**read_options(spec, error_rate.OPTIONS, where="x"), "section": "Logs"}


def line(age, status, path="/api"):
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - age))
    return f'203.0.113.9 - - [{stamp}] "GET {path} HTTP/1.1" {status} 512 "-" "a \\"quoted\\" agent"\n'


def look(path, **other):
    options = rate_options(path, **other)
    return error_rate.judge(error_rate.measure(options), options)[0]


def test_the_rate_is_failed_requests_of_all_of_the_period_the_rotated_file_too(tmp_path):
    log = tmp_path / "access.log"
    log.write_text(line(60, 500) + line(50, 404) + line(40, 200) * 48)
    (tmp_path / "access.log.1").write_text(line(90000, 500) * 30 + line(1800, 200) * 50)
    check = look(log)
    assert (check["value"], check["status"], check["limit"]) == (1.0, "warning", 1)
    assert "1 of 100 requests failed in the last 1h: 1 times 500, most at /api (1)" in check["detail"]


@pytest.mark.parametrize(
    ("content", "options", "value", "status"),
    [
        pytest.param(line(9, 200) * 99 + line(9, 502), {}, 1.0, "warning", id="at the limit"),
        pytest.param(line(9, 200) * 199 + line(9, 502), {}, 0.5, "ok", id="below it"),
        pytest.param(line(9, 502) * 5, {}, 100.0, "ok", id="too few to judge"),
        pytest.param(line(9, 429) * 20, {"failed": "5..|429"}, 100.0, "warning", id="other statuses"),
        pytest.param(
            line(9, 200, "/health") * 90 + line(9, 500) * 20, {"skip": "^/health"}, 100.0, "warning", id="skipped"
        ),
        pytest.param("", {}, 0.0, "ok", id="no request"),
        pytest.param(line(9, 500, "/a?token=x") * 30, {}, 100.0, "warning", id="arguments are not shown"),
    ],
)
def test_the_rate_is_judged(tmp_path, content, options, value, status):
    (tmp_path / "access.log").write_text(content)
    check = look(tmp_path / "access.log", **options)
    assert (check["value"], check["status"]) == (value, status)
    assert "token" not in check["detail"]


def test_what_is_not_read_is_said(tmp_path):
    (tmp_path / "access.log").write_text(line(30, 200) * 100)
    assert "only the last 1 kB were read" in look(tmp_path / "access.log", most_bytes=1000)["detail"]
    assert "the log begins 3" in look(tmp_path / "access.log")["detail"]


@pytest.mark.parametrize("content", [None, "no time here\n" * 50])
def test_a_log_that_cannot_tell_is_no_good_news(tmp_path, content):
    if content:
        (tmp_path / "access.log").write_text(content)
    with pytest.raises(ProbeError):
        look(tmp_path / "access.log")


NIGHT = calendar.timegm((2026, 11, 21, 18, 30, 0))


def query_options(**other):
    spec = {"probe": "query", "database": "shop", "statement": "SELECT 1", **other}
    return {**read_options(spec, query.OPTIONS, where="x"), "section": "Databases"}


@pytest.mark.parametrize(
    ("asked", "before", "since", "until"),
    [
        pytest.param({}, "2026-11-19", "2026-11-20", "2026-11-21", id="a day"),
        pytest.param({"period_seconds": 7 * 86400}, "2026-11-07", "2026-11-14", "2026-11-21", id="seven days"),
        pytest.param({"full": "month"}, "2026-09-01", "2026-10-01", "2026-11-01", id="a calendar month"),
        pytest.param({"full": "quarter"}, "2026-04-01", "2026-07-01", "2026-10-01", id="a quarter"),
    ],
)
def test_a_period_is_over(asked, before, since, until):
    found = [query.moment(at) for at in query.periods(NIGHT, query_options(**asked))]
    assert found == [f"{day} 00:00:00+00" for day in (before, since, until)]


@pytest.mark.parametrize("name", ["since", "until"])
def test_no_parameter_takes_the_place_of_the_period(name):
    with pytest.raises(ProbeError, match=f":{name} is the period's"):
        query.bound(query_options(statement="SELECT :since", parameters={name: "2020-01-01"}), 0.0, 86400.0)


@pytest.fixture
def measure(monkeypatch):
    """Return a function that asks a database which answers as told, and says for how long each question may run."""

    def asked(*answers, **given):
        questions, left = [], list(answers)

        def ask(_options, script, *, timeout_seconds, **_more):
            questions.append((script, timeout_seconds))
            answer = left.pop(0)
            if isinstance(answer, ProbeError):
                raise answer
            return json.dumps(answer)

        monkeypatch.setattr(query, "ask", ask)
        told = query.measure(query_options(**{"statement": "SELECT :since", "compare": True, **given}))
        limits = [float(re.search(r"statement_timeout = (\d+)", script)[1]) / 1000 for script, _left in questions]
        return told, limits, [left for _script, left in questions]

    return asked


NOW_ROWS, THEN_ROWS = {"rows": [{"n": 2}], "cut": False}, {"rows": [{"n": 1}], "cut": False}


@pytest.mark.parametrize(
    ("then", "before"), [(THEN_ROWS, [{"n": 1}]), ({**THEN_ROWS, "cut": True}, None)], ids=["whole", "cut"]
)
def test_rows_are_compared_with_those_of_the_period_before_where_all_of_them_came(measure, then, before):
    told, _limits, _left = measure(NOW_ROWS, then)
    assert (told["rows"], told["before"], told["until"] - told["since"]) == ([{"n": 2}], before, 86400.0)


@pytest.mark.parametrize(("most", "status"), [(None, "unknown"), (1, "warning")])
def test_the_figure_is_told_where_only_the_period_before_gives_no_answer(measure, most, status):
    told, _limits, _left = measure(NOW_ROWS, ProbeError("canceling statement due to statement timeout"))
    (check,) = query.judge(told, query_options(name="sync", at_most={"warning": most}))
    assert (check["status"], check["value"]) == (status, 2)
    assert check["detail"].endswith("not compared with the period before: canceling statement due to statement timeout")


def test_who_gives_no_answer_at_all_has_no_figure(measure):
    with pytest.raises(ProbeError, match="timeout"):
        measure(ProbeError("canceling statement due to statement timeout"))


def test_a_statement_without_a_period_is_asked_once_and_is_of_now(measure):
    told, limits, _left = measure(NOW_ROWS, statement="SELECT 1 AS n")
    assert (told["before"], told["since"], len(limits)) == (None, None, 1)


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        pytest.param({"timeout_seconds": 50.0}, 40.0, id="a part of all the time"),
        pytest.param({"timeout_seconds": 50.0, "statement_seconds": 20.0}, 20.0, id="its own"),
    ],
)
def test_a_statement_ends_before_who_asks_stops_waiting(measure, given, limit):
    _told, limits, left = measure(NOW_ROWS, THEN_ROWS, **given)
    assert limits == [limit, limit]
    assert all(20 < one <= 50 for one in left)


def test_a_statement_may_not_run_longer_than_is_left(measure):
    _told, limits, left = measure(NOW_ROWS, THEN_ROWS, timeout_seconds=5.0, statement_seconds=20.0)
    assert all(0.5 <= limit <= one <= 5 for limit, one in zip(limits, left))


def test_at_the_end_of_a_long_month_the_last_one_is_the_one_before():
    now = calendar.timegm((2026, 3, 31, 23, 0, 0))
    assert query.moment(query.periods(now, query_options(full="month"))[1]) == "2026-02-01 00:00:00+00"


def answered(rows, before=(), cut=False, **other):
    since, until = query.period(NIGHT, 86400)
    measured = {"rows": list(rows), "before": list(before), "since": since, "until": until, "cut": cut}
    return query.judge({**measured, "not_compared": None}, query_options(name="sync", **other))


def judged(rows, before=(), **other):
    return answered(rows, before, **other)[0]


@pytest.mark.parametrize(
    ("rows", "options", "status", "value"),
    [
        pytest.param([{"count": 7}], {}, "ok", 7, id="a number without limits"),
        pytest.param([{"count": 7}], {"at_most": {"warning": 5}}, "warning", 7, id="too high"),
        pytest.param([{"count": 0}], {"at_least": {"critical": 1}}, "critical", 0, id="too low"),
        pytest.param([{"a": "mail", "n": 3}, {"a": "notes", "n": 1}], {}, "ok", 2, id="rows are counted"),
        pytest.param([], {"at_least": {"warning": 1}}, "warning", 0, id="no rows where there should be"),
    ],
)
def test_the_number_or_the_count_of_rows_is_judged(rows, options, status, value):
    check = judged(rows, **options)
    assert (check["status"], check["value"]) == (status, value)


@pytest.mark.parametrize(
    ("rows", "options", "status", "value", "words"),
    [
        pytest.param([{"sum": None}], {"at_least": {"warning": 1}}, "unknown", None, "is NULL", id="the sum of none"),
        pytest.param([{"sum": None}], {"figure": "sum", "unit": "USD"}, "unknown", None, "is NULL", id="a figure"),
        pytest.param([{"paid": "$7.00"}], {"figure": "paid"}, "unknown", None, "paid is no number: $7.00", id="money"),
        pytest.param([{"mail": "a@example.org"}], {}, "ok", 1, "a@example.org", id="one row of text is a row"),
    ],
)
def test_what_is_no_number_is_not_called_1(rows, options, status, value, words):
    check = judged(rows, **options)
    assert (check["status"], check["value"]) == (status, value)
    assert words in check["detail"]


def test_what_was_there_in_the_period_before_and_is_gone_is_a_warning():
    check = judged([{"type": "mail", "n": 3}], before=[{"type": "mail", "n": 4}, {"type": "calendar", "n": 2}])
    assert check["status"] == "warning"
    assert check["detail"].startswith("missing since the period before: calendar; mail: n 3 (2026-11-20 UTC)")


def test_rows_are_shown_with_their_names_and_not_too_many():
    rows = [{"type": f"t{n}", "last": "2026-11-20T23:59:59.123+00:00"} for n in range(9)]
    assert judged(rows)["detail"].startswith("t0: last 2026-11-20 23:59:59; t1:")
    assert "and 4 more (2026-11-20 UTC)" in judged(rows)["detail"]


@pytest.mark.parametrize(
    ("before", "options", "status", "words"),
    [
        pytest.param(80, {}, "ok", "100, +25.0 % against 80 in the period before (2026-11-20 UTC)", id="more"),
        pytest.param(100, {}, "ok", "100, as in the period before (", id="the same"),
        pytest.param(0, {}, "ok", "100, 0 in the period before (", id="from nothing"),
        pytest.param(200, {"changed_percent": {"warning": 50}}, "warning", "-50.0 % against 200", id="too much less"),
        pytest.param(
            10, {"changed_percent": {"warning": 50, "critical": 500}}, "critical", "+900.0 %", id="far too much"
        ),
        pytest.param(101, {"changed_percent": {"warning": 50}, "at_most": {"critical": 9}}, "critical", "", id="worse"),
    ],
)
def test_a_number_is_compared_with_the_period_before(before, options, status, words):
    check = judged([{"count": 100}], before=[{"count": before}], **options)
    assert check["status"] == status
    assert words in check["detail"]


def test_of_several_rows_each_has_a_value_of_its_own_by_what_its_first_column_says():
    rows = [{"service": "vision", "calls": 7, "cost": 12.5}, {"service": "speech", "calls": 1, "cost": 0.25}]
    before = [{"service": "vision", "calls": 5, "cost": 10}, {"service": "text", "calls": 1, "cost": 1}]
    whole, *each = answered(rows, before, figure="cost", unit="USD", at_most={"warning": 12})
    assert (whole["id"], whole["value"], whole["unit"], whole["status"]) == ("query:sync", 2, "rows", "warning")
    assert "missing since the period before: text" in whole["detail"]
    assert [(one["id"], one["value"], one["unit"], one["status"]) for one in each] == [
        ("query:sync:vision", 12.5, "USD", "warning"),
        ("query:sync:speech", 0.25, "USD", "ok"),
    ]
    assert each[0]["detail"].startswith("vision: calls 7, cost 12.5, +25.0 % against 10")


def test_rows_that_begin_alike_are_called_by_all_before_the_figure_whatever_their_order():
    def row(region, cost):
        return {"service": "api", "region": region, "cost": cost}

    rows = [row("eu", 10), row("us", 40), {"service": "web", "region": "eu", "cost": 1}]
    before = [row("us", 20), row("eu", 10), row("asia", 5)]
    whole, *each = answered(rows, before, figure="cost")
    assert [one["id"] for one in each] == ["query:sync:api, eu", "query:sync:api, us", "query:sync:web"]
    assert "missing since the period before: api, asia;" in whole["detail"]
    assert [", ".join(one["detail"].split(", ")[2:]) for one in each[:2]] == [
        "as in the period before (2026-11-20 UTC)",
        "+100.0 % against 20 in the period before (2026-11-20 UTC)",
    ]
    (only,) = answered(rows[:1], before, figure="cost")[1:]
    assert (only["id"], "as in the period before" in only["detail"]) == ("query:sync:api, eu", True)


def test_rows_that_nothing_tells_apart_are_not_compared():
    rows = [{"service": "api", "cost": 10}, {"service": "api", "cost": 40}]
    assert all("before" not in one["detail"] for one in answered(rows, rows, figure="cost")[1:])


def test_one_row_of_several_that_were_keeps_its_name():
    assert [one["id"] for one in answered([{"tier": "pro", "cost": 3}], figure="cost")] == [
        "query:sync",
        "query:sync:pro",
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [([{"tier": "pro", "costs": 3}], "no column cost: tier, costs"), ([{"tier": "pro", "cost": "x"}], "no number: x")],
)
def test_a_figure_that_is_none_is_unknown(rows, words):
    check = answered(rows, figure="cost")[-1]
    assert check["status"] == "unknown"
    assert words in check["detail"]


def test_what_is_cut_is_said_and_nothing_is_called_missing():
    check = answered([{"n": 1, "x": 1}], before=[{"n": 2, "x": 1}], cut=True)[0]
    assert check["status"] == "ok"
    assert "there are more than these 1: the rest was not fetched" in check["detail"]
