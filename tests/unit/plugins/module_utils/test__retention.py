# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep rules: what they mean, and what no rule can do."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import read_dates
from ansible_collections.runbook.ops.plugins.module_utils._retention import (
    COUNTED,
    RetentionError,
    describe_keep,
    prune,
    read_keep,
)

NOW = datetime(2026, 11, 21, 8)
DAY = 86_400


def name_at(moment):
    return f"b_{moment:%Y%m%d_%H%M%S}.sql"


def moment_of(name):
    return datetime.strptime(name, "b_%Y%m%d_%H%M%S.sql")


def nightly(count, *, newest=datetime(2026, 11, 21, 2)):
    return [name_at(newest - timedelta(days=n)) for n in range(count)]


def plan_for(names, *, broken=(), now=NOW, minimum=3, **keep):
    return prune(
        read_dates(names).backups, keep=keep, now=now, minimum=minimum, is_good=lambda name: name not in broken
    )


def left(names, **options):
    """Return what stays, newest first."""
    gone = {key[15:] for key in plan_for(names, **options).delete}
    return sorted(set(names) - gone, reverse=True)


def days_left(names, **options):
    return [moment_of(name).strftime("%m-%d") for name in left(names, **options)]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        pytest.param({"last": 4}, ["11-21", "11-20", "11-19", "11-18"], id="last counts backups"),
        pytest.param({"daily": 4}, ["11-21", "11-20", "11-19", "11-18"], id="daily counts days"),
        pytest.param({"weekly": 3}, ["11-21", "11-15", "11-08"], id="weekly keeps the newest of an ISO week"),
        pytest.param({"monthly": 3}, ["11-21", "10-31", "09-30"], id="monthly keeps the newest of a month"),
        pytest.param({"yearly": 1}, ["11-21"], id="yearly keeps the newest of a year"),
        pytest.param({"within": 2 * DAY}, ["11-21", "11-20", "11-19"], id="within includes its limit"),
        pytest.param({"last": 2, "monthly": 2}, ["11-21", "11-20", "10-31"], id="one rule suffices"),
    ],
)
def test_a_rule_keeps_what_its_name_says(keep, expected):
    assert days_left(nightly(100), minimum=1, **keep) == expected


def test_days_without_a_backup_use_up_no_count():
    names = [name_at(datetime(2026, month, 1)) for month in range(1, 11)]
    assert len(left(names, daily=5)) == 5


def test_a_rule_with_counts_left_keeps_the_oldest_backup_too():
    assert days_left(nightly(20), minimum=1, monthly=12) == ["11-21", "11-02"]


def test_minus_one_keeps_all():
    assert len(left(nightly(100), daily=-1)) == 100


def test_within_counts_from_the_newest_backup_so_backups_that_stopped_stay():
    stopped = nightly(60, newest=datetime(2025, 1, 1))
    assert len(left(stopped, within=90 * DAY)) == 60


def test_a_clock_that_is_years_off_changes_nothing_or_stops_everything():
    names = nightly(100)
    usual = left(names, within=30 * DAY)
    assert left(names, within=30 * DAY, now=NOW + timedelta(days=9_000)) == usual
    assert left(names, within=30 * DAY, now=datetime(1970, 1, 1)) == sorted(names, reverse=True)


def test_a_backup_dated_in_the_future_stays_and_shifts_nothing():
    future = name_at(datetime(2036, 1, 1))
    plan = plan_for([*nightly(100), future], within=30 * DAY)
    assert plan.in_future == [future]
    assert left([*nightly(100), future], within=30 * DAY) == [future, *left(nightly(100), within=30 * DAY)]


def test_a_backup_of_today_in_another_time_zone_is_not_in_the_future():
    assert plan_for([name_at(NOW + timedelta(hours=13))], last=1).in_future == []


def test_a_backup_that_is_not_good_uses_up_no_count():
    names = nightly(10)
    assert left(names, last=3, broken={names[1]}) == [names[0], names[2], names[3]]


