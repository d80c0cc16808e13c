# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a whole backup is, what is none, and who may work on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_set
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, SetError

AT = datetime(2026, 11, 21, 2, 0, 0, tzinfo=timezone.utc)


def make(directory: Path, *, prefix: str = "daily", at: datetime = AT, payload: bytes = b"rows") -> Backup:
    with Draft.begin(directory, prefix, at) as draft:
        with draft.create("dump") as file:
            file.write(payload)
        with draft.create("more/part") as file:
            file.write(b"more")
        return draft.seal({"kind": "files", "content": {}})


def test_backups_are_listed_from_the_oldest_and_each_set_by_itself(tmp_path: Path) -> None:
    for day in (2, 0, 1):
        make(tmp_path, at=AT + timedelta(days=day))
    make(tmp_path, prefix="daily-other")
    make(tmp_path, prefix="daily_other")
    listed = _backup_set.list_backups(tmp_path, "daily")
    assert [backup.name for backup in listed] == [
        "daily_20261121T020000Z",
        "daily_20261122T020000Z",
        "daily_20261123T020000Z",
    ]
    assert listed[0].taken_at == AT
    assert _backup_set.list_backups(tmp_path / "nowhere", "daily") == []


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


DAMAGES = {
    "the manifest is gone": (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
    "the sums are gone": (lambda path: (path / "SHA256SUMS").unlink(), "SHA256SUMS is missing"),
    "a bit of the manifest": (lambda path: flip(path / "manifest.json"), "is not the one"),
    "a bit of the sums": (lambda path: flip(path / "SHA256SUMS"), "damaged"),
    "the sums end early": (lambda path: os.truncate(path / "SHA256SUMS", 100), "is damaged"),
    "the sums are empty": (lambda path: os.truncate(path / "SHA256SUMS", 0), "is damaged"),
    "the manifest is a directory": (
        lambda path: ((path / "manifest.json").unlink(), (path / "manifest.json").mkdir()),
        "cannot read",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_not_described_whole_is_no_backup(tmp_path: Path, name: str) -> None:
    damage, words = DAMAGES[name]
    backup = make(tmp_path)
    damage(backup.path)
    with pytest.raises(SetError, match=words):
        _backup_set.read_backup(backup.path)
    assert _backup_set.list_backups(tmp_path, "daily") == []
    assert list(_backup_set.strays(tmp_path, "daily")) == [backup.name]


def test_every_byte_of_the_sums_counts(tmp_path: Path) -> None:
    backup = make(tmp_path)
    sums = backup.path / "SHA256SUMS"
    whole = sums.read_bytes()
    for index in range(len(whole)):
        sums.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        with pytest.raises(SetError):
            _backup_set.read_backup(backup.path)
    sums.write_bytes(whole)
    assert _backup_set.read_backup(backup.path).identity == backup.identity


def test_sums_with_lines_in_another_order_are_refused() -> None:
    lines = [f"{'0' * 64}  {name}\n" for name in ("a", "b")]
    assert list(_backup_set.parse_sums("".join(lines).encode(), "sums")) == ["a", "b"]
    with pytest.raises(SetError):
        _backup_set.parse_sums("".join(reversed(lines)).encode(), "sums")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", "verified.json", "SHA256SUMS", "."])
def test_sums_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(SetError):
        _backup_set.parse_sums(f"{'0' * 64}  {path}\n".encode(), "sums")


def test_a_backup_under_another_name_is_none(tmp_path: Path) -> None:
    backup = make(tmp_path)
    shutil.copytree(backup.path, tmp_path / "daily_20261122T020000Z")
    with pytest.raises(SetError, match="holds the backup daily_20261121T020000Z"):
        _backup_set.read_backup(tmp_path / "daily_20261122T020000Z")


@pytest.mark.parametrize("prefix", ["", "../x", "a/b", ".hidden", "a b", "a\n"])
def test_a_set_has_a_name_that_is_safe(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot name a set"):
        _backup_set.set_name(prefix, AT)


def test_the_moment_is_written_in_utc() -> None:
    there = datetime(2026, 11, 21, 3, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    assert _backup_set.set_name("daily", there) == "daily_20261121T020000Z"
    with pytest.raises(ValueError, match="time zone"):
        _backup_set.set_name("daily", datetime(2026, 11, 21))


def test_one_at_a_time_works_on_a_set(tmp_path: Path) -> None:
    assert not _backup_set.is_locked(tmp_path, "daily")
    with _backup_set.locked(tmp_path, "daily"):
        assert _backup_set.is_locked(tmp_path, "daily")
        with pytest.raises(SetError, match=f"process {os.getpid()} works on the backups daily"):
            _backup_set.locked(tmp_path, "daily").__enter__()
        with _backup_set.locked(tmp_path, "weekly"):
            pass
    assert not _backup_set.is_locked(tmp_path, "daily")
    with _backup_set.locked(tmp_path, "daily"):
        pass


def test_a_process_that_dies_lets_go_of_its_lock(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from ansible_collections.runbook.ops.plugins.module_utils._backup_set import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 'daily'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert died.returncode == -9
    with _backup_set.locked(tmp_path, "daily"):
        pass


def test_what_a_dead_process_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    kept = make(tmp_path)
    foreign = ["notes.partial", "weekly_20261121T020000Z.partial", "daily_2026.partial", "daily_20261120T020000Z.old"]
    for name in [*foreign, "daily_20261120T020000Z.partial", "daily_20261119T020000Z.removed"]:
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below" / "file").write_text("x")
    gone = _backup_set.clean_up(tmp_path, "daily")
    assert gone == ["daily_20261119T020000Z.removed", "daily_20261120T020000Z.partial"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*foreign, kept.name])


def test_what_a_dead_process_left_counts_as_room(tmp_path: Path) -> None:
    assert _backup_set.reclaimable(tmp_path / "nowhere", "daily") == 0
    (tmp_path / "daily_20261120T020000Z.partial" / "dump").mkdir(parents=True)
    (tmp_path / "daily_20261120T020000Z.partial" / "dump" / "1.dat").write_bytes(b"x" * 100_000)
    (tmp_path / "weekly_20261120T020000Z.partial").write_bytes(b"x" * 100_000)
    assert 100_000 <= _backup_set.reclaimable(tmp_path, "daily") < 200_000
    with _backup_set.locked(tmp_path, "daily"):
        assert _backup_set.reclaimable(tmp_path, "daily") == 0, "somebody is at work on it"


def test_a_disk_without_room_for_a_note_does_not_keep_the_lock_from_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with _backup_set.locked(tmp_path, "daily"):
        assert _backup_set.is_locked(tmp_path, "daily")
