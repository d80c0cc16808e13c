# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters are kept once a day and used by the next review; a look and a prediction leave them alone."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _performance_index as index
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._lock_file import take
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option
from ansible_collections.runbook.ops.plugins.modules import performance_scan

DAY = 86400.0


class Counter:
    """A probe that counts up with each look."""

    def __init__(self):
        self.SECTION = "Test"
        self.OPTIONS = {"before": Option("dict", "x"), "before_at": Option("float", "x")}
        self.count = 0

    def measure(self, _options):
        self.count += 10
        return {"counters": {"count": self.count}}

    @staticmethod
    def judge(measured, options):
        value = measured["counters"]["count"] - (options["before"] or {}).get("count", 0)
        return [make_check(f"counter:{options['name']}", name="x", section="x", status="ok", value=value)]


@pytest.fixture
def look(tmp_path, monkeypatch):
    """Return a function that looks with a fresh Counter each time it is told a day."""
    monkeypatch.setitem(index.OWN, "counter", Counter())
    path = tmp_path / "new" / "state.json"

    def run(day, *, check_mode=False, state=True, since=7 * DAY):
        given = {
            "probes": [{"probe": "counter", "name": "a"}],
            "secrets": {},
            "since_seconds": since,
            "timeout_seconds": 5,
        }
        given["state_path"] = str(path) if state else None
        return performance_scan.run(given, now=1000 * DAY + day * DAY, check_mode=check_mode)

    run.path = path
    return run


def value(result):
    return result["checks"][0]["value"]


def test_a_weeks_figure_is_that_since_the_look_a_week_ago(look):
    assert (value(look(0)), value(look(7))) == (10, 10)
    later = look(14)
    assert (value(later), later["compared_with"]) == (10, {"counter:a": "1972-10-04T00:00:00Z"})
    assert value(look(14, since=14 * DAY)) == 30


@pytest.mark.parametrize("since", [0.0, -DAY])
def test_a_period_of_no_length_is_refused_before_anything_is_measured(look, since):
    with pytest.raises(ValueError, match="say how long the period is"):
        look(0, since=since)
    assert not look.path.exists()


def test_a_second_look_of_a_day_changes_nothing(look):
    assert look(0)["changed"]
    before = look.path.read_bytes()
    assert not look(0.1)["changed"]
    assert look.path.read_bytes() == before


def test_check_mode_predicts_and_writes_nothing(look):
    assert look(0, check_mode=True)["changed"]
    assert not look.path.parent.exists()


def test_without_a_state_it_only_reads(look):
    assert not look(0, state=False)["changed"]
    assert value(look(1, state=False)) == 20


@pytest.mark.parametrize(
    "content", ["", "{", '{"version": 2, "looks": 1}', "[]", '{"version": 1, "looks": [{"at": "x"}]}']
)
def test_a_damaged_state_is_begun_anew_and_kept_beside_it(look, content):
    look.path.parent.mkdir()
    look.path.write_text(content)
    foreseen = look(0, check_mode=True)
    assert [path.name for path in look.path.parent.iterdir()] == [look.path.name]
    told = look(0)
    for result in (foreseen, told):
        assert (result["checks"][-1]["id"], result["status"]) == ("performance:state", "warning")
        assert result["summary"]["warning"] == 1 and str(look.path) in result["msg"]
    assert value(told) == 20
    assert len(json.loads(look.path.read_text())["looks"]) == 1
    assert look.path.with_name("state.json.damaged").read_text() == content
    assert look(1)["status"] == "ok"


def test_one_that_is_damaged_again_replaces_none_that_was_put_aside(look):
    look(0)
    for content in ("first", "second"):
        look.path.write_text(content)
        look(1)
    names = ("state.json.damaged", "state.json.damaged2")
    assert [look.path.with_name(name).read_text() for name in names] == ["first", "second"]


def test_the_looks_that_are_whole_stay(look):
    look(0)
    kept = json.loads(look.path.read_bytes())
    look.path.write_text(json.dumps({**kept, "looks": [*kept["looks"], {"at": "x"}, 7]}))
    told = look(7)
    assert value(told) == 10
    assert "2 of its looks are damaged" in told["checks"][-1]["detail"]


def test_what_is_kept_is_for_its_owner_only(look):
    look(0)
    assert look.path.stat().st_mode & 0o777 == 0o600


def test_what_another_run_noted_meanwhile_stays(look, monkeypatch):
    look(0)
    other = [
        {"at": 1000 * DAY, "counters": {"counter:b": {"count": 1}}},
        {"at": 1001 * DAY + 60, "counters": {"x": {}}},
    ]
    counter = index.OWN["counter"]
    measure = counter.measure

    def slow(options):
        kept = json.loads(look.path.read_bytes())
        look.path.write_text(json.dumps({**kept, "looks": [*kept["looks"], *other]}))
        return measure(options)

    monkeypatch.setattr(counter, "measure", slow)
    look(1)
    names = [name for one in json.loads(look.path.read_bytes())["looks"] for name in one["counters"]]
    assert sorted(names) == ["counter:a", "counter:a", "counter:b", "x"]


def test_who_holds_the_state_for_long_is_named(look, monkeypatch):
    look(0)
    held = take(look.path.with_name(".state.json.lock"))
    monkeypatch.setattr(performance_scan, "LOCK_SECONDS", 0.1)
    before = look.path.read_bytes()
    with pytest.raises(OSError, match=r"process \d+ holds it"):
        look(1)
    os.close(held)
    assert look.path.read_bytes() == before
