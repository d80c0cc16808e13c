# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checklist asks for a name and a day; what was done is known by the records of runs alone, and turns red when it is too long ago."""

from __future__ import annotations

import json
import shlex
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checklist import ChecklistError
from ansible_collections.runbook.ops.plugins.module_utils._checklist_plan import plan_items
from ansible_collections.runbook.ops.plugins.modules import checklist, checklist_info

DAY = 86400
REVIEW = {
    "name": "access reviewed",
    "every_seconds": 92 * DAY,
    "playbook": "quarterly_review",
    "what": "who may log in",
}
DRILL = {
    "name": "restore tried",
    "every_seconds": 92 * DAY,
    "playbook": "quarterly_review",
    "proven_by": ["test_restore"],
}
SERVED = {
    "name": "certificates good",
    "every_seconds": 92 * DAY,
    "playbook": "quarterly_review",
    "check": "certificate:*",
}
FEES = {"name": "fees", "every_seconds": 31 * DAY, "playbook": "cost_review", "unit": "USD", "limits": {"warning": 200}}
ITEMS = [REVIEW, DRILL, SERVED, FEES]
NOW = "2026-11-22T04:00:00Z"


class Records:
    """A directory of records."""

    def __init__(self, path):
        self.path, self.count = path, 0

    def add(self, at, playbook, *, checks=(), changes=(), system="shop", **other):
        self.count += 1
        name = f"{at.replace('-', '').replace(':', '')}-{playbook}-{self.count:012x}.json"
        record = {
            **{"schema": 1, "playbook": playbook, "system": system, "status": "ok", "check_status": "ok", "hosts": []},
            **{"started_at": at, "changes": [{"host": "shop-1", **one} for one in changes]},
            "checks": [{"host": "shop-1", "section": "x", "detail": "", "name": one["id"], **one} for one in checks],
            **other,
        }
        (self.path / name).write_text(json.dumps(record), encoding="utf-8")
        return self.path / name

    def asked(self, **other):
        base = {"items": ITEMS, "system": "shop", "records_directory": str(self.path), "time_zone": "UTC", "at": NOW}
        return {**base, **other}

    def confirm(self, names, *, record_at=None, **other):
        base = {"by": "Ada Lovelace", "done_on": None, "figure": None, "note": None}
        told = checklist.run(self.asked(names=names, **{**base, **other}))
        if record_at:
            self.add(record_at, "confirm", changes=told["changes"], checks=told["checks"])
        return told

    def look(self, **other):
        told = checklist_info.run(self.asked(**other))
        return {check["name"]: check for check in told["checks"]}


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path)


def test_what_nobody_did_is_a_warning_until_it_was_asked_for_that_long(records):
    assert {check["status"] for check in records.look().values()} == {"warning"}
    records.add("2026-08-01T00:00:00Z", "quarterly_review")
    told = records.look()
    assert told["access reviewed"]["status"] == "critical"
    assert told["access reviewed"]["detail"] == "nobody has confirmed it yet: who may log in"
    assert told["fees"]["status"] == "warning"  # another playbook asks for it


def test_what_is_confirmed_is_known_by_name_and_day_until_it_is_due_again(records):
    records.confirm(["access reviewed"], done_on="2026-11-20", note="two left", record_at="2026-11-22T03:00:00Z")
    check = records.look()["access reviewed"]
    assert (check["id"], check["status"], check["value"], check["unit"], check["limit"]) == (
        "checklist:access reviewed",
        "ok",
        2,
        "days",
        92,
    )
    assert check["detail"] == "done by Ada Lovelace on 2026-11-20: two left, due again on 2027-02-20"
    later = records.look(at="2027-02-21T00:00:00Z")["access reviewed"]
    assert later["status"] == "critical"
    assert "overdue by 1 day: who may log in" in later["detail"]
    said = shlex.split(later["remedy"].partition(" -e ")[2])
    assert [json.loads(one) for one in said] == [{"checklist_confirm": "access reviewed", "checklist_by": "…"}]


def test_the_last_confirmation_counts_so_that_a_wrong_day_can_be_corrected(records):
    records.confirm(["access reviewed"], done_on="2026-11-20", record_at="2026-11-20T03:00:00Z")
    records.confirm(["access reviewed"], done_on="2026-11-02", by="Grace Hopper", record_at="2026-11-21T03:00:00Z")
    assert "Grace Hopper on 2026-11-02" in records.look()["access reviewed"]["detail"]


