# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_place as place
from ansible_collections.runbook.ops.plugins.module_utils._account import account_of
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError

MIB = 1 << 20
NAME = "20260101T000000Z-aaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("room", "size", "files", "lacking"),
    [
        pytest.param(place.Room(500 * MIB, 99_999, 500 * MIB), 100 * MIB, 9000, None, id="enough"),
        pytest.param(
            place.Room(199 * MIB, 99_999, None), 100 * MIB, 9000, "199 MiB are free", id="less than twice the last"
        ),
        pytest.param(place.Room(99 * MIB, 99_999, None), 0, 0, "a release needs 100 MiB", id="little for a first one"),
        pytest.param(place.Room(500 * MIB, 17_999, None), 0, 9000, "17999 inodes", id="few inodes"),
        pytest.param(place.Room(500 * MIB, None, None), 0, 9000, None, id="a file system without a number of inodes"),
        pytest.param(place.Room(500 * MIB, 99_999, 100 * MIB), 0, 0, "100 MiB of memory", id="little memory"),
    ],
)
def test_a_release_is_not_begun_where_there_is_no_room_for_it(room, size, files, lacking):
    found = place.lacks(room, size_bytes=size, files=files)
    assert found is None if lacking is None else lacking in (found or "")


def test_room_is_looked_at_before_the_directory_is_there(tmp_path):
    room = place.look_at_room(str(tmp_path / "not" / "yet"))
    assert room.bytes > 0 and (room.memory_bytes or 0) > 0


def test_a_process_that_works_in_a_release_is_seen_and_one_that_builds_it_is_not(tmp_path):
    for name in (NAME, "x"):
        (tmp_path / name / "src").mkdir(parents=True)
    worker = subprocess.Popen(["sleep", "60"], cwd=tmp_path / NAME / "src")
    builder = subprocess.Popen(
        ["sleep", "60"], cwd=tmp_path / NAME, env={**os.environ, "RUNBOOK_OPS_BUILD": f"{tmp_path}/{NAME}"}
    )
    try:
        while any(b"sleep" not in Path(f"/proc/{one.pid}/cmdline").read_bytes() for one in (worker, builder)):
            time.sleep(0.01)
        assert place.worked_in(str(tmp_path), [NAME]) == {NAME: [worker.pid]}
        assert place.worked_in(str(tmp_path), []) == {}
    finally:
        for one in (worker, builder):
            one.kill()
            one.wait()


def test_only_a_release_is_deleted_also_what_a_build_made_read_only(tmp_path):
    directory = tmp_path / NAME / "cache"
    directory.mkdir(parents=True)
    (directory / "file").touch()
    directory.chmod(0o500)
    with pytest.raises(ReleaseError, match="is no release"):
        place.remove(account_of(None), str(tmp_path), "../x")
    place.remove(account_of(None), str(tmp_path), NAME)
    assert not (tmp_path / NAME).exists()
    place.remove(account_of(None), str(tmp_path), NAME)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTEMPTY])
def test_what_is_changed_while_it_is_deleted_is_deleted_all_the_same(tmp_path, monkeypatch, number):
    delete, times = shutil.rmtree, iter(range(2))

    def disturbed(directory):
        if next(times, None) is not None:
            raise OSError(number, os.strerror(number), str(directory))
        delete(directory)

    (tmp_path / NAME / "node_modules").mkdir(parents=True)
    monkeypatch.setattr(place.shutil, "rmtree", disturbed)
    place.remove(account_of(None), str(tmp_path), NAME)
    assert not (tmp_path / NAME).exists()


def test_what_cannot_be_deleted_is_not_forgotten(tmp_path, monkeypatch):
    def lost(directory):
        raise FileNotFoundError(errno.ENOENT, "lost", str(directory))

    (tmp_path / NAME).mkdir()
    monkeypatch.setattr(place.shutil, "rmtree", lost)
    monkeypatch.setattr(place, "TRIES", 2)
    with pytest.raises(ReleaseError, match="delete it by hand"):
        place.remove(account_of(None), str(tmp_path), NAME)


def test_a_link_in_place_of_a_release_is_deleted_and_what_it_leads_to_is_not(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / NAME).symlink_to(tmp_path / "precious")
    place.remove(account_of(None), str(tmp_path), NAME)
    assert (tmp_path / "precious").is_dir() and not (tmp_path / NAME).is_symlink()


def test_the_directory_of_the_releases_must_be_the_accounts(tmp_path):
    account = account_of(None)
    place.make(account, str(tmp_path / "srv" / "releases"))
    place.make(account, str(tmp_path / "srv" / "releases"))
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ReleaseError, match="is no directory"):
        place.make(account, str(tmp_path / "link"))


def test_a_link_that_the_account_puts_in_place_of_the_directory_just_made_gives_it_nothing(tmp_path, monkeypatch):
    (tmp_path / "precious").mkdir()
    given, make = [], Path.mkdir

    def swapped(path, *arguments, **options):
        make(path, *arguments, **options)
        if path.name == "releases":
            path.rmdir()
            path.symlink_to(tmp_path / "precious")

    def chown(path, _uid, _gid, *, follow_symlinks=True):
        given.append(Path(path).resolve().name if follow_symlinks else Path(path).name)

    monkeypatch.setattr(Path, "mkdir", swapped)
    monkeypatch.setattr(place.os, "chown", chown)
    with pytest.raises(ReleaseError, match="is no directory"):
        place.make(account_of(None), str(tmp_path / "releases"))
    assert given == ["releases"]


def test_what_was_written_is_counted_once_for_all_names_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 8192)
    os.link(tmp_path / "a", tmp_path / "b")
    size, files = place.measure(account_of(None), str(tmp_path))
    assert files == 2 and 8192 <= size < 16384
