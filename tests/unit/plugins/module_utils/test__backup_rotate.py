# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of a real directory."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_folder
from ansible_collections.runbook.ops.plugins.module_utils._backup_rotate import rotate as run
from ansible_collections.runbook.ops.plugins.module_utils._rotation import RotationError

NOW = datetime(2026, 11, 21, 8)


def name_of(days_ago):
    return f"backup_{NOW - timedelta(days=days_ago):%Y%m%d}_020000.sql.gz"


@pytest.fixture
def folder(tmp_path):
    for days_ago in range(100):
        (tmp_path / name_of(days_ago)).write_bytes(b"x" * 10)
    return tmp_path


def rotate(directory, *, check_mode=False, now=NOW, **options):
    defaults = {
        "pattern": "backup_*.sql*",
        "set": None,
        "minimum_verified": 3,
        "date_format": None,
        "keep": {"within": "30d", "last": 7},
        "minimum": 3,
    }
    limits = {"min_size": "1B", "max_age": None, "max_delete_percent": 90, "names_limit": 20}
    everything = {"directory": str(directory), **defaults, **limits, **options}
    return run(everything, now=now, check_mode=check_mode)


def names_in(directory):
    return sorted(os.listdir(directory))  # noqa: PTH208  # names, not paths


def test_check_mode_looks_but_does_not_touch_and_predicts_what_the_run_does(folder):
    before = names_in(folder)
    predicted = rotate(folder, check_mode=True)
    assert names_in(folder) == before

    made = rotate(folder)

    assert made == predicted
    assert made["changed"]
    assert (made["found"], made["kept"], made["deleted"], made["bytes_freed"]) == (100, 31, 69, 690)
    assert names_in(folder) == sorted(name_of(n) for n in range(31))
    assert made["changes"][0]["reason"] == "keep last 7, within 30d; 690 B freed"


def test_a_second_run_finds_nothing_to_do(folder):
    rotate(folder)
    again = rotate(folder)
    assert (again["changed"], again["deleted"], again["changes"]) == (False, 0, [])
    assert again["diff"]["before"] == again["diff"]["after"]


def test_names_are_limited_and_the_oldest_come_first(folder):
    assert rotate(folder, names_limit=2)["deleted_names"] == [name_of(99), name_of(98)]


def test_what_is_not_a_backup_is_never_touched(folder):
    outside = folder.parent / "outside"
    outside.write_text("precious")
    (folder / "notes_20200101.txt").write_text("foreign")
    (folder / "backup_latest.sql").write_text("no date")
    (folder / "backup_20200101.sql.partial").write_text("unfinished")
    (folder / "backup_20200102.sql").mkdir()
    (folder / "backup_20200103.sql").symlink_to(outside)
    (folder / "backup_20200104.sql").symlink_to(folder / name_of(0))

    result = rotate(folder)

    assert {name for name in names_in(folder) if name not in {name_of(n) for n in range(31)}} == {
        "notes_20200101.txt",
        "backup_latest.sql",
        "backup_20200101.sql.partial",
        "backup_20200102.sql",
        "backup_20200103.sql",
        "backup_20200104.sql",
    }
    assert outside.read_text() == "precious"
    assert (result["undated"], result["unfinished"], result["deleted"]) == (1, 1, 69)
    assert rotate(folder)["changed"] is False


def test_empty_files_count_for_nothing_and_the_newest_good_one_stays(folder):
    for days_ago in range(98):
        (folder / name_of(days_ago)).write_bytes(b"")

    result = rotate(folder, keep={"last": 1}, minimum=1)

    assert result["newest_good"] == name_of(98)
    assert result["deleted_names"] == [name_of(99)]
    assert len(names_in(folder)) == 99, "empty files newer than the newest good one are evidence"


def test_nothing_is_deleted_while_no_backup_is_good(folder):
    result = rotate(folder, min_size="1kB")
    assert (result["changed"], len(names_in(folder))) == (False, 100)
    assert result["checks"][0]["status"] == "critical"


