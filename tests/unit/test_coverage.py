# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The map from runbook steps to playbooks, roles and tests is complete, and true."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = {
    "procedures": {"health-check": {"title": "Health check", "group": "Daily"}},
    "systems": {
        "shop": {"title": "A shop", "steps": {"health-check": {f"shop-daily-{n:02}": "…" for n in range(1, 5)}}}
    },
}


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_table", ROOT / "tools" / "coverage_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = tool()


def test_every_step_of_the_runbooks_is_mapped_exactly_once() -> None:
    catalogue = TOOL.load("catalogue_ids.yml")
    assert len(TOOL.catalogue_ids(catalogue)) == 897
    assert TOOL.mapping_problems(TOOL.load("coverage.yml"), catalogue) == []


def test_every_playbook_role_and_test_that_is_named_exists() -> None:
    assert TOOL.file_problems(TOOL.load("coverage.yml")) == []


def test_the_table_for_people_is_up_to_date() -> None:
    text = TOOL.table(TOOL.load("coverage.yml"), TOOL.load("catalogue_ids.yml"))
    assert (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8") == text, "run tools/coverage_table.py"


@pytest.mark.parametrize(
    ("coverage", "problem"),
    [
        pytest.param({"open": ["shop-daily-01..03"]}, "shop-daily-04 is not mapped", id="a step is forgotten"),
        pytest.param(
            {"open": ["shop-daily-01..04", "shop-daily-02"]},
            "shop-daily-02 is mapped 2 times",
            id="a step is mapped twice",
        ),
        pytest.param({"open": ["shop-daily-01..05"]}, "shop-daily-05 is in no runbook", id="a step is invented"),
        pytest.param(
            {"open": ["shop-daily-04..01"]}, "'shop-daily-04..01' ends before it begins", id="a range is upside down"
        ),
        pytest.param(
            {"open": ["shop-daily-01..03"], "human": [{"steps": "shop-daily-04", "how": ""}]},
            "human: {'steps': 'shop-daily-04', 'how': ''} needs exactly how, steps",
            id="it is not said how the collection helps",
        ),
    ],
)
def test_a_wrong_map_is_refused(coverage: dict[str, Any], problem: str) -> None:
    assert problem in TOOL.mapping_problems(coverage, CATALOGUE)


def test_ranges_and_ids_mean_each_other() -> None:
    ids = ["shop-daily-01", "shop-daily-02", "shop-daily-04", "shop-weekly-05"]
    assert TOOL.ranges(ids) == ["shop-daily-01..02", "shop-daily-04", "shop-weekly-05"]
    assert [step for each in TOOL.ranges(ids) for step in TOOL.expand(each)] == ids


def test_a_playbook_that_does_not_exist_is_named(tmp_path: Path) -> None:
    entry = {"steps": "shop-daily-01", "playbook": "nowhere", "role": "nothing", "test": "tests/none.py"}
    problems = TOOL.file_problems({"done": [entry]}, tmp_path)
    assert problems == [
        "shop-daily-01: playbooks/nowhere.yml is not there",
        "shop-daily-01: roles/nothing/tasks is not there",
        "shop-daily-01: tests/none.py is not there",
    ]
