# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is to be killed at a point of it: what it said is told where it never comes there, and at once where it ended."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

FAULTS = Path(__file__).resolve().parents[1] / "faults"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faults", FAULTS / "__init__.py")
    assert spec is not None and spec.loader is not None
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    return importlib.import_module("faults._kill")


kill_stopped = load().kill_stopped


def run_of(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_a_run_that_ended_before_is_not_waited_for_and_says_why() -> None:
    over = threading.Event()
    try:
        with pytest.raises(AssertionError, match=r"ended with 3 before 'live:linked':\nit is refused"):
            kill_stopped(run_of("echo it is refused; exit 3"), lambda _script: str(over.wait(60)), "live:linked")
    finally:
        over.set()


def test_a_run_that_never_comes_to_the_point_is_ended_and_says_what_it_did(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    def host(_script: str) -> str:
        while not begun.exists():
            threading.Event().wait(0.02)
        raise AssertionError("nothing stands there")

    with pytest.raises(AssertionError, match=r"did not come to 'x':\nit is refused"):
        kill_stopped(run_of(f"echo it is refused; : > {begun}; exec sleep 60"), host, "x")


def test_a_run_that_stands_there_is_killed_here_and_then_there() -> None:
    asked: list[str] = []
    kill_stopped(run_of("exec sleep 60"), asked.append, "x")
    assert ["case none in" in asked[0], "case tree in" in asked[1]] == [True, True]