def test_a_checksum_file_goes_with_its_backup_and_where_there_are_some_a_good_backup_has_one(folder):
    for days_ago in range(2, 100):
        (folder / f"{name_of(days_ago)}.sha256").write_text("sum")

    predicted = rotate(folder, keep={"last": 2}, minimum=1, max_delete_percent=100, check_mode=True)
    assert len(names_in(folder)) == 198
    result = rotate(folder, keep={"last": 2}, minimum=1, max_delete_percent=100)

    assert result == predicted
    assert result["newest_good"] == name_of(2)
    kept = [name_of(0), name_of(1), name_of(2), name_of(3)]
    assert names_in(folder) == sorted([*kept, f"{name_of(2)}.sha256", f"{name_of(3)}.sha256"])
    assert result["bytes_freed"] == 96 * 13


def test_a_run_that_was_killed_is_finished_by_the_next(folder, monkeypatch):
    real, calls = os.unlink, []

    def killed(name, **options):
        calls.append(name)
        if len(calls) == 30:
            raise KeyboardInterrupt
        real(name, **options)

    monkeypatch.setattr(_backup_folder.os, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(folder)
    assert calls[0] == name_of(99), "the oldest goes first"
    monkeypatch.undo()

    assert rotate(folder)["deleted"] == 40
    assert names_in(folder) == sorted(name_of(n) for n in range(31))


def test_a_rule_that_would_empty_the_directory_is_refused_with_numbers(folder):
    with pytest.raises(RotationError, match=r"97 of 100 backups .* \(97 %\), allowed are 90 % in one run; nothing was"):
        rotate(folder, keep={"within": "90m"})
    assert len(names_in(folder)) == 100
    assert rotate(folder, keep={"within": "90m"}, max_delete_percent=100)["deleted"] == 97


@pytest.mark.parametrize(
    ("now", "status", "words"),
    [
        pytest.param(NOW, "ok", "6h 0m|6h", id="in time"),
        pytest.param(NOW + timedelta(days=3), "warning", "3d", id="late"),
        pytest.param(datetime(2000, 1, 1), "critical", "dated in the future", id="a clock in the past"),
    ],
)
def test_the_age_of_the_newest_good_backup_is_judged(folder, now, status, words):
    check = rotate(folder, now=now, max_age="26h", check_mode=True)["checks"][0]
    assert check["status"] == status
    assert any(word in check["detail"] for word in words.split("|"))


def test_a_clock_years_ahead_deletes_no_more_than_usual(folder):
    assert rotate(folder, now=NOW + timedelta(days=9_000))["kept"] == 31


def test_an_empty_directory_is_a_critical_check_and_no_error(tmp_path):
    result = rotate(tmp_path)
    assert (result["changed"], result["found"], result["checks"][0]["status"]) == (False, 0, "critical")


def test_a_missing_directory_is_one_clear_line(tmp_path):
    with pytest.raises(RotationError, match=r"cannot open the directory .*/none \(No such file or directory\)"):
        rotate(tmp_path / "none")


def test_a_file_that_cannot_be_deleted_is_named_with_what_was_done(folder, monkeypatch):
    def refuse(name, **_options):
        raise PermissionError(1, "Operation not permitted", name)

    monkeypatch.setattr(_backup_folder.os, "unlink", refuse)
    with pytest.raises(
        RotationError, match=r"cannot delete backup_.* in .* \(Operation not permitted\); 0 of 69 backups were"
    ):
        rotate(folder)


def test_a_file_that_someone_else_deleted_meanwhile_is_no_error(folder, monkeypatch):
    real = os.unlink

    def late(name, **options):
        if name == name_of(99):
            real(name, **options)
        real(name, **options)

    monkeypatch.setattr(_backup_folder.os, "unlink", late)
    assert rotate(folder)["deleted"] == 68
    assert names_in(folder) == sorted(name_of(n) for n in range(31))


def test_many_backups_are_shared_between_threads_and_none_is_missed(tmp_path):
    names = [f"backup_{NOW - timedelta(hours=n):%Y%m%d_%H%M%S}.sql" for n in range(3_000)]
    for name in names:
        (tmp_path / name).write_bytes(b"xy")
    predicted = rotate(tmp_path, check_mode=True)
    made = rotate(tmp_path)
    assert made == predicted
    assert (made["deleted"], made["bytes_freed"]) == (3_000 - 721, 2 * (3_000 - 721))
    assert names_in(tmp_path) == sorted(names[:721])
