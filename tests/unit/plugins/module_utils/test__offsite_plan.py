# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the bucket counts only when it is complete, and the newest complete copies never go."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import set_name
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import (
    MARKER,
    Copy,
    OffsiteError,
    copies_to_prune,
    drill_of,
    judge_copy,
    make_marker,
    place,
    sort_out,
    wanted_copies,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3 import Object

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def backup(directory, days=0):
    with Draft.begin(directory, "shop", NOW - days * DAY) as draft:
        with draft.create("dump/toc.dat") as file:
            file.write(b"table of contents")
        return draft.seal({"kind": "postgresql", "host": "web-1", "content": {}})


def copied(one, **changes):
    """Return the copy of a backup, as a listing and its marker tell of it."""
    text = make_marker(one, now=NOW, compared="content", proof=None)
    marker = {**json.loads(text), **changes}
    sizes = {entry["path"]: entry["size"] for entry in json.loads(text)["files"]}
    return judge_copy(Copy(one.name, one.taken_at, {**sizes, MARKER: 1}, 0), json.dumps(marker))


def complete(days):
    at = NOW - days * DAY
    return Copy(set_name("shop", at), at, {MARKER: 1}, at.timestamp(), {"identity": "x"}, None)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        pytest.param("", "shop_x/a", id="no prefix"),
        pytest.param("web-1", "web-1/shop_x/a", id="a prefix"),
        pytest.param("/a/b/", "a/b/shop_x/a", id="slashes are not doubled"),
    ],
)
def test_keys_are_below_the_prefix(prefix, expected):
    assert place(prefix, "shop_x", "a") == expected


def test_only_names_of_the_set_directly_below_the_prefix_are_looked_at():
    good = "shop_20261120T120000Z"
    keys = [
        f"p/{good}/dump/a",
        f"p/{good}/{MARKER}",
        f"p/{good}",
        f"p/other/{good}/a",
        f"{good}/a",
        f"pp/{good}/a",
        "p/shop-web_20261120T120000Z/a",
        "p/shop_20261320T120000Z/a",
        "p/shop_old/a",
    ]
    found = sort_out([Object(key, 7, index) for index, key in enumerate(keys)], prefix="p", wanted="shop")
    assert list(found) == [good]
    assert found[good].sizes == {"dump/a": 7, MARKER: 7}
    assert found[good].modified_at == 1
    assert found[good].fault is not None


def test_a_copy_with_all_its_files_counts(tmp_path):
    copy = copied(backup(tmp_path))
    assert copy.fault is None
    assert copy.marker["files"][-1]["path"] == "manifest.json"
    assert copy.marker["host"] == "web-1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"name": "shop_20200101T000000Z"}, "not that of this backup", id="another's"),
        pytest.param({"identity": "0" * 64}, "not that of this backup", id="another identity"),
        pytest.param({"format": 2}, "newer version", id="of the future"),
        pytest.param({"files": "x"}, "cannot be read", id="nonsense"),
    ],
)
def test_a_marker_that_does_not_fit_makes_no_copy(tmp_path, change, words):
    assert words in copied(backup(tmp_path), **change).fault


def test_a_marker_cannot_lead_out_of_the_directory(tmp_path):
    one = backup(tmp_path)
    files = [*copied(one).marker["files"], {"path": "../evil", "size": 1, "sha256": "0"}]
    assert "not that of this backup" in copied(one, files=files).fault


def test_a_missing_or_cut_file_is_named(tmp_path):
    one = backup(tmp_path)
    copy, text = copied(one), make_marker(one, now=NOW, compared="content", proof=None)
    cut = copy._replace(sizes={**copy.sizes, "dump/toc.dat": 3})
    assert judge_copy(cut, text).fault == "its dump/toc.dat has 3 bytes instead of 17"
    del cut.sizes["dump/toc.dat"]
    assert judge_copy(cut, text).fault == "its dump/toc.dat is missing"