def test_a_second_confirmation_of_the_same_is_none(records):
    first = records.confirm(["access reviewed"], record_at="2026-11-22T03:00:00Z")
    assert first["changed"]
    assert first["changes"][0]["reason"] == "by Ada Lovelace on 2026-11-22"
    assert not records.confirm(["access reviewed"])["changed"]
    assert records.confirm(["access reviewed"], by="Grace Hopper")["changes"][0]["before"] == "2026-11-22"


def test_a_figure_is_kept_held_against_its_limits_and_gets_stale(records):
    told = records.confirm(["fees"], figure=231.4, record_at="2026-11-22T03:00:00Z")
    assert (told["changes"][0]["after"], told["changes"][0]["unit"]) == (231.4, "USD")
    check = records.look()["fees"]
    assert (check["value"], check["unit"], check["limit"], check["status"]) == (231.4, "USD", 200, "warning")
    stale = records.look(at="2026-12-24T00:00:00Z")["fees"]
    assert (stale["value"], stale["status"]) == (231.4, "critical")
    assert records.confirm(["fees"], figure=99.0)["changes"][0]["before"] == 231.4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"by": ""}, "nobody's name", id="no name"),
        pytest.param({"by": " \t"}, "nobody's name", id="blanks"),
        pytest.param({"by": "7"}, "nobody's name", id="a number"),
        pytest.param({"by": "…"}, "nobody's name", id="the remedy as it is"),
        pytest.param({"by": "A on 2026-01-01"}, "nobody's name", id="a name that would read as a day"),
        pytest.param({"by": "A" * 99}, "nobody's name", id="a long one"),
        pytest.param({"done_on": "2026-11-23"}, "in the future, today is 2026-11-22", id="tomorrow"),
        pytest.param({"done_on": "2062-11-22"}, "in the future", id="a slip of the fingers"),
        pytest.param({"done_on": "1926-11-22"}, "two years ago", id="another"),
        pytest.param({"done_on": "22.11.2026"}, "is no date", id="no date"),
        pytest.param({"done_on": "2026-02-30"}, "is no date", id="a day that there is not"),
        pytest.param({"names": ["acces reviewed"]}, "did you mean 'access reviewed'?", id="a name that is not known"),
        pytest.param({"names": []}, "nothing is confirmed", id="nothing"),
        pytest.param({"figure": 1.0}, "takes no figure", id="a figure for what has none"),
        pytest.param({"names": ["fees"]}, "wants a figure in USD", id="no figure"),
        pytest.param({"names": ["fees"], "figure": float("nan")}, "is no figure", id="not a number"),
        pytest.param({"at": "x"}, "is not a time", id="no time"),
        pytest.param({"time_zone": "Mars"}, "knows no time zone", id="no time zone"),
    ],
)
def test_what_is_wrong_is_refused(records, options, words):
    with pytest.raises(ChecklistError, match=words):
        records.confirm(**{"names": ["access reviewed"], **options})


def test_today_is_today_where_the_system_is(records):
    told = records.confirm(
        ["access reviewed"], time_zone="Pacific/Auckland", at="2026-11-22T23:00:00Z", done_on="2026-11-23"
    )
    assert told["changed"]


@pytest.mark.parametrize(
    ("record", "status", "words"),
    [
        pytest.param({}, "ok", "test_restore ran well on 2026-11-01", id="a good run"),
        pytest.param({"status": "failed"}, "warning", "nobody", id="a failed run"),
        pytest.param({"check_status": "critical"}, "warning", "nobody", id="a run that found something bad"),
        pytest.param({"system": "other"}, "warning", "nobody", id="a run of another system"),
    ],
)
def test_a_good_run_proves_it(records, record, status, words):
    records.add("2026-11-01T00:00:00Z", "test_restore", **record)
    check = records.look()["restore tried"]
    assert check["status"] == status
    assert words in check["detail"]


def test_the_last_look_at_a_check_proves_it_or_the_contrary(records):
    good = [{"id": "certificate:a", "status": "ok"}, {"id": "certificate:b", "status": "ok"}]
    records.add("2026-10-01T00:00:00Z", "health_check", checks=good)
    assert "2 checks were good on 2026-10-01" in records.look()["certificates good"]["detail"]
    records.add("2026-11-01T00:00:00Z", "health_check", checks=[good[0], {**good[1], "status": "warning"}])
    check = records.look()["certificates good"]
    assert check["status"] == "critical"
    assert "certificate:b of shop-1 was warning on 2026-11-01" in check["detail"]


@pytest.mark.parametrize(("seen", "status"), [("warning", "ok"), ("unknown", "warning"), ("critical", "warning")])
def test_a_run_that_could_not_see_all_that_it_looked_for_proves_nothing(records, seen, status):
    checks = [{"id": "backup:a", "status": seen}, {"id": "backup:b", "status": "warning"}]
    records.add("2026-11-20T03:00:00Z", "test_restore", checks=checks)
    assert records.look()["restore tried"]["status"] == status


