# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster goes back to a moment, on a private one of this machine: to that moment exactly, and killed anywhere it is whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaign"))
from point_in_time import PASSPHRASE, Archived

pytestmark = pytest.mark.skipif(not shutil.which("pgbackrest"), reason="pgBackRest is not installed here")
POINTS = (
    "pgbackrest_restore:restored",
    "pgbackrest_restore:stopped",
    "path_swap:exchanged",
    "pgbackrest_restore:started",
)


class Shop:
    """The archived cluster, with a disaster in it: ``moment`` is before."""

    def __init__(self, field: Archived) -> None:
        self.field, self.sql = field, field.cluster.sql
        self.sql("CREATE DATABASE shop")
        self.sql("CREATE DATABASE other")
        self.sql("CREATE TABLE orders (id int PRIMARY KEY, word text)", "shop")
        self.sql("CREATE TABLE notes (id int)", "other")
        self.sql("INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(1, 1000) g", "shop")
        assert field.run("pgbackrest_stanza")["changed"]
        assert field.run("pgbackrest_backup", type="full")["backup"]["kind"] == "full"
        time.sleep(1.1)  # a backup counts for moments of a later second
        self.sql("INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(1001, 1500) g", "shop")
        self.rows = self.print()
        self.moment = field.now()
        self.sql("DELETE FROM orders WHERE id % 3 > 0", "shop")
        self.damaged = self.print()

    def print(self) -> str:
        return self.sql("SELECT count(*) || ' ' || sum(hashtextextended(o::text, 0)) FROM orders o", "shop")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Archived() as field:
        yield Shop(field)


def test_a_second_run_has_nothing_to_do(shop: Shop) -> None:
    assert not shop.field.run("pgbackrest_stanza")["changed"]
    assert not shop.field.run("pgbackrest_backup", unless_younger_than=3600)["changed"]


def test_what_cannot_be_recovered_is_refused_in_one_line(shop: Shop) -> None:
    prepare = {"state": "prepared"}
    for target, words in (
        ("2020-01-01T00:00:00Z", "the earliest moment is"),
        ("2999-01-01T00:00:00Z", "yet to come"),
        ("yesterday", "write a moment such as"),
        ("2026-01-01 00:00:00", "in which time zone"),
    ):
        failed = shop.field.restore(**prepare, target_time=target)
        assert failed["failed"]
        assert words in failed["msg"]
        assert "\n" not in failed["msg"]
    shop.field.configure("wrong horse")
    try:
        failed = shop.field.restore(**prepare, target_time=shop.moment)
    finally:
        shop.field.configure(PASSPHRASE)
    assert "passphrase" in failed["msg"]
    assert "horse" not in str(failed)
    assert "\n" not in failed["msg"]
    assert list(shop.field.place.glob("data.*")) == []
    assert shop.print() == shop.damaged


def test_a_missing_segment_is_found_before_anything_is_restored(shop: Shop) -> None:
    switched = shop.sql("SELECT txid_current(); SELECT pg_walfile_name(pg_switch_wal())").split()[-1]
    archive, end = shop.field.place / "repo" / "archive", time.monotonic() + 60
    while not list(archive.rglob(f"{switched}-*")):
        assert time.monotonic() < end, f"{switched} does not come into the archive"
        time.sleep(0.1)
    segments = sorted(archive.rglob("0000000100000000/0*-*"))
    lost, aside = segments[-2], shop.field.place / "aside"
    lost.rename(aside)
    try:
        failed = shop.field.restore("prepared", target_time=shop.field.now())
    finally:
        aside.rename(lost)
    assert lost.name[:24] in failed["msg"]
    assert "missing in the archive" in failed["msg"]
    assert list(shop.field.place.glob("data.*")) == []


