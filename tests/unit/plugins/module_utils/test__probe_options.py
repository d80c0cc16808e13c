# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options come in their type, or are refused in one line."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits, read_options

OPTIONS = {
    "path": Option("str", "a path", required=True),
    "paths": Option("list", "paths", []),
    "count": Option("int", "how many", 3, choices=(1, 3, 5)),
    "status": Option("integers", "statuses", [200]),
    "verify": Option("bool", "whether", True),
    "json": Option("dict", "what"),
    "percent": Option("limits", "how full", limits(80, 90)),
}


def read(**raw):
    return read_options({"probe": "x", "path": "/", **raw}, OPTIONS, where="probes[0] (x)")


def test_defaults_are_filled_in():
    values = read()
    assert values["percent"] == {"warning": 80, "critical": 90}
    assert (values["count"], values["verify"], values["timeout_seconds"], values["name"]) == (3, True, 5.0, None)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("paths", "/one", ["/one"]),
        ("paths", ["/one", "/two"], ["/one", "/two"]),
        ("count", "5", 5),
        ("status", 204, [204]),
        ("status", ["200", 301], [200, 301]),
        ("verify", "no", False),
        ("json", {"a": 1}, {"a": 1}),
        ("percent", {"warning": 70}, {"warning": 70.0, "critical": None}),
        ("percent", {"critical": "95"}, {"warning": None, "critical": 95.0}),
        ("paths", None, []),
    ],
)
def test_a_value_is_read_in_its_type(key, value, expected):
    assert read(**{key: value})[key] == expected


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("paths", {"a": 1}, "paths must be a list of text, not {'a': 1}"),
        ("paths", [["/"]], "paths must be a list of text"),
        ("count", "many", "count must be a whole number, not 'many'"),
        ("count", 2.5, "count must be a whole number"),
        ("count", 4, "count must be one of 1, 3, 5, not 4"),
        ("verify", "maybe", "verify must be true or false, not 'maybe'"),
        ("json", "x", "json must be a mapping"),
        ("percent", {"warn": 80}, "percent must be a mapping with warning and critical"),
        ("percent", 80, "percent must be a mapping"),
        ("percent", {"warning": float("nan")}, "percent must be a mapping"),
        ("path", None, "path is missing: a path"),
        ("path", True, "path must be text"),
        ("timeout_seconds", 0, "timeout_seconds must be more than 0"),
        ("pth", "/", "there is no option 'pth', did you mean 'path'?; allowed are about, count"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(key, value, words):
    with pytest.raises(ValueError, match=r"^probes\[0\] \(x\): ") as refused:
        read(**{key: value})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