def test_a_broken_backup_newer_than_the_newest_good_one_stays_as_evidence():
    names = nightly(10)
    assert left(names, last=3, broken=set(names[:2])) == [*names[:2], *names[2:5]]
    assert plan_for(names, last=3, broken=set(names[:2])).newest_good == names[2]


def test_nothing_goes_while_no_backup_is_good():
    plan = plan_for(nightly(10), last=1, broken=set(nightly(10)))
    assert (plan.delete, plan.newest_good) == ([], None)


def test_the_minimum_stays_whatever_the_rules_say():
    assert len(left(nightly(10), last=1, minimum=5)) == 5
    assert len(left(nightly(2), last=1, minimum=5)) == 2


def test_the_newest_good_backup_stays_even_without_a_minimum():
    assert left(nightly(10), within=1, minimum=0) == nightly(1)


def test_the_plan_says_which_rule_keeps_how_many():
    assert plan_for(nightly(100), within=6 * DAY, monthly=2).kept_by == {"within": 7, "monthly": 2, "minimum": 3}


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        pytest.param({}, "holds no rule", id="nothing"),
        pytest.param({"last": None, "within": None}, "holds no rule", id="nothing set"),
        pytest.param({"last": 0}, "holds no rule", id="zero"),
        pytest.param({"dayly": 7}, "does not know dayly", id="a typing error"),
        pytest.param({"last": -2}, "last must not be negative", id="a negative count"),
        pytest.param({"within": -1}, "within must not be negative", id="a negative duration"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(keep, message):
    with pytest.raises(RetentionError, match=message):
        plan_for(nightly(3), **keep)


def test_within_may_reach_beyond_the_calendar():
    assert len(left(nightly(10), within=1e12)) == len(left(nightly(10), within=1e9 * 60)) == 10


@pytest.mark.parametrize("written", [{"within": "90d"}, {"within_seconds": 7776000}, {"within": "7776000"}])
def test_within_is_a_duration_however_it_is_written(written):
    assert read_keep({**written, "last": 7, "daily": None}) == {"within": 7776000, "last": 7}


def test_a_rule_reads_back_in_words():
    assert describe_keep({"within": 90 * DAY, "last": 7, "daily": None}) == "last 7, within 90d"


# The rules once more, written as naively as they read, to compare with.

BUCKETS = {
    "last": lambda moment: moment,
    "hourly": lambda moment: (moment.date(), moment.hour),
    "daily": lambda moment: moment.date(),
    "weekly": lambda moment: tuple(moment.isocalendar())[:2],
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: moment.year,
}


def naive(names, keep, broken, minimum, now):
    usable = sorted((n for n in names if moment_of(n) <= now + timedelta(days=1)), reverse=True)
    good = [n for n in usable if n not in broken]
    if not good:
        return set(names)
    kept = {n for n in names if n not in usable} | {n for n in usable if n > good[0]} | set(good[: max(minimum, 1)])
    for rule in COUNTED:
        count, last = keep.get(rule) or 0, None
        for n in good:
            bucket = BUCKETS[rule](moment_of(n))
            if count and (bucket != last or n == usable[-1]):
                kept.add(n)
                last, count = bucket, count - 1
    if keep.get("within") is not None:
        kept |= {n for n in usable if moment_of(n) >= moment_of(good[0]) - timedelta(seconds=keep["within"])}
    return kept


@pytest.mark.parametrize("seed", range(300))
def test_any_set_of_backups_is_pruned_as_the_naive_rules_say_and_only_once(seed):
    dice = random.Random(seed)
    spread = dice.choice([3, 40, 800, 4_000])
    moments = {NOW - timedelta(minutes=dice.randrange(-2 * 1440, spread * 1440)) for _ in range(dice.randrange(1, 120))}
    names = [name_at(moment) for moment in moments]
    broken = {name for name in names if dice.random() < dice.choice([0, 0.1, 0.9])}
    keep = {rule: dice.choice([-1, 1, 2, 5, 30]) for rule in COUNTED if dice.random() < 0.3}
    if dice.random() < 0.5 or not keep:
        keep["within"] = dice.choice([1, 3_600, DAY, 30 * DAY, 900 * DAY])
    minimum = dice.randrange(6)
    options = {"broken": broken, "minimum": minimum, **keep}

    stays = set(left(names, **options))

    assert stays == naive(names, keep, broken, minimum, NOW)
    assert set(left(list(stays), **options)) == stays, "a second run found something to delete"
    good = sorted((n for n in names if n not in broken and moment_of(n) <= NOW + timedelta(days=1)), reverse=True)
    assert set(good[: max(minimum, 1)]) <= stays, "the newest good backups are the point of it all"


def verified_plan(names, verified, count, *, proven=(), **options):
    floors = {"verified": (count, verified.__contains__), "proven": (1, proven.__contains__)}
    return prune(read_dates(names).backups, keep=options, now=NOW, minimum=0, is_good=bool, floors=floors)


def test_a_floor_keeps_the_newest_of_which_something_is_true_whatever_the_rules_say():
    names = nightly(10)
    plan = verified_plan(names, set(names[4:8]), 2, proven={names[9]}, last=1)
    assert [key[15:] for key in plan.delete] == [names[8], names[7], names[6], *names[3:0:-1]]
    assert plan.kept_by == {"last": 1, "verified": 2, "proven": 1}
    assert plan.newest_of["verified"][15:] == names[4]
    assert plan.reasons[plan.newest_of["proven"]] == ("proven",)


@pytest.mark.parametrize(
    ("keep", "oldest"),
    [
        pytest.param({"last": 2}, 1, id="by a count"),
        pytest.param({"last": 2, "within": 3 * DAY}, 3, id="by age"),
    ],
)
def test_the_oldest_that_a_rule_keeps_is_known_apart_from_the_floors(keep, oldest):
    names = nightly(10)
    floors = {"verified": (1, {names[8]}.__contains__)}
    plan = prune(read_dates(names).backups, keep=keep, now=NOW, minimum=0, floors=floors)
    assert plan.oldest_by_rule(floors)[15:] == names[oldest]


@pytest.mark.parametrize("thousand", range(10))
def test_ten_thousand_sets_clocks_and_rules_never_cost_one_of_the_newest_verified(thousand):
    dice = random.Random(f"floors {thousand}")
    for _ in range(1000):
        spread = dice.choice([1, 30, 900]) * 86_400
        clock = NOW + timedelta(seconds=dice.randrange(-2 * spread, 4 * spread))
        names = [name_at(NOW - timedelta(seconds=dice.randrange(spread))) for _ in range(dice.randrange(1, 16))]
        names = sorted(set(names), reverse=True)
        broken = {name for name in names if dice.random() < dice.choice([0, 0.3, 0.9])}
        verified = {name for name in names if name not in broken and dice.random() < dice.choice([0, 0.2, 0.9])}
        keep = {dice.choice(COUNTED): dice.choice([1, 2, 7]) for _ in range(dice.randrange(3))}
        if not keep or dice.random() < 0.3:
            keep["within"] = dice.choice([1, 3_600, 30 * DAY])
        minimum, count = dice.randrange(3), dice.randrange(1, 5)
        backups = read_dates([*names, "foreign", "b_20260230_000000.sql"]).backups
        floors = {"verified": (count, verified.__contains__)}

        plan = prune(
            backups,
            keep=keep,
            now=clock,
            minimum=minimum,
            is_good=set(names).difference(broken).__contains__,
            floors=floors,
        )

        gone = {key[15:] for key in plan.delete}
        held = [name for name in names if name in verified and moment_of(name) <= clock + timedelta(days=1)][:count]
        assert gone == set(names) - naive(names, keep, broken, minimum, clock) - set(held)
        assert not gone & {name for name in names if name in verified} & set(sorted(verified, reverse=True)[:count])
        assert len(verified) > count or not gone & verified, "fewer are verified than are to stay, and one of them goes"
