# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the entries of the calendar are due."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._calendar import (
    latest,
    occurrences,
    to_oncalendar,
    upcoming,
)
from ansible_collections.runbook.ops.plugins.module_utils._calendar_rule import CalendarError

BERLIN = "Europe/Berlin"
ZONES = ("UTC", BERLIN, "Europe/Dublin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def due(entry, zone, since, until):
    return [f"{at:%m-%d %H:%M}" for at in occurrences(entry, zone, utc(since), utc(until))]


@pytest.mark.parametrize(
    ("entry", "zone", "lines"),
    [
        pytest.param({"cron": "0 9 * * *"}, BERLIN, ["*-*-* 09:00:00 Europe/Berlin"], id="every day"),
        pytest.param({"cron": "0 10 * * 5"}, "UTC", ["Fri *-*-* 10:00:00 UTC"], id="a day of the week"),
        pytest.param({"cron": "0 4 * * 7"}, "UTC", ["Sun *-*-* 04:00:00 UTC"], id="seven is Sunday too"),
        pytest.param({"cron": "*/5 * * * *"}, BERLIN, ["*-*-* *:00/5:00 UTC"], id="all the time is counted in UTC"),
        pytest.param(
            {"cron": "0 * * * *"}, "Asia/Kolkata", ["*-*-* *:00:00 Asia/Kolkata"], id="but not where half hours differ"
        ),
        pytest.param(
            {"cron": "0 4 1,15 * 1"},
            "UTC",
            ["*-*-01,15 04:00:00 UTC", "Mon *-*-* 04:00:00 UTC"],
            id="cron's either or is two lines",
        ),
        pytest.param(
            {"cron": "0 4 */2 * 1"}, "UTC", ["Mon *-*-01/2 04:00:00 UTC"], id="but a star with a step is both at once"
        ),
        pytest.param(
            {"cron": "0 8-18/5 * jan-mar mon-fri"},
            "UTC",
            ["Mon..Fri *-01..03-* 08,13,18:00:00 UTC"],
            id="names and steps",
        ),
        pytest.param({"cron": "@weekly"}, "UTC", ["Sun *-*-* 00:00:00 UTC"], id="a nickname"),
        pytest.param(
            {"calendar": "Mon *-*-1..7 9:00"}, "UTC", ["Mon *-*-01..07 09:00:00 UTC"], id="a month's first Monday"
        ),
        pytest.param(
            {"calendar": "Mon *-*~07/1 11:00:00"}, "UTC", ["Mon *-*~01..07 11:00:00 UTC"], id="a month's last Monday"
        ),
        pytest.param({"calendar": "daily Asia/Tokyo"}, BERLIN, ["*-*-* 00:00:00 Asia/Tokyo"], id="a zone of its own"),
    ],
)
def test_an_entry_is_written_for_systemd(entry, zone, lines):
    assert to_oncalendar(entry, zone) == lines


@pytest.mark.parametrize(
    ("entry", "since", "until", "expected"),
    [
        pytest.param(
            {"cron": "0 9 * * *"},
            "2026-03-28",
            "2026-03-30",
            ["03-28 08:00", "03-29 07:00"],
            id="the wall clock decides",
        ),
        pytest.param(
            {"cron": "30 2 * * *"},
            "2026-03-28",
            "2026-03-30",
            ["03-28 01:30", "03-29 01:00"],
            id="what does not exist is made up for",
        ),
        pytest.param(
            {"cron": "*/20 2 * * *"}, "2026-03-29", "2026-03-30", ["03-29 01:00"], id="once, however often it is missed"
        ),
        pytest.param(
            {"cron": "0 2,3 * * *"}, "2026-03-29", "2026-03-30", ["03-29 01:00"], id="and not beside what is due then"
        ),
        pytest.param(
            {"cron": "30 2 * * 1-6"},
            "2026-03-29",
            "2026-03-30",
            [],
            id="on a day that it is not due, nothing is missed",
        ),
        pytest.param(
            {"cron": "30 2 * * *"}, "2026-10-25", "2026-10-26", ["10-25 00:30"], id="what comes twice counts once"
        ),
        pytest.param(
            {"calendar": "Mon *-*~07/1 11:00:00 UTC"},
            "2026-02-01",
            "2026-04-01",
            ["02-23 11:00", "03-30 11:00"],
            id="a month's last Monday",
        ),
        pytest.param({"cron": "0 0 29 2 *"}, "2026-01-01", "2029-01-01", ["02-28 23:00"], id="a leap day"),
    ],
)
def test_an_entry_is_due(entry, since, until, expected):
    assert due(entry, BERLIN, since, until) == expected


@pytest.mark.parametrize(
    "entry",
    [
        {"cron": "*/5 * * * *"},
        {"cron": "0 * * * *"},
    ],
)
def test_what_is_due_all_the_time_is_never_late_when_the_clocks_change(entry):
    for day in ("2026-03-28", "2026-10-24"):
        found = occurrences(entry, BERLIN, utc(day), utc(day) + timedelta(days=2))
        assert len({later - earlier for earlier, later in zip(found, found[1:])}) == 1


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param({"cron": "0 9 * *"}, "five fields", id="a field is missing"),
        pytest.param({"cron": "0 24 * * *"}, "not within 0 and 23", id="an hour too late"),
        pytest.param({"cron": "0 9 * * 5-1"}, "backwards", id="backwards"),
        pytest.param({"cron": "5/10 * * * *"}, "neither", id="a step of one number"),
        pytest.param({"cron": "@reboot"}, "five fields", id="a reboot is no time"),
        pytest.param({"calendar": "every now and then"}, "no calendar expression", id="prose"),
        pytest.param({"calendar": "*-*-* */6:00:00"}, "0/5", id="a star with a step"),
        pytest.param({"calendar": "Sat..Mon *-*-*"}, "backwards", id="a week begins on Monday"),
        pytest.param({"calendar": "10:00 Europe/Bärlin"}, "no calendar", id="a zone that is none"),
        pytest.param({"calendar": "10:00 Europe/Berlino"}, "not known", id="a zone that nobody knows"),
        pytest.param({}, "either cron or calendar", id="no time"),
        pytest.param({"cron": "0 9 * * *", "calendar": "daily"}, "either cron or calendar", id="two times"),
    ],
)
def test_a_time_that_is_none_is_refused_by_name(entry, says):
    with pytest.raises(CalendarError, match="evening") as caught:
        occurrences({"name": "evening", **entry}, "UTC", utc("2026-01-01"), utc("2026-02-01"))
    assert says in str(caught.value)


