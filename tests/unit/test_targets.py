# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The integration targets run in one play, where what a task registers outranks what another one is told by ``vars``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

TARGETS = Path(__file__).resolve().parents[1] / "integration" / "targets"
NAMES = sorted(path.name for path in TARGETS.iterdir())


def tasks(name: str) -> Iterator[dict[str, Any]]:
    """Yield all tasks of a target, and its blocks."""
    left = [
        task
        for path in sorted(TARGETS.glob(f"{name}/tasks/*.yml"))
        for task in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
    while left:
        task = left.pop()
        yield task
        left += [inner for key in ("block", "rescue", "always") for inner in task.get(key, [])]


REGISTERED = {name: {task["register"] for task in tasks(name) if "register" in task} for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_of_a_target_is_registered_by_another(name: str) -> None:
    told = {variable for task in tasks(name) for variable in task.get("vars", {})}
    others = set().union(*(REGISTERED[other] for other in NAMES if other != name))
    assert told & others == set()
