# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole backups are judged by the moment of their snapshot, their payload, and the proof that is bound to them."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import backup_files, backup_proof

HOUR = 3600
NOW = datetime.now(timezone.utc)


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch):
    """A test's directory need not survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def make(directory, hours_ago, *, size=1000, prefix="daily", verified=False, drilled_hours_ago=None, passed=True):
    with Draft.begin(directory, prefix, NOW - timedelta(hours=hours_ago)) as draft:
        with draft.create("dump") as file:
            file.write(b"x" * size)
        backup = draft.seal({"kind": "files", "content": {}})
    if verified:
        proof = {"checked_at": NOW.isoformat(), "files": _backup_proof.check(backup).files, "drill": None}
        if drilled_hours_ago is not None:
            at = (NOW - timedelta(hours=drilled_hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
            differences = [] if passed else ["public.orders has 3 rows instead of 4"]
            proof["drill" if passed else "failed_drill"] = {"at": at, "passed": passed, "differences": differences}
        _backup_proof.write_proof(backup, proof)
    return backup


def look(probe, directory, **raw):
    raw = {"probe": "x", "section": "S", "name": "db", "directory": str(directory), "set": "daily", **raw}
    raw.setdefault("max_age_seconds", 26 * HOUR)
    asked = read_options(raw, probe.OPTIONS, where="probes[0]")
    return {check["id"]: check for check in probe.judge(probe.measure(asked), asked)}


def files(directory, **raw):
    found = look(backup_files, directory, **raw)
    return [(check["status"], check["detail"]) for check in found.values()]


def test_a_whole_backup_is_as_old_as_its_snapshot_and_as_large_as_its_payload(tmp_path):
    backup = make(tmp_path, 20, size=1234)
    found = look(backup_files, tmp_path)
    assert found["backup:db"]["status"] == found["backup:db:size"]["status"] == "ok"
    assert abs(found["backup:db"]["value"] - 20 * HOUR) < 600  # the whole of the unit tests may take minutes
    assert (found["backup:db:size"]["value"], backup.name in found["backup:db"]["detail"]) == (1234, True)
    assert files(tmp_path, max_age_seconds=10 * HOUR)[0][0] == "critical"


def test_a_backup_that_is_being_written_or_deleted_or_belongs_to_another_set_counts_for_nothing(tmp_path):
    for hours, suffix in enumerate(("partial", "removed"), start=1):
        backup = make(tmp_path, hours)
        backup.path.rename(f"{backup.path}.{suffix}")
    make(tmp_path, 1, prefix="daily-files")
    assert files(tmp_path) == [("critical", f"no backup of daily in {tmp_path}")]


def test_a_damaged_backup_does_not_hide_that_the_last_whole_one_is_old(tmp_path):
    make(tmp_path, 30)
    backup = make(tmp_path, 1)
    (backup.path / "manifest.json").write_text("{}")
    status, detail = files(tmp_path)[0]
    assert status == "critical"
    assert f"{backup.name} is damaged" in detail


@pytest.mark.parametrize("size", [0, 400])
def test_a_newest_backup_whose_payload_is_cut_off_is_not_whole(tmp_path, size):
    backup = make(tmp_path, 1)
    os.truncate(backup.path / "dump", size)
    assert files(tmp_path)[1] == ("critical", f"not whole: dump has {size} bytes instead of 1000")


def test_a_backup_much_smaller_than_the_earlier_ones_of_its_set_is_suspicious(tmp_path):
    for day in range(1, 5):
        make(tmp_path, 24 * day)
        (tmp_path / f"backup_2020010{day}.sql").write_bytes(b"x" * 100_000)  # plain text, and not comparable
    make(tmp_path, 1, size=400)
    status, detail = files(tmp_path, pattern="backup_*.sql")[1]
    assert (status, detail) == ("warning", "400 B, the earlier ones about 1 kB")


def test_files_of_a_script_count_until_there_are_whole_backups(tmp_path):
    (tmp_path / f"backup_{datetime.now() - timedelta(hours=2):%Y%m%d_%H%M%S}.sql").write_bytes(b"x" * 500)
    assert [status for status, _detail in files(tmp_path, pattern="backup_*.sql")] == ["ok", "ok"]
    backup = make(tmp_path, 1)
    assert backup.name in files(tmp_path, pattern="*")[0][1]


def test_a_date_in_the_future_does_not_make_an_old_backup_young(tmp_path):
    make(tmp_path, 30)
    make(tmp_path, -72)
    status, detail = files(tmp_path)[0]
    assert status == "critical"
    assert "1 dated in the future count for nothing" in detail


def test_a_directory_of_a_script_is_whole_when_all_that_its_manifest_names_is_there(tmp_path):
    folder = tmp_path / f"{datetime.now() - timedelta(hours=2):%Y%m%d_%H%M%S}"
    folder.mkdir()
    (folder / "redis.rdb").write_bytes(b"x" * 500)
    (folder / "manifest.json").write_text(json.dumps({"checksums": {"redis.rdb": "0" * 64, "environment": "0" * 64}}))
    raw = {"set": None, "pattern": "20??????_??????"}
    assert files(tmp_path, **raw)[1] == ("critical", "not whole: environment is missing")
    (folder / "environment").write_bytes(b"A=b")
    assert files(tmp_path, **raw)[1][0] == "ok"


def proofs(directory, **raw):
    found = look(backup_proof, directory, **raw)
    return {identity.partition(":db")[2]: (check["status"], check["detail"]) for identity, check in found.items()}


def test_the_newest_verified_backup_is_young_and_the_last_test_restore_too(tmp_path):
    make(tmp_path, 100, verified=True, drilled_hours_ago=90)
    newest = make(tmp_path, 20, verified=True)
    make(tmp_path, 1)
    found = look(backup_proof, tmp_path, max_drill_age_seconds=8 * 24 * HOUR)
    assert {check["status"] for check in found.values()} == {"ok"}
    assert newest.name in found["backup-proof:db"]["detail"]
    assert abs(found["backup-proof:db"]["value"] - 20 * HOUR) < 600  # the whole of the unit tests may take minutes
    assert (
        abs(found["backup-proof:db:drill"]["value"] - 90 * HOUR) < 600
    )  # the whole of the unit tests may take minutes
    assert (found["backup-proof:db:size"]["value"], found["backup-proof:db:size"]["unit"]) == (1000, "B")


def test_backups_that_nobody_verified_are_red_however_young(tmp_path):
    make(tmp_path, 30, verified=True)
    for hours in range(1, 5):
        make(tmp_path, hours)
    status, detail = proofs(tmp_path)[""]
    assert status == "critical"
    assert "1d 6h old, at most 1d 2h" in detail


@pytest.mark.parametrize("made", [0, 2])
def test_where_none_is_verified_it_is_said(tmp_path, made):
    for hours in range(made):
        make(tmp_path, hours)
    found = proofs(tmp_path, max_drill_age_seconds=HOUR)
    assert found[""] == ("critical", f"none of {made} backups of daily is verified")
    assert found[":drill"] == ("critical", "no backup of daily was ever restored on trial")


def test_until_the_first_is_made_beside_those_of_a_script_none_is_asked_for(tmp_path):
    wish = {"pattern": "backup_*", "max_drill_age_seconds": HOUR}
    assert proofs(tmp_path, **wish) == {
        "": ("ok", "the first of daily is to come; what a script made before is looked at by its age")
    }
    make(tmp_path, 1)
    assert [status for status, _detail in proofs(tmp_path, **wish).values()] == ["critical", "critical"]


def test_a_directory_that_does_not_exist_proves_nothing(tmp_path):
    assert proofs(tmp_path / "none")[""] == ("critical", f"{tmp_path / 'none'} does not exist")


def test_a_proof_of_another_backup_proves_nothing(tmp_path):
    older, newer = make(tmp_path, 30, verified=True), make(tmp_path, 1)
    (newer.path / "verified.json").write_bytes((older.path / "verified.json").read_bytes())
    assert older.name in proofs(tmp_path)[""][1]


def test_a_backup_that_was_written_to_since_it_was_verified_is_not_verified(tmp_path):
    make(tmp_path, 20, verified=True)
    newer = make(tmp_path, 1, verified=True)
    with (newer.path / "dump").open("r+b") as file:
        file.write(b"y")
    status, detail = proofs(tmp_path)[""]
    assert status == "warning"
    assert f"{newer.name} was written to after it was verified" in detail


def test_a_verified_backup_much_smaller_than_the_earlier_ones_is_suspicious(tmp_path):
    for day in range(1, 5):
        make(tmp_path, 24 * day, verified=True)
    make(tmp_path, 1, size=300, verified=True)
    assert proofs(tmp_path)[":size"] == ("warning", "300 B, the earlier ones about 1 kB")
    assert proofs(tmp_path, min_size_bytes=500)[":size"][0] == "critical"


@pytest.mark.parametrize(
    ("hours", "passed", "status", "words"),
    [
        pytest.param(300, True, "critical", "12d 12h ago, at most 8d", id="long ago"),
        pytest.param(1, False, "critical", "public.orders has 3 rows instead of 4", id="it differed"),
        pytest.param(1, True, "ok", "1h", id="lately"),
    ],
)
def test_a_test_restore_must_be_recent_and_have_passed(tmp_path, hours, passed, status, words):
    make(tmp_path, 2, verified=True, drilled_hours_ago=hours, passed=passed)
    found, detail = proofs(tmp_path, max_drill_age_seconds=8 * 24 * HOUR)[":drill"]
    assert found == status
    assert words in detail


def test_a_test_restore_that_failed_does_not_stand_behind_an_older_one_that_passed(tmp_path):
    make(tmp_path, 26, verified=True, drilled_hours_ago=25)
    newer = make(tmp_path, 2, verified=True, drilled_hours_ago=1, passed=False)
    status, detail = proofs(tmp_path, max_drill_age_seconds=8 * 24 * HOUR)[":drill"]
    assert (status, newer.name in detail) == ("critical", True)
    make(tmp_path, 1, verified=True, drilled_hours_ago=0)
    assert proofs(tmp_path, max_drill_age_seconds=8 * 24 * HOUR)[":drill"][0] == "ok"
