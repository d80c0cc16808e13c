# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Periods begin at midnight of their time zone, on both changes of the clocks."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._report_period import before, period_of

AT = datetime(2026, 4, 2, 8, tzinfo=timezone.utc)


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("name", "label", "since", "until", "earlier"),
    [
        ("2026-W13", "Week 13, 23 to 29 March 2026", "2026-03-22T23:00", "2026-03-29T22:00", "2026-W12"),
        ("2026-03", "March 2026", "2026-02-28T23:00", "2026-03-31T22:00", "2026-02"),
        ("2026-Q1", "Quarter 1 of 2026", "2025-12-31T23:00", "2026-03-31T22:00", "2025-Q4"),
        ("2025", "2025", "2024-12-31T23:00", "2025-12-31T23:00", "2024"),
    ],
)
def test_the_last_whole_period(name: str, label: str, since: str, until: str, earlier: str) -> None:
    kind = "week" if "W" in name else "quarter" if "Q" in name else "month" if "-" in name else "year"
    period = period_of(kind, AT, "Europe/Berlin")
    assert (period.name, period.label, iso(period.since), iso(period.until)) == (name, label, since, until)
    assert (before(period).name, before(period).until) == (earlier, period.since)


def test_the_period_that_runs_ends_now() -> None:
    period = period_of("month", AT, "Europe/Berlin", current=True)
    assert (period.name, iso(period.until), period.label) == (
        "2026-04",
        "2026-04-02T08:00",
        "April 2026, until 2 April 08:00 UTC",
    )


def test_a_week_over_new_year_names_both_years() -> None:
    period = period_of("week", datetime(2027, 1, 6, tzinfo=timezone.utc), None)
    assert (period.name, period.label) == ("2026-W53", "Week 53, 28 December 2026 to 3 January 2027")


@pytest.mark.parametrize(("kind", "zone"), [("fortnight", "UTC"), ("week", "Mars/Olympus"), ("week", "../etc/passwd")])
def test_what_is_not_known_is_said(kind: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"must be one of|knows no time zone"):
        period_of(kind, AT, zone)
