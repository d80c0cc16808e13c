# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When rows are refused, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._rows_result import Found, RefusedError, refuse, result

NEW = Found("public.a", new=2, equal=3)
UNLIKE = Found("public.b", different=1, listed=[{"key": {"id": "5"}, "columns": ["name"]}])
THEIRS = Found("public.c", different=2, foreign=1)
MORE = Found("public.d", extra=4)


def options(**wanted: Any) -> dict[str, Any]:
    return {"different": "refuse", "extra": "leave", "plan_only": False, "database": "shop", **wanted}


@pytest.mark.parametrize(
    ("found", "wanted", "refused"),
    [
        pytest.param([NEW, MORE], {}, None, id="missing ones and others"),
        pytest.param([NEW, UNLIKE], {}, "1 of public.b", id="other values"),
        pytest.param([UNLIKE], {"different": "leave"}, None, id="other values that are left"),
        pytest.param([UNLIKE], {"different": "replace"}, None, id="other values that are replaced"),
        pytest.param([THEIRS], {"different": "replace"}, "1 of public.c", id="somebody else's, whatever is asked for"),
        pytest.param([THEIRS], {"different": "leave"}, "1 of public.c", id="somebody else's, left"),
    ],
)
def test_what_must_not_be_is_refused(found: list[Found], wanted: dict[str, Any], refused: str | None) -> None:
    if refused is None:
        refuse(found, options(**wanted))
    else:
        with pytest.raises(RefusedError, match=refused):
            refuse(found, options(**wanted))


@pytest.mark.parametrize(
    ("one", "wanted", "deeds"),
    [
        pytest.param(NEW, {}, "2 inserted", id="missing ones"),
        pytest.param(UNLIKE, {"different": "leave"}, "", id="other values that are left"),
        pytest.param(UNLIKE, {"different": "replace"}, "1 replaced", id="other values that are replaced"),
        pytest.param(MORE, {}, "", id="others that are left"),
        pytest.param(MORE, {"extra": "delete"}, "4 deleted", id="others that are deleted"),
        pytest.param(Found("public.e", equal=9), {"different": "replace", "extra": "delete"}, "", id="all equal"),
    ],
)
def test_it_changes_what_it_says(one: Found, wanted: dict[str, Any], deeds: str) -> None:
    params = options(**wanted)
    told = result(params, [one], path=Path("/b/x"), title="x", notes=[], way_back=None)
    assert one.changes(params) == bool(deeds) == told["changed"]
    assert told["diff"]["after"] == (f"public.{one.table[7:]}: {deeds}\n" if deeds else "")
    assert len(told["changes"]) == bool(deeds)


def test_a_plan_says_why_it_would_be_refused_and_reports_no_change() -> None:
    told = result(options(plan_only=True), [NEW, UNLIKE], path=Path("/b/x"), title="x", notes=["n"], way_back=None)
    assert (told["changed"], told["changes"], told["actions"]) == (False, [], [])
    assert "1 of public.b" in told["refused"]
    assert "other values public.b id 5: name" in told["lines"]
    assert "note         n" in told["lines"]
