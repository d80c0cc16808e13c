# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore does next, from every point that it can have been killed at."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import (
    RestoreError,
    Source,
    begin,
    free_stamp,
    name_of,
    plan,
    settle,
    stage_of,
)

AT = datetime(2026, 2, 5, 3, 0, tzinfo=timezone.utc)
WHEN, STAMP = "2026-02-05T03:00:00Z", "20260205030000"
BEFORE, RESTORED, FAILED = f"shop_before_{STAMP}", f"shop_restored_{STAMP}", f"shop_failed_{STAMP}"


def source(identity: str = "a") -> Source:
    return Source("set", "shop_1", "/b/shop_1", identity, 1, WHEN, "shop", {}, {"at": WHEN}, True)


def entry(stage: str, **more: Any) -> dict[str, Any]:
    made = begin(None, source(), database="shop", stamp=STAMP, reason="", live={"oid": "1"})
    return {**made, "stage": stage, "restored": {"name": RESTORED, "oid": "2"}, **more}


LIVE = {"1": "shop"}
BESIDE = {"1": "shop", "2": RESTORED}
SWAPPED = {"1": BEFORE, "2": "shop"}
REVERTED = {"1": "shop", "2": FAILED}


@pytest.mark.parametrize(
    ("written", "names", "stage"),
    [
        pytest.param(None, LIVE, "none", id="never restored"),
        pytest.param(entry("preparing"), BESIDE, "preparing", id="killed while it was filled"),
        pytest.param(
            entry("preparing", restored={"name": RESTORED, "oid": None}),
            BESIDE,
            "preparing",
            id="killed once it was made",
        ),
        pytest.param(
            entry("preparing", restored={"name": RESTORED, "oid": None}), LIVE, "lost", id="killed before it was made"
        ),
        pytest.param(entry("prepared"), BESIDE, "prepared", id="prepared"),
        pytest.param(entry("swapping"), BESIDE, "prepared", id="killed before the exchange"),
        pytest.param(entry("swapping"), SWAPPED, "swapped", id="killed after the exchange"),
        pytest.param(entry("swapped"), SWAPPED, "swapped", id="in place"),
        pytest.param(entry("swapped"), REVERTED, "reverted", id="killed after going back"),
        pytest.param(entry("reverted", open=False), LIVE, "reverted", id="reverted and pruned"),
        pytest.param(entry("prepared"), LIVE, "lost", id="somebody dropped it"),
        pytest.param(entry("swapped", open=False), LIVE, "lost", id="the live one was made anew by hand"),
    ],
)
def test_how_far_a_restore_is_is_read_from_the_server(written: Any, names: dict[str, str], stage: str) -> None:
    assert stage_of(written, names) == stage


def steps(state: str, written: Any, names: dict[str, str], *, wanted: str = "a", days: float = 0) -> list[str]:
    found = plan(settle(written, names, WHEN), names, state, source=source(wanted), now=AT, keep_days=days)
    return [f"{step.action} {step.name}".strip() for step in found]


@pytest.mark.parametrize(
    ("state", "written", "names", "expected"),
    [
        pytest.param("prepared", None, LIVE, ["restore"], id="first"),
        pytest.param("prepared", entry("prepared"), BESIDE, [], id="prepared already"),
        pytest.param(
            "prepared", entry("preparing"), BESIDE, [f"drop {RESTORED}", "restore"], id="what was killed is made anew"
        ),
        pytest.param("prepared", entry("swapping"), SWAPPED, [], id="further than that"),
        pytest.param("prepared", entry("swapped", open=False), SWAPPED, ["restore"], id="finished: once more"),
        pytest.param("swapped", entry("prepared"), BESIDE, [f"swap {RESTORED}"], id="put in place"),
        pytest.param("swapped", entry("swapping"), SWAPPED, [], id="in place already"),
        pytest.param("reverted", entry("swapping"), SWAPPED, [f"swap_back {BEFORE}"], id="go back"),
        pytest.param("reverted", entry("prepared"), BESIDE, [f"drop {RESTORED}"], id="nothing was put in place"),
        pytest.param(
            "reverted", entry("swapped", open=False), SWAPPED, [f"swap_back {BEFORE}"], id="go back a day later"
        ),
        pytest.param("reverted", entry("swapped"), REVERTED, [], id="gone back already"),
        pytest.param("reverted", None, LIVE, [], id="nothing to go back from"),
        pytest.param("pruned", entry("swapped"), SWAPPED, ["close shop", f"drop {BEFORE}"], id="finished and dropped"),
        pytest.param("pruned", entry("reverted", open=False), REVERTED, [f"drop {FAILED}"], id="the failed one"),
        pytest.param("pruned", entry("prepared"), BESIDE, [], id="what is prepared stays"),
        pytest.param("pruned", entry("preparing"), BESIDE, [f"drop {RESTORED}"], id="what is left of a kill"),
        pytest.param("pruned", None, LIVE, [], id="nothing"),
    ],
)
def test_what_is_done_to_reach_a_state(state: str, written: Any, names: dict[str, str], expected: list[str]) -> None:
    assert steps(state, written, names) == expected


def test_another_backup_takes_the_place_of_one_that_is_prepared_but_not_of_one_in_place() -> None:
    assert steps("prepared", entry("prepared"), BESIDE, wanted="b") == [f"drop {RESTORED}", "restore"]
    with pytest.raises(RestoreError, match="is in place and not finished"):
        steps("prepared", entry("swapped"), SWAPPED, wanted="b")


@pytest.mark.parametrize("written", [None, entry("preparing"), entry("reverted", open=False)])
def test_nothing_is_put_in_place_that_was_not_prepared(written: Any) -> None:
    with pytest.raises(RestoreError, match="nothing is prepared"):
        steps("swapped", written, BESIDE)


def test_what_is_kept_is_dropped_when_it_is_old_enough_and_never_by_its_name_alone() -> None:
    settled = settle(entry("swapped"), SWAPPED, "2026-02-01T03:00:00Z")
    assert [one["name"] for one in settled["kept"]] == [BEFORE]  # type: ignore[index]
    assert steps("pruned", settled, SWAPPED, days=4) == ["close shop", f"drop {BEFORE}"]
    assert steps("pruned", settled, SWAPPED, days=4.1) == ["close shop"]
    assert steps("pruned", settled, {"9": BEFORE, "2": "shop"}, days=0) == ["close shop"]


def test_there_is_no_way_back_to_what_was_dropped() -> None:
    with pytest.raises(RestoreError, match=f"{BEFORE} is gone"):
        steps("reverted", entry("swapped"), {"2": "shop"})
    with pytest.raises(RestoreError, match="there was no database shop before"):
        steps("reverted", entry("swapped", before=None), {"2": "shop"})


def test_names_are_never_cut_by_the_server_nor_taken_twice() -> None:
    long = name_of("ü" * 40, "restored", STAMP)
    assert len(long.encode()) <= 63
    assert long.endswith(f"_restored_{STAMP}")
    assert free_stamp("shop", [BEFORE], AT) == "20260205030001"
