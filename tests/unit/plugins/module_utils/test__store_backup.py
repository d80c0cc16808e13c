# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup of a stream: when it is made, when not, and what stays of one that fails."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _store_backup
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, list_backups, locked
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError, Wish, back_up
from ansible_collections.runbook.ops.plugins.module_utils._store_payload import read_payload

NOW = 1_790_000_000.0


class Store:
    kind, name, payload = "redis", "main", "dump.rdb"

    def __init__(self, pieces=(b"one", b"two"), needed=10):
        self._pieces, self._needed = pieces, needed

    def look(self, _last):
        return self._needed

    def pieces(self):
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def content(self):
        return {"keys": len(self._pieces)}

    def tools(self):
        return {"redis": "7.0.15"}

    def lines(self, content):
        return [f"keys: {content['keys']}"] if content else []


@pytest.fixture
def wish(tmp_path):
    return Wish(tmp_path / "backups", "main-redis", compression="gzip", min_free_percent=0)


def test_what_was_fed_in_comes_out_again(wish):
    result = back_up(wish, Store(), clock=lambda: NOW)
    (backup,) = list_backups(wish.directory, wish.set)
    assert result["changed"] and result["backup"]["identity"] == backup.identity
    assert backup.manifest["content"] == {"keys": 2, "payload": "dump.rdb.gz"}
    assert read_payload(backup, b"".join, identity=None, timeout_seconds=10) == b"onetwo"


def test_two_that_are_asked_for_in_one_second_are_both_made(wish):
    back_up(wish, Store())
    back_up(wish, Store())
    assert len(list_backups(wish.directory, wish.set)) == 2


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_check_mode_says_it_and_writes_nothing(wish, compression):
    result = back_up(wish._replace(compression=compression), Store(), check_mode=True, clock=lambda: NOW)
    assert result["changed"] and result["backup"]["needed_bytes"] == 10
    assert not wish.directory.exists()


@pytest.mark.parametrize(
    ("later", "made"),
    [(0, False), (3599, False), (3600, True), (-60, True)],
    ids=["now", "young", "old", "of the future"],
)
def test_a_young_backup_is_enough(wish, later, made):
    back_up(wish, Store(), clock=lambda: NOW)
    result = back_up(wish._replace(unless_younger_than="1h"), Store(), clock=lambda: NOW + later)
    assert result["changed"] is made
    assert (result["backup"]["name"] == list_backups(wish.directory, wish.set)[0].name) is (not made or later < 0)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("error", [StoreError("cannot read x"), OSError(28, "No space left on device")])
def test_of_one_that_fails_nothing_stays_and_the_last_one_is_as_it_was(wish, compression, error):
    before = back_up(wish, Store(), clock=lambda: NOW)["backup"]["identity"]
    with pytest.raises((StoreError, SetError, OSError)):
        back_up(wish._replace(compression=compression), Store([b"one", error]), clock=lambda: NOW + 60)
    assert [one.identity for one in list_backups(wish.directory, wish.set)] == [before]
    assert sorted(path.suffix for path in wish.directory.iterdir()) == ["", ".lock"] or not list(
        wish.directory.glob("*.partial")
    )


def test_what_a_killed_run_left_is_removed_and_told(wish):
    left = wish.directory / "main-redis_20260101T000000Z.partial"
    left.mkdir(parents=True)
    (wish.directory / "notes.txt").write_text("of somebody else")
    assert back_up(wish, Store(), clock=lambda: NOW)["cleaned"] == [left.name]
    assert (wish.directory / "notes.txt").exists()


def test_one_at_a_time(wish):
    wish.directory.mkdir()
    with locked(wish.directory, wish.set), pytest.raises(SetError, match="wait until it has ended"):
        back_up(wish, Store(), clock=lambda: NOW)


def test_a_full_disk_is_refused_before_anything_is_written(wish):
    with pytest.raises(StoreError, match=r"no room in .* are free, the backup may need 1\d\d EB|no room in"):
        back_up(wish, Store(needed=10**20), clock=lambda: NOW)
    assert not wish.directory.exists()


def test_the_diff_shows_what_is_not_as_in_the_last_one(wish):
    back_up(wish, Store(), clock=lambda: NOW)
    result = back_up(wish, Store([b"x"] * 3), clock=lambda: NOW + 1)
    assert result["diff"] == {"before": "keys: 2\n", "after": "keys: 3\n"}


def test_options_that_are_not_given_have_their_defaults():
    assert Wish.from_options({"directory": "/b", "set": "s", "compression": None}).compression == "auto"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(13, "Permission denied", "/x"), "/x: Permission denied: become root, then run this again"),
        (OSError(28, "No space left on device"), "No space left on device: make room on that disk, then run this again"),
        (OSError(2, "No such file or directory", "/x"), "/x: No such file or directory"),
        (ValueError("one\n two"), "one two"),
    ],
    ids=["an account", "a full disk", "no advice", "lines"],
)  # fmt: skip
def test_an_error_is_one_line_that_says_what_to_do(error, said):
    assert _store_backup.one_line(error) == said
