# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaign that kills deploys says so where it has killed nothing, or where users were cut off."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "deploy_kills.py"
LIVE = {"slot": "green", "release": "r1", "label": "shop-new"}
APP = {"name": "shop-new", "status": "online", "cwd": "/srv", "pid": 1, "release": "r1", "restarts": 0}
AFTER = {
    "journal": None,
    "owner": None,
    "live": {"now": LIVE},
    "link": "green.sock",
    "apps": [APP],
    "dump": [["shop-new", "/srv"]],
    "ledger": [],
    "whole": ["r1"],
    "directories": ["r1"],
    "begun": [],
    "modules": 0,
}


@pytest.fixture(scope="module")
def kills() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_kills", CAMPAIGN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    path = [*sys.path]
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


def made(kills: ModuleType, run: str = "deploy", point: str | None = "live:linked") -> Any:
    return kills.Round(run, point, 0.0, "tree", "maintenance", twice=False)


def test_a_point_that_no_run_reached_is_told(kills: ModuleType) -> None:
    rounds = [(made(kills), 0), (made(kills, "rollback"), 1), (made(kills, point="live:renamed"), 0)]
    assert kills.missed([*rounds, (made(kills, point=None), 0), (made(kills, point="release:mirror"), 0)]) == [
        "live:renamed"
    ]


@pytest.mark.parametrize(
    ("run", "why", "wrong"),
    [
        pytest.param("bad", {"wrong: 500": 3}, [], id="the wrong answers of a bad version"),
        pytest.param("bad", {"wrong: 500": 3, "reset: no answer": 1}, ["4 requests failed"], id="a bad one cut off"),
        pytest.param("bad", {"wrong: 502": 1}, ["1 requests failed"], id="nobody behind nginx"),
        pytest.param("deploy", {"wrong: 500": 1}, ["1 requests failed"], id="a good version"),
    ],
)
def test_only_the_answers_of_a_bad_version_are_excused(
    kills: ModuleType, run: str, why: dict[str, int], wrong: list[str]
) -> None:
    users = {"failed": sum(why.values()), "why": why}
    answer = '{"version":"1.1.0","commit":"abc"}'
    seen = kills.Seen(1, "", "1.1.0", [answer], 0, "", AFTER, None, 0, ("1.1.0", "1.1.0"), users)
    found = kills.violations(made(kills, run), seen, {"1.1.0": "abc"})
    assert [words.partition(":")[0] for words in found] == wrong
