# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a backup holds for that very backup, and for what is on the disk now."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup

AT = datetime(2026, 11, 21, 2, 0, 0, tzinfo=timezone.utc)


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return make(tmp_path)


def make(directory: Path, *, at: datetime = AT) -> Backup:
    with Draft.begin(directory, "daily", at) as draft:
        for name in ("a", "below/b"):
            with draft.create(name) as file:
                file.write(name.encode() * 100)
        return draft.seal({"kind": "files"})


def flip(path: Path) -> None:
    data, before = bytearray(path.read_bytes()), path.stat().st_mtime_ns
    data[50] ^= 1
    while path.stat().st_mtime_ns == before:  # the clock of files goes in steps of some ms
        path.write_bytes(bytes(data))


def test_an_undamaged_backup_is_read_whole_once(backup: Backup) -> None:
    first = _backup_proof.check(backup)
    assert (first.problems, first.bytes_read) == ([], 100 + 700)
    again = _backup_proof.check(backup, known=first.files)
    assert (again.problems, again.bytes_read, again.files) == ([], 0, first.files)


DAMAGES = {
    "a bit": (lambda path: flip(path / "a"), "a is damaged: its SHA-256 is not the one that was written"),
    "cut off": (lambda path: os.truncate(path / "a", 60), "a has 60 bytes instead of 100"),
    "emptied": (lambda path: os.truncate(path / "below/b", 0), "below/b has 0 bytes instead of 700"),
    "removed": (lambda path: (path / "a").unlink(), "a is missing"),
    "added": (lambda path: (path / "c").write_text("x"), "c does not belong to it"),
    "a link to a directory": (lambda path: (path / "c").symlink_to("/etc"), "c does not belong to it"),
    "a link to the right content": (
        lambda path: ((path / "a").rename(path.parent / "a"), (path / "a").symlink_to(path.parent / "a")),
        "a cannot be read (Too many levels of symbolic links)",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_after_an_earlier_proof_too(backup: Backup, name: str) -> None:
    damage, words = DAMAGES[name]
    known = _backup_proof.check(backup).files
    damage(backup.path)
    assert _backup_proof.check(backup).problems == [words]
    assert _backup_proof.check(backup, known=known).problems == [words]


def test_a_damage_with_the_old_time_of_change_is_found(backup: Backup) -> None:
    known = _backup_proof.check(backup).files
    told = (backup.path / "a").stat()
    flip(backup.path / "a")
    os.utime(backup.path / "a", ns=(told.st_atime_ns, told.st_mtime_ns))
    assert _backup_proof.check(backup, known=known).problems != []


def test_a_proof_is_bound_to_its_backup(tmp_path: Path, backup: Backup) -> None:
    assert _backup_proof.read_proof(backup) is None
    _backup_proof.write_proof(backup, {"checked_at": "2026-11-21T03:00:00Z"})
    assert _backup_proof.read_proof(backup) == {"checked_at": "2026-11-21T03:00:00Z", "identity": backup.identity}
    other = make(tmp_path, at=AT + timedelta(days=1))
    (backup.path / "verified.json").rename(other.path / "verified.json")
    assert _backup_proof.read_proof(other) is None
    assert _backup_proof.check(other).problems == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", "\xff"])
def test_a_damaged_proof_proves_nothing(backup: Backup, text: str) -> None:
    (backup.path / "verified.json").write_text(text, encoding="latin-1")
    assert _backup_proof.read_proof(backup) is None


def test_a_proof_is_replaced_at_once(backup: Backup) -> None:
    for at in ("1", "2"):
        _backup_proof.write_proof(backup, {"checked_at": at})
    proof = _backup_proof.read_proof(backup)
    assert proof is not None
    assert proof["checked_at"] == "2"
    assert (backup.path / "verified.json").stat().st_mode & 0o777 == 0o600
    assert not (backup.path / "verified.json.partial").exists()
