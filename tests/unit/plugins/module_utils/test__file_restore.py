# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a backup of files may be restored here."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._file_restore import FileRestore, _carry
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

PARAMS: dict[str, Any] = {"name": "app", "paths": [], "carry_excluded": True, "from_host": "", "min_free_percent": 0}


def backup_of(root: Path, host: str) -> Any:
    content = {"roots": {str(root): {"bytes": 1}}}
    manifest = {"host": host, "taken_at": "2026-11-21T02:00:00Z", "size": 1, "content": content}
    return SimpleNamespace(path=Path("/backups/app_1"), name="app_1", manifest=manifest)


def test_a_backup_of_another_host_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"made on the host elsewhere, not on .*set from_host to elsewhere"):
        FileRestore(PARAMS).plan(backup_of(tmp_path / "app", "elsewhere"), "x")
    restore = FileRestore({**PARAMS, "from_host": "elsewhere"})
    lines = restore.plan(backup_of(tmp_path / "app", "elsewhere"), "x")["lines"]
    assert f"saved on     elsewhere, this is {socket.gethostname()}" in lines
    with pytest.raises(StoreError, match="not on elsewhere"):
        restore.plan(backup_of(tmp_path / "app", socket.gethostname()), "x")


def test_a_path_that_was_not_saved_is_refused(tmp_path: Path) -> None:
    backup = backup_of(tmp_path / "app", socket.gethostname())
    with pytest.raises(StoreError, match="is not in app_1: it holds"):
        FileRestore({**PARAMS, "paths": [str(tmp_path / "other")]}).plan(backup, "x")
    plan = FileRestore({**PARAMS, "paths": [str(tmp_path / "app" / "part")]})
    (tmp_path / "app").mkdir()
    assert not plan.plan(backup, "x")["whole"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"paths": ["/a", "/b/"]}, {"paths": ["/b", "/a"]}, True),
        ({"paths": ["/a"]}, {"paths": []}, False),
        ({}, {"carry_excluded": False}, False),
    ],
    ids=["in another order", "fewer", "without what was excluded"],
)
def test_the_same_restore_is_that_of_the_same_paths(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (FileRestore({**PARAMS, **one}).asked() == FileRestore({**PARAMS, **other}).asked()) is same


@pytest.mark.parametrize("gone", ["cache/a", "cache/deep", "cache"])
def test_what_was_not_saved_and_is_gone_meanwhile_keeps_nothing_else_back(
    gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, new = tmp_path / "live", tmp_path / "new"
    (live / "cache" / "deep").mkdir(parents=True)
    new.mkdir()
    for name in ("cache/a", "cache/b", "cache/deep/c"):
        (live / name).write_text(name)
    lstat = os.lstat

    def vanish(path: str) -> os.stat_result:
        found = lstat(path)
        if str(path) == str(live / gone):
            (live / gone).rename(tmp_path / "elsewhere")
        return found

    monkeypatch.setattr(os, "lstat", vanish)
    _carry(str(live), str(new), lambda path: Path(path).name == "cache")
    monkeypatch.undo()
    expected = {"cache/a", "cache/b", "cache/deep/c"} - {gone, f"{gone}/c"} if gone != "cache" else set()
    assert {str(path.relative_to(new)) for path in new.rglob("*") if path.is_file()} == expected
    assert (new / "cache").is_dir() is (gone != "cache")
