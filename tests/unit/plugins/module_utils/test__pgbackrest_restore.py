# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each state of a restore to a moment does, by how far it is, and that what is in place is not lost by mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import identify, make_item
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_entry import in_place
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_restore import Restore, Seen

MOMENT = "2026-02-05T08:59:00Z"
BACK = ["back", "start the old one"]


class FakeProgram:
    stanza = "main"


def placed(tmp_path: Path, *, kept: bool = True) -> dict[str, Any]:
    """Return the journal's words of a restore that is in place."""
    item = make_item(str(tmp_path / "data"), "1")
    for name in ("live", "before"):
        Path(item[name]).mkdir()
    item["new_id"], item["old_id"] = identify(item["live"]), identify(item["before"])
    if not kept:
        Path(item["before"]).rmdir()
    return {"target": MOMENT, "item": item}


def restore_of(tmp_path: Path, state: str) -> Restore:
    params = {
        "state": state,
        "stanza": "main",
        "target_time": MOMENT,
        "data_directory": str(tmp_path / "data"),
        "unit": None,
        "journal_directory": str(tmp_path),
        "keep_days": 7,
        "run_as": "postgres",
        "timeline": None,
        "start_timeout_seconds": 5,
    }
    return Restore(FakeProgram(), params)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "stage", "steps"),
    [
        ("dropped", "preparing", ["drop"]),
        ("dropped", "prepared", ["drop"]),
        ("dropped", "swapping", []),
        ("dropped", "swapped", []),
        ("dropped", "reverting", []),
        ("dropped", "finished", []),
        ("reverted", "prepared", ["drop", *BACK]),
        ("reverted", "swapped", BACK),
        ("reverted", "reverting", BACK),
        ("reverted", "finished", BACK),
        ("reverted", "reverted", BACK),
        ("pruned", "swapped", ["finish"]),
        ("pruned", "finished", []),
        ("prepared", "swapping", []),
        ("prepared", "swapped", []),
    ],
)
def test_each_state_has_its_steps(tmp_path: Path, state: str, stage: str, steps: list[str]) -> None:
    of = placed(tmp_path)
    entry = {"stage": stage, **of, "kept": [], "placed": of}
    assert restore_of(tmp_path, state).plan(Seen(entry, None, None, [])) == steps


@pytest.mark.parametrize(
    ("state", "stage", "target", "words"),
    [
        ("prepared", "swapped", "2026-02-01T00:00:00Z", "point_in_time_state=finished"),
        ("prepared", "swapping", "2026-02-01T00:00:00Z", "with the same moment, 2026-02-01T00:00:00Z"),
        ("prepared", "reverting", MOMENT, "end it with state reverted (-e point_in_time_state=reverted)"),
        ("pruned", "swapping", MOMENT, "point_in_time_state=restored"),
        ("pruned", "reverting", MOMENT, "end it with state reverted"),
    ],
)
def test_a_restore_that_is_under_way_is_refused_with_the_way_out(
    tmp_path: Path, state: str, stage: str, target: str, words: str
) -> None:
    of = placed(tmp_path)
    entry = {"stage": stage, **of, "target": target, "kept": []}
    with pytest.raises(PgBackRestError) as refused:
        restore_of(tmp_path, state).plan(Seen(entry, None, None, []))
    assert words in str(refused.value)


def test_nothing_goes_back_to_what_is_not_kept_any_more(tmp_path: Path) -> None:
    of = placed(tmp_path, kept=False)
    entry = {"stage": "finished", **of, "kept": [], "placed": of}
    assert restore_of(tmp_path, "reverted").plan(Seen(entry, None, None, [])) == []


def test_what_is_in_place_is_known_until_something_else_is(tmp_path: Path) -> None:
    of = placed(tmp_path)
    assert in_place({"stage": "finished", "placed": of}) == MOMENT
    assert in_place({"stage": "swapped", "placed": of}) is None
    assert in_place({"stage": "finished"}) is None
    assert in_place(None) is None
    Path(of["item"]["live"]).rename(tmp_path / "away")
    assert in_place({"stage": "finished", "placed": of}) is None


def test_going_back_undoes_what_is_in_place_and_not_what_was_recovered_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = placed(tmp_path)
    restore = restore_of(tmp_path, "reverted")
    monkeypatch.setattr(restore, "live", type("Live", (), {"stop": lambda _s: None, "start": lambda _s, **_k: None})())
    other = make_item(str(tmp_path / "data"), "2")
    entry = {"stage": "reverted", "target": "2026-02-06T00:00:00Z", "item": other, "kept": [], "placed": of}
    seen = Seen(entry, None, None, [])
    restore.apply(restore.plan(seen), seen)
    assert identify(of["item"]["live"]) == of["item"]["old_id"]
    assert identify(of["item"]["failed"]) == of["item"]["new_id"]
    written = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert (written["stage"], written["target"], written["placed"]) == ("reverted", MOMENT, None)