def test_the_last_and_the_next_time_are_found_however_far_they_are():
    entry = {"cron": "0 4 29 2 *"}
    assert latest(entry, "UTC", utc("2027-02-28")) == utc("2024-02-29 04:00")
    assert upcoming(entry, "UTC", utc("2026-02-28")) == [utc("2028-02-29 04:00")]
    assert latest({"cron": "0 4 * * *"}, "UTC", utc("2026-02-28 04:00")) == utc("2026-02-28 04:00")
    assert upcoming({"cron": "0 4 * * *"}, "UTC", utc("2026-02-28 04:00"), 2) == [
        utc("2026-03-01 04:00"),
        utc("2026-03-02 04:00"),
    ]
    assert latest({"calendar": "*-02-31"}, "UTC", utc("2026-02-28")) is None


def naive(cron, zone, since, until):
    """Every minute that there is, asked what the clock on the wall says: what comes twice counts the first time only."""
    minute, hour, day, month, weekday = cron
    found, seen, at = [], set(), since - timedelta(hours=3)
    while at < until:
        wall = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        by_day, by_weekday = wall.day in day[1], wall.isoweekday() % 7 in weekday[1]
        is_day = by_day and by_weekday if day[0].startswith("*") or weekday[0].startswith("*") else by_day or by_weekday
        if (
            wall not in seen
            and wall.minute in minute[1]
            and wall.hour in hour[1]
            and wall.month in month[1]
            and is_day
            and at >= since
        ):
            found.append(at)
        seen.add(wall)
        at += timedelta(minutes=1)
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_any_cron_expression_is_due_when_a_naive_clock_says_so(zone):
    chance = random.Random(zone)
    choices = (
        [("0", {0}), ("*/20", {0, 20, 40}), ("7,30", {7, 30})],
        [("*", set(range(24))), ("2", {2}), ("0-5", set(range(6))), ("9,18", {9, 18})],
        [("*", set(range(1, 32))), ("1-7", set(range(1, 8))), ("*/3", set(range(1, 32, 3)))],
        [("*", set(range(1, 13))), ("3,4,10", {3, 4, 10})],
        [("*", set(range(7))), ("1", {1}), ("0", {0}), ("5-7", {5, 6, 0})],
    )
    starts = [
        utc(day)
        for day in ("2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31", "2026-06-01")
    ]
    for _round in range(12):
        fields = [chance.choice(one) for one in choices]
        since = chance.choice(starts)
        entry = {"cron": " ".join(text for text, _values in fields)}
        found = occurrences(entry, zone, since, since + timedelta(days=2))
        expected = naive(fields, zone, since, since + timedelta(days=2))
        extra = set(found) - set(expected)
        if len(fields[1][1]) == 24 and {len(one[1]) for one in fields[2:]} == {31, 12, 7}:
            assert set(expected) <= set(found)  # the hour that comes twice is two hours for what is due all the time
            continue
        assert set(expected) <= set(found), entry
        # What is more is made up for: the first moment after an hour that was left out.
        for at in extra:
            before, after = (one.astimezone(ZoneInfo(zone)).utcoffset() for one in (at - timedelta(minutes=1), at))
            assert after > before, (entry, at)
