# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc says is read as it is, of processes that end while one looks, too."""

from __future__ import annotations

import os
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _proc
from ansible_collections.runbook.ops.plugins.module_utils._proc import (
    Process,
    in_cgroup,
    maps,
    newest_change,
    processes,
    with_descendants,
)


def process(pid, parent, *cgroups):
    return Process(pid, parent, "p", 0.0, 0, cgroups, "p")


TREE = {one.pid: one for one in (process(1, 0), process(2, 1), process(3, 2), process(4, 1), process(5, 3))}


def test_this_process_is_found_with_its_start_and_memory():
    me = processes()[os.getpid()]
    assert me.parent == os.getppid()
    assert time.time() - 3600 < me.started_at <= time.time()
    assert me.memory_bytes > 1_000_000
    assert "python" in me.title


def test_a_name_with_parentheses_and_blanks_is_read(tmp_path, monkeypatch):
    entry = tmp_path / "42"
    entry.mkdir()
    fields = ["S", "7", *["0"] * 17, "250", "0", "3", "0"]
    (entry / "stat").write_text("42 (a) (b c) " + " ".join(fields))
    (entry / "cgroup").write_text("0::/system.slice/a:b.service\n")
    (entry / "cmdline").write_bytes(b"a\0--x\0")
    (tmp_path / "43").mkdir()  # has ended: nothing in it can be read
    (tmp_path / "self").mkdir()
    monkeypatch.setattr(_proc, "PROC", tmp_path)
    (found,) = processes().values()
    assert (found.name, found.parent, found.title) == ("a) (b c", 7, "a --x")
    assert found.cgroups == ("/system.slice/a:b.service",)
    assert found.started_at == pytest.approx(_proc.boot_time() + 250 / os.sysconf("SC_CLK_TCK"), abs=0.1)
    assert found.memory_bytes == 3 * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("pids", "expected"),
    [([2], [2, 3, 5]), ([2, 3], [2, 3, 5]), ([9], []), ([0], []), ([], []), ([1], [1, 2, 3, 4, 5])],
)
def test_descendants_are_found(pids, expected):
    assert with_descendants(pids, TREE) == expected


def test_a_control_group_holds_what_is_in_it_or_below():
    found = [process(1, 0, "/s/a.service"), process(2, 0, "/s/a.service/x"), process(3, 0, "/s/a.service2")]
    among = {one.pid: one for one in found}
    assert in_cgroup("/s/a.service", among) == [1, 2]
    assert in_cgroup("", among) == in_cgroup("/", among) == []


def test_what_a_process_has_mapped_is_its_own_until_it_ends():
    assert "python" in (maps(os.getpid()) or "")
    assert maps(2**22 + 1) == ""


def test_what_may_not_be_seen_is_not_nothing(monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError

    monkeypatch.setattr(_proc.Path, "read_text", refuse)
    assert maps(1) is None


def test_the_newest_change_is_found_behind_links_and_in_directories(tmp_path):
    (tmp_path / "conf.d").mkdir()
    old, new = tmp_path / "conf.d" / "old.conf", tmp_path / "new.conf"
    for path in (old, new):
        path.write_text("x")
    (tmp_path / "conf.d" / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "conf.d" / "link.conf").symlink_to(new)
    os.utime(tmp_path / "conf.d", (1, 1))
    time.sleep(0.02)
    os.utime(new, (1, 1))  # the content looks old, the change is new
    changed_at, path = newest_change([str(tmp_path / "conf.d")]) or (0, "")
    assert path == str(tmp_path / "conf.d" / "link.conf")
    assert changed_at == new.stat().st_ctime > old.stat().st_ctime


def test_a_file_that_went_away_is_a_change(tmp_path):
    (tmp_path / "a").write_text("x")
    before = newest_change([str(tmp_path)])
    time.sleep(0.02)
    (tmp_path / "a").unlink()
    after = newest_change([str(tmp_path)])
    assert before and after and after[0] > before[0]


def test_a_single_file_and_one_that_is_not_there(tmp_path):
    (tmp_path / "a").write_text("x")
    assert newest_change([str(tmp_path / "a"), str(tmp_path / "no")]) == (
        (tmp_path / "a").stat().st_ctime,
        str(tmp_path / "a"),
    )
    assert newest_change([str(tmp_path / "no")]) is None


def test_a_walk_over_too_much_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(_proc, "MOST_FILES", 2)
    for number in range(10):
        (tmp_path / str(number)).write_text("x")
    assert newest_change([str(tmp_path)]) is not None
