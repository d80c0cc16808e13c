# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an import goes about it. What it does is tried on real databases: tests/local/test_rows.py."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_import import ARGUMENTS, Import


class Session:
    """One that agrees to everything."""

    answer_seconds = 600.0

    def __call__(self, _sql: str) -> list[str]:
        return ["t"]


@pytest.fixture
def importing() -> Import:
    given = {"database": "shop", "backup": "x", "timeout_seconds": 7200}
    return Import({**{name: spec.get("default") for name, spec in ARGUMENTS.items()}, **given})


def test_a_step_may_take_as_long_as_it_is_allowed_to(importing: Import) -> None:
    session = Session()
    importing.begin(session)  # type: ignore[arg-type]
    assert session.answer_seconds > 7200
