# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore does next, from every point that it can have been killed at."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import (
    Source,
    Wanted,
    begin,
    by_hand,
    free_stamp,
    name_of,
    settle,
    stage_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import Keep, RestoreError, plan

AT = datetime(2026, 2, 5, 3, 0, tzinfo=timezone.utc)
WHEN, STAMP = "2026-02-05T03:00:00Z", "20260205030000"
BEFORE, RESTORED, FAILED = f"shop_before_{STAMP}", f"shop_restored_{STAMP}", f"shop_failed_{STAMP}"


def source(identity: str = "a") -> Source:
    return Source("set", "shop_1", "/b/shop_1", identity, 1, WHEN, "shop", {}, {"at": WHEN}, True)


def entry(stage: str, **more: Any) -> dict[str, Any]:
    made = begin(None, source(), database="shop", stamp=STAMP, live={"oid": "1"}, mark="m")
    return {**made, "stage": stage, "restored": {**made["restored"], "oid": "2"}, **more}


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
        pytest.param(entry("swapped"), {"1": "shop", "2": "shop_wrong"}, "moved", id="somebody renamed it"),
        pytest.param(
            entry("preparing"), {"1": "shop", "2": "mine"}, "moved", id="somebody renamed what was being filled"
        ),
        pytest.param(entry("swapped", open=False), LIVE, "lost", id="the live one was made anew by hand"),
    ],
)
def test_how_far_a_restore_is_is_read_from_the_server(written: Any, names: dict[str, str], stage: str) -> None:
    assert stage_of(written, names) == stage


def steps(state: str, written: Any, names: dict[str, str], *, wanted: str = "a", keep: Keep = Keep(0)) -> list[str]:  # noqa: B008  # it cannot change
    found = plan(settle(written, names, WHEN), names, state, source=source(wanted), now=AT, keep=keep)
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
    assert steps("pruned", settled, SWAPPED, keep=Keep(4)) == ["close shop", f"drop {BEFORE}"]
    assert steps("pruned", settled, SWAPPED, keep=Keep(4.1)) == ["close shop"]
    assert steps("pruned", settled, {"9": BEFORE, "2": "shop"}) == ["close shop"]


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


def test_databases_whose_names_begin_alike_have_names_of_their_own() -> None:
    one, other = (name_of(f"{'x' * 50}{end}", "restored", STAMP) for end in "ab")
    assert one != other
    assert len(one) == len(other) == 63


@pytest.mark.parametrize(
    ("comment", "stage"),
    [
        pytest.param("runbook.ops: restored from shop_1, not in use (m)", "preparing", id="ours"),
        pytest.param(None, "preparing", id="killed before it had its comment"),
        pytest.param("runbook.ops: restored from shop_1, not in use (n)", "lost", id="of another run"),
        pytest.param("mine", "lost", id="of somebody else"),
    ],
)
def test_a_database_that_only_has_the_name_is_not_ours(comment: str | None, stage: str) -> None:
    begun = begin(None, source(), database="shop", stamp=STAMP, live={"oid": "1"}, mark="m")
    comments = {"2": comment} if comment else {}
    assert stage_of(begun, BESIDE, comments) == stage
    settled = settle(begun, BESIDE, WHEN, comments)
    found = plan(settled, BESIDE, "prepared", source=source(), now=AT, keep=Keep(0))
    assert ("drop" in [step.action for step in found]) == (stage == "preparing")


BY_HAND = {"1": "shop", "2": "shop_wrong"}  # as the page on restores says how to go back by hand
HALF_BY_HAND = {"1": BEFORE, "2": "shop_wrong"}
OVERWRITTEN = {"1": BEFORE, "2": "shop_wrong", "3": "shop"}