def test_what_is_missing_is_copied_the_newest_first(tmp_path):
    old, middle, new = (backup(tmp_path, days) for days in (3, 2, 1))
    there = {middle.name: copied(middle)}
    assert wanted_copies([old, middle, new], there, keep=None, minimum=3, now=NOW) == [new, old]


def test_what_the_rules_would_delete_there_is_not_copied(tmp_path):
    old, middle, new = (backup(tmp_path, days) for days in (3, 2, 1))
    assert wanted_copies([old, middle, new], {}, keep={"last": 1}, minimum=1, now=NOW) == [new]
    assert wanted_copies([old, middle], {new.name: copied(new)}, keep={"last": 1}, minimum=1, now=NOW) == []


def test_another_backup_of_the_same_name_is_not_overwritten(tmp_path):
    one = backup(tmp_path)
    copy = copied(one)
    there = {one.name: copy._replace(marker={**copy.marker, "identity": "0", "host": "web-2"})}
    with pytest.raises(OffsiteError, match="of the host web-2: give each host and set a prefix"):
        wanted_copies([one], there, keep=None, minimum=3, now=NOW)


def test_only_a_passed_drill_is_told():
    assert drill_of({"drill": {"passed": True, "at": "x"}}) == {"passed": True, "at": "x"}
    assert drill_of({"drill": {"passed": False}}) is None
    assert drill_of({"drill": None}) is None
    assert drill_of(None) is None


def prune(copies, keep, *, minimum=1, now=NOW, incomplete_after=7 * 86400):
    gone, _plan = copies_to_prune(
        {copy.name: copy for copy in copies}, keep=keep, minimum=minimum, now=now, incomplete_after=incomplete_after
    )
    return [copy.name for copy in gone]


def test_the_rules_of_rotation_decide():
    copies = [complete(days) for days in range(9, -1, -1)]
    assert prune(copies, {"last": 2}) == [copy.name for copy in copies[:8]]
    assert prune(copies, {"last": 2}, minimum=5) == [copy.name for copy in copies[:5]]


def test_an_unfinished_copy_goes_when_it_is_idle_and_a_newer_one_is_complete():
    half = Copy(set_name("shop", NOW - 9 * DAY), NOW - 9 * DAY, {"dump/a": 1}, (NOW - 8 * DAY).timestamp())
    assert prune([half, complete(1)], {"last": 9}) == [half.name]
    assert prune([half], {"last": 9}) == []
    assert prune([half, complete(20)], {"last": 9}) == []
    assert prune([half._replace(modified_at=NOW.timestamp()), complete(1)], {"last": 9}) == []


def test_a_damaged_copy_is_neither_deleted_nor_counted():
    damaged = [complete(days)._replace(fault="its dump/a is missing") for days in (0, 1, 2)]
    old = [complete(days) for days in (30, 40)]
    assert prune([*damaged, *old], {"last": 1}, minimum=1) == [old[1].name]


def test_the_newest_complete_copies_stay_whatever_rules_and_clocks_say():
    chance = random.Random(7)
    for _round in range(2000):
        copies = [complete(chance.uniform(-3, 400)) for _copy in range(chance.randint(0, 12))]
        copies = [one if chance.random() < 0.7 else one._replace(fault="x", sizes={}) for one in copies]
        rule = chance.choice(["last", "hourly", "daily", "weekly", "monthly", "yearly"])
        minimum = chance.randint(0, 5)
        now = NOW + timedelta(days=chance.choice([-4000, -30, 0, 1, 4000]))
        gone = prune(copies, {rule: chance.randint(1, 3)}, minimum=minimum, now=now)
        whole = sorted({one.name for one in copies if one.fault is None})
        believed = [name for name in whole if name <= set_name("shop", now + DAY)]
        assert not set(gone) & set(believed[-max(1, minimum) :])
        assert not set(gone) & set(whole[len(believed) :])
