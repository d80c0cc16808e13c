# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a tree of files is told, and what of it is left out."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import (
    Entry,
    TreeError,
    clean_roots,
    compare,
    describe,
    matcher,
)

FILE = Entry("src/a", "f", 0o644, "deploy:deploy", 3, "aa")


def test_the_order_does_not_matter_and_bytes_are_counted():
    other = FILE._replace(path="src/b", size=4)
    told = describe([FILE, other, Entry("src", "d", 0o755, "a:a", 0, ""), Entry("l", "l", 0o777, "a:a", 0, "src/a")])
    assert told == describe(
        [Entry("l", "l", 0o777, "a:a", 0, "src/a"), other, Entry("src", "d", 0o755, "a:a", 0, ""), FILE]
    )
    assert (told["files"], told["directories"], told["links"], told["bytes"]) == (2, 1, 1, 7)


@pytest.mark.parametrize(
    "change",
    [{"path": "src/c"}, {"mode": 0o600}, {"owner": "root:root"}, {"digest": "bb"}, {"kind": "p"}],
    ids=["name", "mode", "owner", "content", "kind"],
)
def test_every_difference_changes_the_checksum(change):
    before, after = describe([FILE]), describe([FILE._replace(**change)])
    assert before["sha256"] != after["sha256"]
    assert len(compare({"/a": before}, {"/a": after})) == 1


def test_a_name_that_is_no_text_is_kept():
    assert describe([FILE._replace(path=b"\xff".decode("utf-8", "surrogateescape"))])["files"] == 1


def test_what_differs_is_said_in_words():
    assert compare({"/a": describe([FILE])}, {}) == ["/a is missing"]
    assert compare({"/a": describe([FILE])}, {"/a": describe([])}) == ["/a: 0 files instead of 1, 0 bytes instead of 3"]
    assert compare({"/a": describe([FILE])}, {"/a": describe([FILE])}) == []


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("node_modules", "node_modules", True),
        ("node_modules", "packages/x/node_modules", True),
        ("node_modules", "node_modules_old", False),
        ("*.log", "logs/app.log", True),
        ("cache/*", "cache/x", True),
        ("cache/*", "other/cache/x", False),
        ("/srv/app/uploads", "uploads", True),
        ("/srv/app/uploads/", "uploads", True),
        ("/srv/other/uploads", "uploads", False),
        ("[", "x", False),
        ("", "x", False),
    ],
)
def test_globs_mean_names_paths_below_or_whole_paths(pattern, path, excluded):
    assert matcher([pattern])("/srv/app", path) is excluded


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([], "empty"),
        (["/"], "below /"),
        (["etc"], "absolute"),
        (["/etc/../x"], "without"),
        (["/etc", "/etc/nginx"], "lies within /etc"),
    ],
    ids=["none", "everything", "relative", "upwards", "twice"],
)
def test_paths_that_cannot_be_meant_are_refused(paths, words):
    with pytest.raises(TreeError, match=words):
        clean_roots(paths)


def test_paths_are_cleaned_of_slashes_and_doubles():
    assert clean_roots(["/etc/nginx/", "/etc//nginx", "/etc/nginx2"]) == ["/etc/nginx", "/etc/nginx2"]
