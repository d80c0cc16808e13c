# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small sample of the campaign of kills, and full disks, for backups and restores of files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, list_backups
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify import run as verify
from ansible_collections.runbook.ops.plugins.module_utils._file_backup import FileStore
from ansible_collections.runbook.ops.plugins.module_utils._file_restore import FileRestore
from ansible_collections.runbook.ops.plugins.module_utils._path_restore import FAILED_RESTORE, Restore
from ansible_collections.runbook.ops.plugins.module_utils._path_restore_terms import ARGUMENTS
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError, Wish, back_up, one_line

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "store_kills.py"
NOW = 1_790_000_000.0


def test_a_backup_or_restore_of_files_killed_at_any_moment_leaves_the_old_or_the_new() -> None:
    argv = [sys.executable, str(CAMPAIGN), "--kills", "5", "--seed", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"kills: [5-9] .*; violations: 0; seed: 1$", summary), done.stdout + done.stderr
    assert done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_disk_that_fills_up_in_the_middle_costs_only_the_new_backup(
    small_disk: Path, tmp_path: Path, compression: str
) -> None:
    data = tmp_path / "data"
    data.write_bytes(bytes(1000) if compression == "none" else bytes(8 << 20))
    wish = Wish(small_disk / "backups", "files", compression=compression, min_free_percent=0)
    store = FileStore("files", [str(data)], [], directory=str(wish.directory))
    store.look = lambda _last: 0  # type: ignore[method-assign, assignment]  # the estimate is wrong
    back_up(wish, store, clock=lambda: NOW)
    data.write_bytes(os.urandom(8 << 20))
    with pytest.raises((SetError, PipelineError), match="No space left on device"):
        back_up(wish, store, clock=lambda: NOW + 60)
    (last,) = list_backups(wish.directory, "files")
    assert last.name == "files_20260921T141320Z" and check(last).problems == []
    assert [path.name for path in wish.directory.iterdir() if path.name != last.name] == [".files.lock"]


def test_a_disk_that_is_too_small_to_restore_on_is_refused_and_nothing_is_replaced(
    small_disk: Path, tmp_path: Path
) -> None:
    app = small_disk / "app"
    app.mkdir()
    (app / "data").write_bytes(bytes(3 << 20))
    where: dict[str, Any] = {"directory": str(tmp_path / "backups"), "set": "files"}
    back_up(Wish(tmp_path / "backups", "files"), FileStore("files", [str(app)], [], directory=where["directory"]))
    assert verify({**where, "drill": True})["problems"] == []
    known = {name: option.get("default") for name, option in ARGUMENTS.items()}
    options = {
        "name": "app",
        "paths": [],
        "carry_excluded": True,
        "from_host": "",
        "backup": "latest",
        "state": "prepared",
    }
    params = {**known, **where, **options, "journal_directory": str(tmp_path / "journal")}
    with pytest.raises(StoreError, match="no room beside"):
        Restore(FileRestore(params), params, check_mode=False).run()
    # And where the look before was wrong.
    restore = FileRestore(params)
    restore._refuse_full = lambda _paths, _needed: None  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreError, match="No space left on device"):
        Restore(restore, params, check_mode=False).run()
    assert [path.name for path in small_disk.iterdir()] == ["app"]
    assert (app / "data").stat().st_size == 3 << 20


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def test_a_disk_that_can_only_be_read_is_one_line_and_the_next_run_goes_on(small_disk: Path, tmp_path: Path) -> None:
    app = small_disk / "app"
    app.mkdir()
    (app / "data").write_text("old")
    where: dict[str, Any] = {"directory": str(tmp_path / "backups"), "set": "files"}
    back_up(Wish(tmp_path / "backups", "files"), FileStore("files", [str(app)], [], directory=where["directory"]))
    verify({**where, "drill": True})
    (app / "data").write_text("broken")
    known = {name: option.get("default") for name, option in ARGUMENTS.items()}
    options = {"name": "app", "paths": [], "carry_excluded": True, "from_host": "", "backup": "latest"}

    def restore(state: str, *, place: Path = tmp_path) -> dict[str, Any]:
        params = {
            **known,
            **where,
            **options,
            "state": state,
            "keep_days": 0,
            "journal_directory": str(place / "journal"),
        }
        return Restore(FileRestore(params), params, check_mode=False).run()

    for state in ("prepared", "swapped", "reverted", "pruned"):
        remount(small_disk, "ro")
        with pytest.raises(FAILED_RESTORE) as failed:
            restore(state)
        remount(small_disk, "rw")
        said = one_line(failed.value)
        assert "Read-only file system: see why" in said and "\n" not in said
        if state == "swapped":  # its way back was cut off as well, and is finished first
            restore("reverted")
            restore("prepared")
        restore(state)
        assert (app / "data").read_text() == ("old" if state == "swapped" else "broken")
    assert [path.name for path in small_disk.iterdir()] == ["app"]
    remount(small_disk, "ro")
    with pytest.raises(FAILED_RESTORE, match="cannot keep a journal"):
        restore("prepared", place=small_disk)
    remount(small_disk, "rw")