def test_a_run_that_left_hosts_out_proves_nothing_good_of_the_system(records):
    good = {"id": "certificate:a", "status": "ok"}
    records.add("2026-11-20T03:00:00Z", "test_restore", left_out=["shop-2"])
    records.add("2026-11-20T04:00:00Z", "health_check", checks=[good], left_out=["shop-2"])
    told = records.look()
    assert (told["restore tried"]["status"], told["certificates good"]["status"]) == ("warning", "warning")
    records.add("2026-11-20T05:00:00Z", "health_check", checks=[{**good, "status": "warning"}], left_out=["shop-2"])
    assert records.look()["certificates good"]["status"] == "critical", "what is bad is bad, whoever was left out"
    records.add("2026-11-19T03:00:00Z", "test_restore", left_out=[])
    assert "2026-11-19" in records.look()["restore tried"]["detail"]


def test_a_damaged_record_is_named_and_the_others_are_used(records):
    records.confirm(["access reviewed"], record_at="2026-11-20T03:00:00Z")
    records.confirm(["access reviewed"], by="Grace Hopper", record_at="2026-11-21T03:00:00Z")
    last = max(records.path.iterdir())
    last.write_text(last.read_text(encoding="utf-8")[:99], encoding="utf-8")
    told = records.look()
    assert "Ada Lovelace" in told["access reviewed"]["detail"]
    assert last.name in told["Damaged records"]["detail"]


def test_records_that_are_not_needed_are_not_read(records, monkeypatch):
    for day in range(1, 22):
        records.add(f"2026-11-{day:02}T00:00:00Z", "health_check", checks=[{"id": "certificate:a", "status": "ok"}])
    read = []
    real = checklist_info.look.__globals__["read_record"]
    monkeypatch.setitem(checklist_info.look.__globals__, "read_record", lambda path: read.append(path) or real(path))
    records.look()
    assert len(read) == 1


def test_what_follows_from_a_system_is_asked_for_and_the_inventory_has_the_last_word():
    system = {
        "backups": [{}],
        "secrets": [{"name": "KEY", "rotate_every_seconds": 90 * DAY}, {"name": "other"}],
        "checklist": [{**REVIEW, "every_seconds": 5}, FEES],
    }
    items = {item["name"]: item for item in plan_items(system, "quarterly_review")}
    assert items["access reviewed"]["every_seconds"] == 5
    assert {"restore tried", "backups verified", "KEY rotated", "capacity planned"} <= set(items)
    assert not {"certificates good", "fees", "other rotated"} & set(items)
    assert [item["name"] for item in plan_items(system, "cost_review")] == ["fees"]


@pytest.mark.parametrize(
    ("ahead", "at", "known"),
    [
        pytest.param(90, "", True, id="the clock of who recorded it is ahead"),
        pytest.param(90, "told", False, id="a time that is told is the end"),
        pytest.param(2 * DAY, "", False, id="a record of the day after tomorrow"),
    ],
)
def test_a_record_by_a_clock_that_is_a_little_ahead_counts(records, ahead, at, known):
    now = time.time()
    stamp, told = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one)) for one in (now + ahead, now))
    given = {"at": told if at else None, "done_on": told[:10]}
    records.confirm(["access reviewed"], record_at=stamp, **given)
    again = records.confirm(["access reviewed"], **given)
    assert again["changed"] != known


def test_the_day_that_counts_is_told_so_that_midnight_does_not_change_it(records):
    before = records.confirm(["access reviewed"], at="2026-11-21T23:59:58Z", record_at="2026-11-21T23:59:57Z")
    assert before["done_on"] == "2026-11-21"
    after = {"at": "2026-11-22T00:00:02Z"}
    assert records.confirm(["access reviewed"], **after)["changed"]
    assert not records.confirm(["access reviewed"], done_on=before["done_on"], **after)["changed"]


@pytest.mark.parametrize(
    ("look_at", "status"),
    [
        pytest.param("2026-11-21T04:00:00Z", "ok", id="it was mended after the look"),
        pytest.param("2026-11-21T18:00:00Z", "critical", id="the look came after it"),
    ],
)
def test_of_a_confirmation_and_a_bad_look_of_one_day_the_later_counts(records, look_at, status):
    bad = {"id": "certificate:example.org", "status": "critical", "value": 1, "name": "example.org"}
    records.add(look_at, "health_check", checks=[bad])
    records.confirm(["certificates good"], done_on="2026-11-21", record_at="2026-11-21T10:00:00Z")
    assert records.look()["certificates good"]["status"] == status
