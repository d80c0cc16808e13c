# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process at a time holds a lock, says who it is, and lets go of it however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _lock_file
from ansible_collections.runbook.ops.plugins.module_utils._lock_file import HeldError, take


def test_who_holds_it_is_named_and_it_is_free_once_that_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    handle = take(path)
    with pytest.raises(HeldError, match=f"^process {os.getpid()}$"):
        take(path)
    os.close(handle)
    os.close(take(path))


def test_a_process_that_is_killed_lets_go_of_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = f"import os, pathlib; from {_lock_file.__name__} import take; take(pathlib.Path({str(path)!r})); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert path.read_text().startswith("process ")
    os.close(take(path))


def test_one_that_has_no_room_for_a_note_is_held_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    handle = take(tmp_path / "lock")
    with pytest.raises(HeldError, match=r"^another process$"):
        take(tmp_path / "lock")
    os.close(handle)