def test_the_rows_of_the_moment_are_there_beside_and_the_live_ones_stay(shop: Shop) -> None:
    predicted = shop.field.restore("prepared", target_time=shop.moment, _ansible_check_mode=True)
    assert predicted["changed"]
    assert list(shop.field.place.glob("data.*")) == []
    done = shop.field.restore("prepared", target_time=shop.moment)
    assert done.get("stage") == "prepared", done
    assert done["actions"] == predicted["actions"]
    assert done["rows"]["shop"] == {"public.orders": 1500}
    journal = json.loads((shop.field.place / "journal" / "demo@point-in-time.json").read_text())
    assert journal["recovered_at"] > journal["begun_at"][:19]
    assert shop.print() == shop.damaged
    assert not shop.field.restore("prepared", target_time=shop.moment)["changed"]
    beside = next(shop.field.place.glob("data.restored-*/postmaster.pid"))
    os.kill(int(beside.read_text().split()[0]), signal.SIGINT)
    while beside.exists():
        time.sleep(0.1)
    again = shop.field.restore("prepared", target_time=shop.moment)
    assert (again["actions"], again.get("stage", again)) == (
        ["recover it to the moment, and let it stand still there"],
        "prepared",
    )
    assert shop.field.restore("reverted")["changed"]
    assert list(shop.field.place.glob("data.*")) == []
    assert not shop.field.restore("reverted")["changed"]


def test_it_is_put_in_place_and_taken_back(shop: Shop) -> None:
    shop.field.restore("prepared", target_time=shop.moment)
    began = time.monotonic()
    done = shop.field.restore("swapped")
    assert done.get("stage") == "swapped", done
    assert time.monotonic() - began < 60
    assert shop.print() == shop.rows
    assert not shop.field.restore("swapped")["changed"]
    assert shop.field.restore("reverted").get("stage") == "reverted"
    assert shop.print() == shop.damaged


def test_what_is_in_place_stays_when_others_are_thrown_away_and_goes_back_when_asked_for(shop: Shop) -> None:
    shop.field.restore("prepared", target_time=shop.moment)
    assert shop.field.restore("swapped")["in_place"] is None
    assert not shop.field.restore("dropped")["changed"]
    assert shop.print() == shop.rows
    finished = shop.field.restore("pruned")
    assert finished["in_place"] == shop.moment, finished
    shop.field.run("pgbackrest_backup", type="diff")
    time.sleep(1.1)
    shop.sql("INSERT INTO orders VALUES (9999, 'since')", "shop")
    written = shop.print()
    beside = shop.field.restore("prepared", target_time=shop.field.now())
    assert beside.get("in_place") == shop.moment, beside
    assert shop.field.restore("dropped").get("stage") == "reverted"
    assert shop.print() == written
    look = shop.field.restore("reverted", plan_only=True)
    assert look["plan"]["target_time"] == shop.moment
    back = shop.field.restore("reverted")
    assert (len(back["actions"]), back["in_place"]) == (2, None)
    assert shop.print() == shop.damaged
    assert shop.field.restore("reverted")["actions"] == []


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_moment_the_next_run_ends_with_one_whole_cluster(shop: Shop, point: str) -> None:
    def steps(**more: Any) -> dict[str, Any]:
        result: dict[str, Any] = shop.field.restore("prepared", target_time=shop.moment, **more)
        return result if "killed" in result else shop.field.restore("swapped", **more)

    assert steps(kill_at=point) == {"killed": True}
    entry_is_open = point != POINTS[0]
    done = shop.field.restore("swapped") if entry_is_open else steps()
    assert done.get("stage") == "swapped", done
    assert shop.print() == shop.rows
    assert shop.field.restore("reverted").get("stage") == "reverted"
    assert shop.print() == shop.damaged


def test_a_cluster_that_is_gone_comes_back(shop: Shop) -> None:
    data, gone = shop.field.data, shop.field.place / "gone"
    shop.field.cluster.stop()
    data.rename(gone)
    try:
        # Restores were put in place and taken back before: what is the latest is not what was live.
        assert shop.field.restore("prepared", target_time=shop.moment, timeline=1).get("stage") == "prepared"
        done = shop.field.restore("swapped")
        assert done.get("stage") == "swapped", done
        assert shop.print() == shop.rows
        assert shop.field.restore("pruned").get("stage") == "finished"
        shop.field.cluster.stop()
        shutil.rmtree(data)
    finally:
        gone.rename(data)
        shop.field.cluster.start()
    assert shop.print() == shop.damaged


def test_what_was_kept_is_deleted_when_it_is_old_enough(shop: Shop) -> None:
    assert list(shop.field.place.glob("data.failed-*"))
    assert not shop.field.restore("pruned")["changed"]
    assert shop.field.restore("pruned", keep_days=0)["changed"]
    assert list(shop.field.place.glob("data.[!l]*")) == []
    assert shop.print() == shop.damaged
