# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A description against its specification."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._contract import (
    UNREADABLE,
    nearest,
    normalise,
    plain,
    secrets,
)

OPTIONS: dict[str, Any] = {
    "ops_system": {
        "type": "dict",
        "required": True,
        "description": "The system.",
        "options": {"name": {"type": "str", "required": True, "description": "Short name."}},
    },
    "ops_things": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "mutually_exclusive": [["path", "url"]],
        "required_one_of": [["path", "url"]],
        "required_if": [["kind", "square", ["json"]]],
        "options": {
            "name": {"type": "str"},
            "kind": {"type": "str", "choices": ["round", "square"], "default": "round"},
            "count": {"type": "int", "default": 3},
            "share": {"type": "float"},
            "wanted": {"type": "bool", "default": False},
            "path": {"type": "path"},
            "url": {"type": "str"},
            "max_age": {"type": "str", "default": "10s"},
            "password": {"type": "str", "no_log": True},
            "json": {"type": "dict"},
            "tags": {"type": "list", "elements": "str"},
            "health": {"type": "dict", "options": {"port": {"type": "int", "default": 80}}},
            "limits": {"type": "dict", "default": {}, "options": {"memory": {"type": "str"}}},
        },
    },
}


def described(**thing: Any) -> dict[str, Any]:
    return {"ops_system": {"name": "s"}, "ops_things": [{"path": "/x", **thing}]}


def problems_of(**thing: Any) -> list[str]:
    return normalise(described(**thing), OPTIONS)[1]


def test_defaults_are_filled_in_and_what_is_missing_is_null_or_empty() -> None:
    system, problems = normalise(described(name="a"), OPTIONS)
    assert problems == []
    assert system == {
        "system": {"name": "s"},
        "things": [
            {
                "name": "a",
                "kind": "round",
                "count": 3,
                "share": None,
                "wanted": False,
                "path": "/x",
                "url": None,
                "max_age_seconds": 10,
                "password": None,
                "json": None,
                "tags": [],
                "health": None,
                "limits": {"memory_bytes": None},
            }
        ],
    }


def test_a_part_that_is_not_described_has_its_default() -> None:
    assert normalise({"ops_system": {"name": "s"}}, OPTIONS)[0]["things"] == []


def test_an_empty_text_counts_as_missing() -> None:
    system, problems = normalise(described(password="", max_age=""), OPTIONS)
    assert problems == []
    assert (system["things"][0]["password"], system["things"][0]["max_age_seconds"]) == (None, 10)


def test_a_mapping_that_is_given_gets_its_inner_defaults() -> None:
    assert normalise(described(health={}), OPTIONS)[0]["things"][0]["health"] == {"port": 80}


PROBLEMS = [
    ({"urll": "x"}, "ops_things[0].urll is not known: did you mean url?"),
    ({"name": "a", "qqqqq": 1}, "ops_things[0].qqqqq is not known (a): known are "),
    ({"kind": "squar"}, "ops_things[0].kind is 'squar': use one of round, square; did you mean square?"),
    ({"count": "x"}, "ops_things[0].count is 'x': write a number"),
    ({"count": 1.5}, "ops_things[0].count is 1.5: write a whole number"),
    ({"count": -1}, "ops_things[0].count is -1: write a number that is not negative"),
    ({"count": True}, "ops_things[0].count is True: write a number"),
    ({"share": float("nan")}, "ops_things[0].share is nan: write a number"),
    ({"wanted": "perhaps"}, "ops_things[0].wanted is 'perhaps': write true or false"),
    ({"name": True}, "ops_things[0].name is True: write a text"),
    ({"name": 1.1}, "ops_things[0].name is 1.1: write a text; in quotes"),
    ({"max_age": 26}, "ops_things[0].max_age is 26: write a duration with its unit"),
    ({"tags": "one"}, "ops_things[0].tags is 'one': write a list"),
    ({"tags": ["a", {}]}, "ops_things[0].tags[1] is a mapping: write a text"),
    ({"json": "x"}, "ops_things[0].json is 'x': write a mapping"),
    ({"health": {"port": 70000}}, "ops_things[0].health.port is 70000: a port is a number between 1 and 65535"),
    ({"url": "https://a"}, "ops_things[0] has path and url: write only one of path, url"),
    ({"path": None}, "ops_things[0] has none of path, url: write one of them"),
    ({"kind": "square"}, "ops_things[0].json is missing: kind square needs it"),
    ({"name": "x" * 200, "kind": "y" * 200}, "ops_things[0].kind is 'yyy"),
]


@pytest.mark.parametrize(("thing", "line"), PROBLEMS, ids=[line[14:50] for _, line in PROBLEMS])
def test_a_problem_names_path_value_and_what_is_allowed(thing: dict[str, Any], line: str) -> None:
    problems = problems_of(**thing)
    assert len(problems) == 1
    assert problems[0].startswith(line)
    assert len(problems[0].splitlines()) == 1


def test_all_problems_are_said_at_once() -> None:
    _, problems = normalise({"ops_sistem": {}, "ops_things": ["x", {"count": -1}]}, OPTIONS)
    assert [problem.partition(":")[0] for problem in problems] == [
        "ops_sistem is not known",
        "ops_system is missing",
        "ops_things[0] is (secret)",
        "ops_things[1] has none of path, url",
        "ops_things[1].count is -1",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ops_things": {"password": "hunter2"}},
        {"ops_things": ["hunter2"]},
        {"ops_things": "hunter2"},
        {"ops_things": [{"path": "/x", "password": ["hunter2"]}]},
        {"ops_things": [{"path": "/x", "password": 1.5}]},
        {"ops_things": [{"path": "/x", "pasword": "hunter2"}]},
    ],
    ids=["mapping", "list", "text", "list inside", "number", "mistyped key"],
)
def test_no_problem_shows_what_may_be_a_secret(wrong: dict[str, Any]) -> None:
    text = "\n".join(normalise({"ops_system": {"name": "s"}, **wrong}, OPTIONS)[1])
    assert text
    assert "hunter2" not in text
    assert "1.5" not in text


def test_a_value_that_could_not_be_read_is_no_second_problem() -> None:
    assert problems_of(count=UNREADABLE, tags=UNREADABLE, health=UNREADABLE) == []


def test_texts_of_templates_become_numbers_and_truths() -> None:
    thing = normalise(described(count="4", share="0.5", wanted="True"), OPTIONS)[0]["things"][0]
    assert (thing["count"], thing["share"], thing["wanted"]) == (4, 0.5, True)


def test_secrets_are_found_wherever_they_stand() -> None:
    assert secrets(
        {"ops_things": [{"password": "a"}, {"password": ""}, {"password": "b"}, 1], "ops_x": 1}, OPTIONS
    ) == ["a", "b"]


class Tagged(str):
    """What Ansible ties to a text."""

    __slots__ = ()


def test_plain_values_have_exact_types() -> None:
    result = plain({Tagged("a"): [Tagged("b"), 1, 1.5, True, None, datetime.date(2026, 2, 5)]})
    assert result == {"a": ["b", 1, 1.5, True, None, "2026-02-05"]}
    assert {type(key) for key in result} == {str}
    assert type(result["a"][0]) is str


def test_the_nearest_word_is_named_or_else_all() -> None:
    assert nearest("servces", ["services", "system"]) == "did you mean services?"
    assert nearest("zzz", ["b", "a"]) == "known are a, b"
    assert nearest("zzz", []) == "known are none"
