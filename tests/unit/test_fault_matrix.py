# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault matrix is complete, its page is up to date, and who judges by it is not content with less than it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_matrix", ROOT / "tests" / "faults" / "_matrix.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["_matrix"] = module
    spec.loader.exec_module(module)
    return module


matrix = load()
FAULTS = [fault for system in matrix.systems().values() for fault in system.faults]


def check(identity: str, status: str = "critical", because: str | None = None, **more: Any) -> dict[str, Any]:
    said = {"name": identity, "value": None, "limit": None, "detail": "it is down", "remedy": "start it"}
    return {"id": identity, "status": status, "because": because, **said, **more}


def test_five_systems_have_at_least_thirty_different_faults():
    assert set(matrix.systems()) == {"owlivion", "plugspace", "newsletter", "mediasearch", "lifeplatform"}
    assert len({fault.fault for fault in FAULTS}) >= 30


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.fault)
def test_a_fault_says_what_must_be_found_of_it_and_how_bad_that_is(fault: Any):
    assert fault.inject.strip() and fault.restore.strip() and fault.found
    for wanted in fault.found:
        assert {"id", "status"} <= set(wanted) <= {"id", "name", "status", "value", "limit", "detail"}
        assert len(wanted) > 2, "beside its status, the name, value, limit or words of what is found"


FAULT = matrix.Fault(
    fault="the database is stopped",
    inject="stop",
    restore="start",
    found=[{"id": "db", "name": "db", "status": "critical", "value": "< 1", "limit": 1, "detail": "down"}],
    follows=["app", "site*"],
    also=["db:*"],
)
DB = check("db", value=0, limit=1)


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        pytest.param([DB, check("other", "ok")], "", id="found"),
        pytest.param([DB, check("app", because="db"), check("site:1", because="app")], "", id="and what follows"),
        pytest.param([DB, check("db:restarts", "warning")], "", id="and what tells of the same"),
        pytest.param([check("db", "ok", value=0, limit=1)], "status is 'ok'", id="not found"),
        pytest.param([check("other", "ok")], "db is missing", id="not looked at"),
        pytest.param([check("db", value=1, limit=1)], "value is 1", id="another value"),
        pytest.param([check("db", value=0, limit=2)], "limit is 2", id="another limit"),
        pytest.param([{**DB, "name": "x"}], "name is 'x'", id="another name"),
        pytest.param([{**DB, "remedy": None}], "says neither", id="no word on what to do"),
        pytest.param([{**DB, "because": "app"}], "said to follow from app", id="a cause that is told as a consequence"),
        pytest.param([DB, check("app")], "not said to follow", id="a consequence that is told as a fault"),
        pytest.param([DB, check("app", because="x")], "not said to follow", id="a consequence of something else"),
        pytest.param([DB, check("disk", "warning", because="db")], "disk is warning", id="a false alarm"),
    ],
)
def test_what_is_found_must_be_just_what_the_matrix_says(checks: list[dict[str, Any]], words: str):
    found = "; ".join(matrix.differences(checks, FAULT))
    assert words in found and bool(found) == bool(words)


@pytest.mark.parametrize(
    ("value", "wanted", "met"),
    [
        pytest.param(92.4, ">= 90, < 100", True, id="within"),
        pytest.param(100, ">= 90, < 100", False, id="beyond"),
        pytest.param(None, ">= 90", False, id="nothing"),
        pytest.param("failed", "failed", True, id="a word"),
        pytest.param("warning", ["warning", "critical"], True, id="one of them"),
        pytest.param("ok", ["warning", "critical"], False, id="none of them"),
    ],
)
def test_a_value_is_compared_as_it_is_written(value: Any, wanted: Any, met: bool):
    assert matrix.meets(value, wanted) is met


def test_the_table_of_the_faults_is_up_to_date():
    tool = [sys.executable, str(ROOT / "tools" / "fault_table.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
