# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A summary tells what is wrong first, with what follows from it, then what changed, and what was not looked at."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_summary import (
    as_text,
    changes,
    gaps,
    troubles,
    verdict,
)


def check(identity, status, because=None):
    made = make_check(identity, name=identity, section="S", status=status, detail="it is so", remedy="do this")
    return {**made, "because": because}


def topic(name, error=None, events=()):
    return {
        "topic": name,
        "title": name.title(),
        "status": "failed" if error else "collected",
        "error": error,
        "note": f"{name} noted",
        "seconds": 0.1,
        "cut": False,
        "events": list(events),
        "text": "x",
    }


HOSTS = [
    {
        "host": "web",
        "checks": [
            check("log", "warning"),
            check("api", "critical", "db"),
            check("disk", "ok"),
            check("db", "critical"),
            check("lone", "critical", "gone"),
        ],
        "topics": [
            topic("load"),
            topic("docker", "not installed"),
            topic("packages", events=[{"at": 100, "what": "install", "text": f"p{n}"} for n in range(9)]),
        ],
    },
    {"host": "db", "error": "not reached: timed out"},
]


def test_the_worst_comes_first_and_consequences_stand_below_their_cause():
    found = [(root["check"]["id"], [one["id"] for one in root["consequences"]]) for root in troubles(HOSTS)]
    assert found == [("db", ["api"]), ("lone", []), ("log", [])]


def test_the_verdict_counts_and_names_lost_hosts():
    assert verdict(HOSTS) == "3 critical, 1 warning, 1 of 2 hosts not reached"
    assert verdict([{"host": "a", "checks": []}]) == "no check is bad"


def test_what_was_not_looked_at_is_said():
    assert gaps(HOSTS) == ["db: not reached: timed out", "web: Docker: not installed"]


def test_many_changes_of_a_kind_at_once_are_one_line():
    assert [one["text"] for one in changes(HOSTS)] == ["9 at once: p0, p1, p2, p3, p4, p5, …"]


def test_the_text_has_it_all_in_order():
    text = as_text("Diagnosis of shop", HOSTS, at=160)
    order = [
        "Diagnosis of shop",
        "WHAT IS WRONG",
        "critical  web: db: it is so",
        "→ do this",
        "follows from it: api",
        "NOT LOOKED AT",
        "WHAT CHANGED LATELY",
        "1970-01-01 00:01:40Z        1m  web  install",
        "WHAT STANDS OUT",
        "web/load.txt: load noted",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
