# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify_plan import (
    Look,
    age_of,
    due_drills,
    judge,
    known_files,
    read_time,
    write_time,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)
DAY = 86400
FILES = {"dump/toc.dat": [10, 1, 2, 3]}


def ago(days: float) -> str:
    return write_time(NOW - timedelta(days=days))


def look(days: float, *, drilled: float | None = None, failed: bool = False, problems: list[str] | None = None) -> Look:
    """Return a backup that is ``days`` old, and was restored as a test ``drilled`` days ago."""
    at = NOW - timedelta(days=days)
    name = f"shop_{at:%Y%m%dT%H%M%SZ}"
    backup = Backup(Path("/backups") / name, name, "shop", at, {"kind": "postgresql", "size": 1}, "a" * 64, {})
    return Look(
        backup,
        None,
        problems=problems or [],
        checked=True,
        drill={"at": ago(drilled), "passed": True} if drilled is not None else None,
        failed_drill={"at": ago(1), "passed": False, "differences": ["table public.a is missing"]} if failed else None,
    )


@pytest.mark.parametrize(
    ("looks", "which", "max_age", "due"),
    [
        pytest.param([], "newest", None, [], id="nothing there"),
        pytest.param([look(2), look(1)], "newest", None, [1], id="the newest, where none has been"),
        pytest.param([look(2), look(1)], "all", None, [1, 0], id="all, newest first"),
        pytest.param([look(2), look(1, drilled=0.5)], "newest", None, [], id="not again"),
        pytest.param([look(2), look(1, drilled=0.5)], "all", None, [0], id="all that have not been"),
        pytest.param([look(2, drilled=1.5), look(1)], "newest", None, [1], id="the newest counts by itself"),
        pytest.param([look(2, drilled=1.5), look(1)], "newest", 8 * DAY, [], id="within its age another one counts"),
        pytest.param([look(12, drilled=9), look(1)], "newest", 8 * DAY, [1], id="the last one is too old"),
        pytest.param([look(12, drilled=9)], "newest", 8 * DAY, [0], id="the same again when it is too old"),
        pytest.param([look(2), look(1, problems=["damaged"])], "newest", None, [0], id="a damaged one is not restored"),
        pytest.param([look(1, problems=["damaged"])], "all", None, [], id="only damaged ones"),
        pytest.param([look(1, drilled=2, failed=True)], "newest", None, [0], id="again where it failed"),
        pytest.param(
            [look(2, drilled=1.5), look(1, failed=True)],
            "newest",
            8 * DAY,
            [1],
            id="an older one makes up for no failure",
        ),
        pytest.param([look(1, drilled=-2)], "newest", None, [0], id="a test in the future counts for nothing"),
    ],
)
def test_what_is_restored_now(looks: list[Look], which: str, max_age: float | None, due: list[int]) -> None:
    found = due_drills(looks, which=which, max_age=max_age, now=NOW)
    assert [looks.index(one) for one in found] == due


@pytest.mark.parametrize(
    ("proof", "reread", "known"),
    [
        pytest.param(None, 30 * DAY, {}, id="no proof"),
        pytest.param({"read_at": ago(1), "files": FILES}, 30 * DAY, FILES, id="read yesterday"),
        pytest.param({"checked_at": ago(1), "files": FILES}, 30 * DAY, FILES, id="a proof of somebody else"),
        pytest.param({"read_at": ago(31), "checked_at": ago(1), "files": FILES}, 30 * DAY, {}, id="read long ago"),
        pytest.param({"read_at": ago(31), "files": FILES}, None, FILES, id="never again"),
        pytest.param({"read_at": ago(-2), "files": FILES}, 30 * DAY, {}, id="in the future"),
        pytest.param({"files": FILES}, 30 * DAY, {}, id="nobody knows when"),
        pytest.param({"read_at": ago(1), "files": "x"}, 30 * DAY, {}, id="of another form"),
    ],
)
def test_what_need_not_be_read_again(proof: dict[str, Any] | None, reread: float | None, known: Any) -> None:
    assert known_files(proof, now=NOW, reread_seconds=reread) == known


def test_moments_are_read_as_they_are_written() -> None:
    assert read_time(write_time(NOW)) == NOW
    assert read_time("yesterday") is None
    assert read_time(None) is None
    assert age_of(ago(1), NOW) == DAY


def told(looks: list[Look], strays: dict[str, str] | None = None, **options: Any) -> dict[str, tuple[str, str]]:
    given = {"max_age": None, "drill_max_age": None, "drilled": False, **options}
    checks = judge(looks, strays or {}, prefix="shop", directory="/backups", now=NOW, **given)
    return {check["id"]: (check["status"], check["detail"]) for check in checks}


@pytest.mark.parametrize(
    ("looks", "options", "status", "words"),
    [
        ([], {}, "critical", "there is no whole backup in /backups"),
        ([look(1, problems=["x is damaged"])], {}, "critical", "none of 1 backups is undamaged in /backups"),
        ([look(2), look(1)], {}, "ok", "2 of 2 verified, the newest is shop_20261120T120000Z, 1d old"),
        (
            [look(2), look(1, problems=["x"])],
            {"max_age": 1.5 * DAY},
            "critical",
            "1 of 2 verified, the newest is shop_20261119",
        ),
    ],
)
def test_a_set_is_judged_by_its_newest_verified_backup(
    looks: list[Look], options: dict[str, Any], status: str, words: str
) -> None:
    found = told(looks, **options)["backup_verify:shop"]
    assert found[0] == status
    assert words in found[1]


@pytest.mark.parametrize(
    ("looks", "options", "status", "words"),
    [
        ([look(1)], {"drilled": True}, "critical", "no backup has been restored yet"),
        ([look(3, drilled=2), look(1)], {"drill_max_age": 8 * DAY}, "ok", "was restored and compared 2d ago"),
        ([look(12, drilled=9)], {"drill_max_age": 8 * DAY}, "critical", "was restored and compared 9d ago"),
        ([look(3, drilled=2), look(1, failed=True)], {"drilled": True}, "critical", "table public.a is missing"),
        (
            [look(3, drilled=2, problems=["x"]), look(1)],
            {"drilled": True},
            "critical",
            "no backup has been restored yet",
        ),
    ],
)
def test_test_restores_are_judged_where_they_are_wanted(
    looks: list[Look], options: dict[str, Any], status: str, words: str
) -> None:
    found = told(looks, **options)["backup_verify:shop:drill"]
    assert found[0] == status
    assert words in found[1]
    assert "backup_verify:shop:drill" not in told(looks)


def test_each_damaged_backup_has_a_check_of_its_own() -> None:
    bad = look(1, problems=["dump/1.dat is missing", "dump/2.dat is damaged"])
    found = told([look(2), bad], {"shop_20261101T000000Z": "manifest.json is missing"})
    assert found["backup_verify:shop_20261120T120000Z"] == ("critical", "dump/1.dat is missing; dump/2.dat is damaged")
    assert found["backup_verify:shop_20261101T000000Z"] == ("critical", "manifest.json is missing")
    assert len(found) == 3
