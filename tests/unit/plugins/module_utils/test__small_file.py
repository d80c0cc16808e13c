# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader finds the old file or the new one, and nothing is left beside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file


@pytest.mark.parametrize("aside", ["", "other.partial"])
def test_a_file_is_replaced_as_a_whole_with_its_mode(tmp_path: Path, aside: str) -> None:
    path = tmp_path / "file"
    for content, mode in ((b"old", 0o600), (b"new", 0o640)):
        replace_file(path, content, mode=mode, aside=aside)
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (content, mode)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        replace_file(path, b"new")
    assert raised.value.filename == f"{tmp_path}/.file.partial"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_lies_where_it_is_written_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".file.partial").symlink_to(tmp_path / "elsewhere")
    replace_file(tmp_path / "file", b"x")
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "file").read_bytes() == b"x"


def test_who_holds_a_file_of_that_name_open_does_not_write_into_ours(tmp_path: Path) -> None:
    with (tmp_path / ".file.partial").open("wb", buffering=0) as theirs:
        replace_file(tmp_path / "file", b"ours")
        theirs.write(b"theirs")
    assert (tmp_path / "file").read_bytes() == b"ours"
