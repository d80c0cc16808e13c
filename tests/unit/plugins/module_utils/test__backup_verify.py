# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_verification as verification
from ansible_collections.runbook.ops.plugins.module_utils import _backup_verify as verify
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, SetError, locked

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)


def make(directory: Path, *, days: float = 1, kind: str = "postgresql") -> Backup:
    with Draft.begin(directory, "shop", NOW - timedelta(days=days)) as draft:
        for name, content in (("dump/toc.dat", b"contents"), ("dump/1.dat.gz", b"rows" * 100)):
            with draft.create(name) as file:
                file.write(content)
        return draft.seal({"kind": kind, "content": {}})


class Drills:
    """Stands in for the test restore."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.error: Exception | None = None
        self.outcome: dict[str, Any] = {"kind": "postgresql", "seconds": 1.0, "differences": [], "passed": True}

    def __call__(self, backup: Backup, _options: Any) -> dict[str, Any]:
        self.done.append(backup.name)
        if self.error:
            raise self.error
        return dict(self.outcome)


@pytest.fixture
def drills(monkeypatch: pytest.MonkeyPatch) -> Drills:
    drill = Drills()
    monkeypatch.setattr(verification, "DRILLS", {"postgresql": lambda: drill})
    return drill


def look(directory: Path, *, check_mode: bool = False, now: datetime = NOW, **options: Any) -> dict[str, Any]:
    return verify.run({"directory": str(directory), "set": "shop", **options}, now=now, check_mode=check_mode)


def listing(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_new_backup_is_read_and_proven_undamaged(tmp_path: Path) -> None:
    backup = make(tmp_path)
    result = look(tmp_path)
    assert result["changed"]
    assert result["actions"] == [f"verify {backup.name}: it is new"]
    assert result["bytes_read"] == 408
    assert result["problems"] == []
    proof = read_proof(backup)
    assert proof is not None
    assert proof["checked_at"] == proof["read_at"] == "2026-11-21T12:00:00Z"
    assert proof["drill"] is None
    assert sorted(proof["files"]) == ["dump/1.dat.gz", "dump/toc.dat"]


def test_a_second_look_reads_and_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    look(tmp_path)
    before = listing(tmp_path)
    result = look(tmp_path, now=NOW + timedelta(days=1))
    assert (result["changed"], result["bytes_read"], result["diff"]) == (False, 0, {"before": "", "after": ""})
    assert listing(tmp_path) == before
    assert result["backups"][0]["verified"]
    assert result["backups"][0]["checked_at"] == "2026-11-21T12:00:00Z"


def test_what_was_read_long_ago_is_read_again(tmp_path: Path) -> None:
    make(tmp_path)
    look(tmp_path)
    result = look(tmp_path, now=NOW + timedelta(days=30))
    assert result["bytes_read"] == 408
    assert result["actions"][0].endswith("it was read long ago")
    assert not look(tmp_path, now=NOW + timedelta(days=31))["changed"]


def test_only_what_was_written_to_is_read_again(tmp_path: Path) -> None:
    backup = make(tmp_path)
    look(tmp_path)
    toc = backup.path / "dump/toc.dat"
    before = toc.stat().st_mtime_ns
    while toc.stat().st_mtime_ns == before:  # the clock of files goes in steps of some ms
        os.utime(toc)
    result = look(tmp_path, now=NOW + timedelta(days=1))
    assert (result["changed"], result["bytes_read"]) == (True, 8)
    proof = read_proof(backup)
    assert proof is not None
    assert proof["read_at"] == "2026-11-21T12:00:00Z"  # the other file's


def test_check_mode_reads_and_writes_nothing(tmp_path: Path, drills: Drills) -> None:
    backup = make(tmp_path)
    before = listing(tmp_path)
    predicted = look(tmp_path, check_mode=True, drill=True)
    assert listing(tmp_path) == before
    assert not (tmp_path / ".shop.verify.lock").exists()
    assert drills.done == []
    done = look(tmp_path, drill=True)
    assert predicted["actions"] == done["actions"]
    assert predicted["diff"] == done["diff"]
    assert drills.done == [backup.name]


def test_check_mode_does_not_fail_for_want_of_a_test_restore_that_it_predicts(tmp_path: Path, drills: Drills) -> None:
    backup = make(tmp_path)
    predicted = look(tmp_path, check_mode=True, drill=True, drill_max_age="8d")
    assert predicted["problems"] == []
    assert f"{backup.name} would be restored and compared now" in [one["detail"] for one in predicted["checks"]]
    drills.outcome.update(passed=False, differences=["public.users has 3 rows instead of 4"])
    look(tmp_path, drill=True, drill_max_age="8d")
    again = look(tmp_path, check_mode=True, drill=True, drill_max_age="8d")
    assert "3 rows instead of 4" in again["problems"][0]
    assert look(tmp_path, check_mode=True, drill_max_age="8d")["problems"] != []


FULL = OSError(28, "No space left on device", "/backups/x")


def refuse(*_given: Any, **_more: Any) -> None:
    raise FULL


def test_a_proof_that_cannot_be_written_is_one_line_and_leaves_none_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = make(tmp_path)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(
        SetError, match=rf"{backup.name} is not verified.*cannot be changed \(No space left on device\)"
    ):
        look(tmp_path)
    assert sorted(one.name for one in backup.path.iterdir()) == ["SHA256SUMS", "dump", "manifest.json"]


def test_where_no_proof_can_be_written_all_are_looked_at_and_what_is_damaged_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    newest = make(tmp_path, days=0.5)
    damage_a_bit(newest)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(
        SetError, match=rf"is not verified.*No space left.*; Backup {newest.name}: dump/1.dat.gz is damaged"
    ):
        look(tmp_path)


def test_a_proof_of_what_is_damaged_that_cannot_be_taken_away_is_told_with_the_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = make(tmp_path)
    look(tmp_path)
    damage_a_bit(backup)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(SetError, match=r"is damaged \(dump/1.dat.gz is damaged.*never restore it.*cannot be changed"):
        look(tmp_path)


def test_a_directory_that_cannot_be_written_to_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SetError, match=r"cannot write .*\.shop\.verify\.lock \(No space left on device\)"):
        look(tmp_path)


def damage_a_bit(backup: Backup) -> None:
    path = backup.path / "dump/1.dat.gz"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(damage_a_bit, "dump/1.dat.gz is damaged", id="a flipped bit"),
        pytest.param(lambda one: (one.path / "dump/toc.dat").unlink(), "dump/toc.dat is missing", id="a lost file"),
        pytest.param(lambda one: os.truncate(one.path / "dump/toc.dat", 0), "has 0 bytes", id="an emptied file"),
        pytest.param(lambda one: (one.path / "more").write_text("x"), "more does not belong", id="a file too many"),
        pytest.param(lambda one: (one.path / "manifest.json").write_text("{}"), "manifest.json", id="another manifest"),
        pytest.param(lambda one: (one.path / "SHA256SUMS").unlink(), "SHA256SUMS is missing", id="no checksums"),
    ],
)
def test_damage_takes_the_proof_away_and_is_told(
    tmp_path: Path, drills: Drills, damage: Callable[[Backup], Any], words: str
) -> None:
    good, bad = make(tmp_path, days=2), make(tmp_path, days=1)
    look(tmp_path, drill=True, drill_backups="all")
    assert len(drills.done) == 2
    damage(bad)
    result = look(tmp_path, drill=True, drill_backups="all")
    assert len(result["problems"]) == 1
    assert words in result["problems"][0]
    assert len(drills.done) == 2  # no damaged one is restored
    again = look(tmp_path)
    assert not again["changed"]
    assert len(again["problems"]) == 1
    assert read_proof(good) is not None
    assert [read_proof(one) for one in verification.list_backups(tmp_path, "shop")[1:]] in ([], [None])


def test_a_backup_that_passed_a_test_restore_is_proven(tmp_path: Path, drills: Drills) -> None:
    backup = make(tmp_path)
    result = look(tmp_path, drill=True)
    assert result["backups"][0]["proven"]
    proof = read_proof(backup)
    assert proof is not None
    assert proof["drill"]["passed"]
    assert proof["drill"]["at"] == "2026-11-21T12:00:00Z"
    assert not look(tmp_path, drill=True)["changed"]
    assert len(drills.done) == 1


@pytest.mark.parametrize(
    ("outcome", "error", "words"),
    [
        pytest.param({"passed": False, "differences": ["public.a is missing"]}, None, "public.a", id="it differs"),
        pytest.param({"differences": ["public.a is missing"]}, None, "public.a", id="whatever it claims"),
        pytest.param({}, ValueError("no\nconnection"), "no connection", id="it breaks off"),
    ],
)
def test_a_failed_test_restore_is_told_and_tried_again(
    tmp_path: Path, drills: Drills, outcome: dict[str, Any], error: Exception | None, words: str
) -> None:
    backup, good = make(tmp_path), drills.outcome
    drills.outcome, drills.error = {**good, **outcome}, error
    result = look(tmp_path, drill=True)
    assert words in result["problems"][0]
    assert result["backups"][0]["verified"]
    assert not result["backups"][0]["proven"]
    proof = read_proof(backup)
    assert proof is not None
    assert proof["drill"] is None
    assert not proof["failed_drill"]["passed"]
    drills.outcome, drills.error = good, None
    assert look(tmp_path, drill=True)["problems"] == []
    assert len(drills.done) == 2
    assert "failed_drill" not in json.loads((backup.path / "verified.json").read_text())


def test_a_kind_that_nothing_restores_is_not_proven(tmp_path: Path, drills: Drills) -> None:
    make(tmp_path, kind="tape")
    assert "nothing here restores the kind tape" in look(tmp_path, drill=True)["problems"][0]
    assert drills.done == []


def test_only_the_named_ones_are_looked_at(tmp_path: Path) -> None:
    first, _second = make(tmp_path, days=2), make(tmp_path)
    assert [one["name"] for one in look(tmp_path, names=[first.name])["backups"]] == [first.name]
    assert "is not there" in look(tmp_path, names=["shop_20200101T000000Z"])["problems"][-1]


def test_a_directory_without_backups_is_a_problem_and_not_an_error(tmp_path: Path) -> None:
    assert "there is no whole backup" in look(tmp_path / "nowhere")["problems"][0]
    assert not (tmp_path / "nowhere").exists()


def test_one_at_a_time_verifies_a_set(tmp_path: Path) -> None:
    make(tmp_path)
    with locked(tmp_path, "shop.verify"), pytest.raises(SetError, match="wait until it has ended"):
        look(tmp_path)


def test_a_backup_that_is_removed_meanwhile_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = make(tmp_path, days=2)
    kept = make(tmp_path)
    check = verification.check

    def remove(backup: Backup, **options: Any) -> Any:
        if backup.name == gone.name:
            backup.path.rename(backup.path.with_name(backup.name + ".removed"))
        return check(backup, **options)

    monkeypatch.setattr(verification, "check", remove)
    result = look(tmp_path)
    assert result["problems"] == []
    assert [one["name"] for one in result["backups"]] == [kept.name]


@pytest.mark.parametrize("option", ["max_age", "drill_max_age", "reread_after", "amcheck_max_size"])
def test_an_option_that_cannot_be_meant_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        look(tmp_path, **{option: "soon"})
