# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is whole once it has its name, whatever happens before."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_set
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError

AT = datetime(2026, 11, 21, 2, 0, 0, tzinfo=timezone.utc)
NAME = "daily_20261121T020000Z"


def test_what_is_sealed_can_be_checked_by_sha256sum(tmp_path: Path) -> None:
    with Draft.begin(tmp_path, "daily", AT) as draft:
        with draft.create("dump") as file:
            file.write(b"a" * 10)
            file.write(b"b" * 10)
        (draft.path / "parts").mkdir()
        (draft.path / "parts" / "1").write_bytes(b"one")
        (draft.path / "parts" / "2").write_bytes(b"two")
        draft.adopt("parts")
        backup = draft.seal({"kind": "files", "content": {"x": 1}})
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=backup.path, capture_output=True, text=True, check=True
    )
    assert checked.stdout.splitlines() == ["dump: OK", "manifest.json: OK", "parts/1: OK", "parts/2: OK"]
    assert backup.manifest["files"][0] == {
        "path": "dump",
        "size": 20,
        "sha256": hashlib.sha256(b"a" * 10 + b"b" * 10).hexdigest(),
    }
    assert (backup.manifest["size"], backup.manifest["content"], backup.name) == (26, {"x": 1}, NAME)
    assert _backup_set.read_backup(tmp_path / NAME) == backup


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Draft.begin(tmp_path, "daily", AT) as draft:
            draft.create("deep/dump").close()
            (draft.path / "parts").mkdir(mode=0o755)
            (draft.path / "parts" / "1").write_bytes(b"one")
            draft.adopt("parts")
            backup = draft.seal({})
    finally:
        os.umask(old)
    modes = {entry: entry.stat().st_mode & 0o777 for entry in [backup.path, *backup.path.rglob("*")]}
    assert {mode for entry, mode in modes.items() if entry.is_dir()} == {0o700}
    assert {mode for entry, mode in modes.items() if entry.is_file()} == {0o600}


def test_what_is_not_sealed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Draft.begin(tmp_path, "daily", AT) as draft:
        draft.create("dump").write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_never_written_over(tmp_path: Path) -> None:
    with Draft.begin(tmp_path, "daily", AT) as draft:
        first = draft.seal({"content": 1})
    with pytest.raises(SetError, match="is there already"):
        Draft.begin(tmp_path, "daily", AT)
    assert _backup_set.read_backup(first.path) == first


def test_a_name_that_was_taken_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="cannot name the backup"), Draft.begin(tmp_path, "daily", AT) as draft:
        (tmp_path / NAME).mkdir()
        (tmp_path / NAME / "dump").write_text("theirs")
        draft.seal({})
    assert [path.name for path in tmp_path.rglob("*")] == [NAME, "dump"]


@pytest.mark.parametrize("name", ["../x", "/x", "manifest.json", "SHA256SUMS", "verified.json", "a\nb", "a\\b", ""])
def test_a_payload_has_names_that_can_be_listed(tmp_path: Path, name: str) -> None:
    with Draft.begin(tmp_path, "daily", AT) as draft, pytest.raises(SetError, match="cannot be the name"):
        draft.create(name)
    assert list(tmp_path.iterdir()) == []


def test_a_payload_holds_files_only(tmp_path: Path) -> None:
    with Draft.begin(tmp_path, "daily", AT) as draft:
        (draft.path / "parts").mkdir()
        with pytest.raises(SetError, match="no file that could be saved"):
            draft.adopt("parts")
        (draft.path / "parts" / "link").symlink_to("/etc/passwd")
        with pytest.raises(SetError, match="symbolic link"):
            draft.adopt("parts")
        (draft.path / "parts" / "link").unlink()
        os.mkfifo(draft.path / "parts" / "pipe")
        with pytest.raises(SetError, match="no regular file"):
            draft.adopt("parts")


KILLED = """
import pathlib, sys
from datetime import datetime, timezone
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
with Draft.begin(pathlib.Path(sys.argv[1]), "daily", datetime(2026, 11, 21, 2, 0, 0, tzinfo=timezone.utc)) as draft:
    with draft.create("dump") as file:
        file.write(b"rows")
    draft.seal({})
"""


@pytest.mark.parametrize(
    ("point", "listed"), [("backup:described", []), ("backup:synced", []), ("backup:named", [NAME])]
)
def test_a_kill_leaves_a_whole_backup_or_none(tmp_path: Path, point: str, listed: list[str]) -> None:
    environment = {**os.environ, "RUNBOOK_OPS_KILL_AT": point}
    died = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    assert died.returncode == -9
    assert [backup.name for backup in _backup_set.list_backups(tmp_path, "daily")] == listed
    assert _backup_set.clean_up(tmp_path, "daily") == ([] if listed else [f"{NAME}.partial"])