@pytest.mark.parametrize(
    ("state", "names", "expected"),
    [
        pytest.param("prepared", BY_HAND, ["restore"], id="a new restore begins anew"),
        pytest.param("reverted", BY_HAND, [], id="gone back by hand"),
        pytest.param("reverted", HALF_BY_HAND, [f"put_back {BEFORE}"], id="half gone back by hand"),
        pytest.param("pruned", BY_HAND, [], id="nothing of ours is left"),
        pytest.param("pruned", HALF_BY_HAND, [], id="what is kept is all that there is"),
        pytest.param("prepared", HALF_BY_HAND, ["restore"], id="restored where there is none"),
    ],
)
def test_a_rename_by_hand_does_not_wedge_a_restore(state: str, names: dict[str, str], expected: list[str]) -> None:
    assert steps(state, entry("swapped"), names) == expected


def test_what_was_done_by_hand_is_said_and_never_undone() -> None:
    settled = settle(entry("swapped"), BY_HAND, WHEN)
    assert by_hand(settled, BY_HAND) == (
        "the database that was restored from shop_1 is called shop_wrong now: somebody has renamed it by hand"
    )
    with pytest.raises(RestoreError, match=r"nothing is prepared .* \(the database .* is called shop_wrong now"):
        steps("swapped", entry("swapped"), BY_HAND)
    with pytest.raises(RestoreError, match="shop is a database that no restore knows: nothing was touched"):
        steps("reverted", entry("swapped"), OVERWRITTEN)
    with pytest.raises(
        RestoreError, match=f"{BEFORE} is called old now, somebody has renamed it by hand: rename it back"
    ):
        steps("reverted", entry("swapped"), {"1": "old", "2": "shop"})


def test_a_new_restore_remembers_those_before_it() -> None:
    found: dict[str, Any] | None = None
    for number in range(12):
        found = begin(
            found,
            source(str(number)),
            database="shop",
            stamp=str(number),
            live=None,
            mark="m",
            wanted=Wanted("because"),
        )
    assert found is not None
    assert [one["stamp"] for one in found["previous"]] == [str(number) for number in range(10, 0, -1)]
    assert found["previous"][0]["reason"] == "because"


def test_what_was_live_stays_until_a_backup_taken_since_is_proven() -> None:
    settled = settle(entry("swapped"), SWAPPED, "2026-02-01T03:00:00Z")
    dropped = ["close shop", f"drop {BEFORE}"]
    for proven, expected in ((None, dropped[:1]), ("2026-01-31", dropped[:1]), ("2026-02-02", dropped)):
        at = datetime.fromisoformat(f"{proven}T03:00:00+00:00") if proven else None
        assert steps("pruned", settled, SWAPPED, keep=Keep(1, proof_needed=True, proven=at)) == expected
    failed = settle(entry("reverted", open=False), REVERTED, "2026-02-01T03:00:00Z")
    assert steps("pruned", failed, REVERTED, keep=Keep(1, proof_needed=True)) == [f"drop {FAILED}"]


@pytest.mark.parametrize(
    ("state", "names", "expected"),
    [
        pytest.param("prepared", BESIDE, ["start api, worker"], id="before the exchange, begun again"),
        pytest.param(
            "swapped", BESIDE, [f"swap {RESTORED}"], id="before the exchange: it stops and starts them itself"
        ),
        pytest.param("swapped", SWAPPED, ["start api, worker"], id="after the exchange"),
        pytest.param("reverted", SWAPPED, [f"swap_back {BEFORE}"], id="after the exchange, and back"),
        pytest.param("reverted", BESIDE, ["start api, worker", f"drop {RESTORED}"], id="before the exchange, and back"),
        pytest.param("pruned", SWAPPED, ["start api, worker", "close shop", f"drop {BEFORE}"], id="finished"),
        pytest.param(
            "reverted", HALF_BY_HAND, [f"put_back {BEFORE}"], id="half gone back by hand: they need the database"
        ),
    ],
)
def test_writers_that_a_killed_run_has_stopped_are_started_by_the_next_one(
    state: str, names: dict[str, str], expected: list[str]
) -> None:
    stopped = entry("swapping", writers=[{"name": "api"}, {"name": "worker"}])
    assert steps(state, stopped, names) == expected
