# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an import goes about it. What it does is tried on real databases: tests/local/test_rows.py."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._rows_session import RowsSession


class Session(RowsSession):
    """One that agrees to everything."""

    answer_seconds = 600.0

    def __init__(self) -> None:
        """Speak to nobody."""

    def __call__(self, _sql: str, **_options: object) -> list[str]:
        return ["t"]


def test_a_step_may_take_as_long_as_it_is_allowed_to() -> None:
    session = Session()
    session.begin({"database": "shop", "timeout_seconds": 7200, "lock_timeout_seconds": 10})
    assert session.answer_seconds > 7200
