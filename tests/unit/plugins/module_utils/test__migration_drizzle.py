# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations of Drizzle: what is pending, and what Drizzle would pass over."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._migration_drizzle import Entry, entries_in, stand
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError, digest

FIRST, SECOND = Entry("0000_first", 1000, "SELECT 1"), Entry("0001_second", 2000, "SELECT 2")


def note(entry):
    return {"when": entry.when, "hash": digest(entry.text)}


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        pytest.param([], (["0000_first", "0001_second"], [], []), id="a new database"),
        pytest.param([note(FIRST)], (["0001_second"], ["0000_first"], []), id="one is applied"),
        pytest.param([note(FIRST), note(SECOND)], ([], ["0000_first", "0001_second"], []), id="all are applied"),
    ],
)
def test_what_is_pending_follows_from_the_notes(rows, wanted):
    standing = stand([FIRST, SECOND], rows)
    assert (standing.pending, standing.applied, standing.unknown) == wanted


def test_what_the_release_does_not_know_is_told():
    assert stand([FIRST], [note(FIRST), note(SECOND)]).unknown == [f"{digest('SELECT 2')[:12]} of 2000"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param([note(SECOND)], "0000_first is not applied, and older", id="passed over"),
        pytest.param([{"when": 1000, "hash": "0" * 64}], "0000_first has been changed since", id="changed"),
    ],
)
def test_what_drizzle_would_not_say_is_refused(rows, words):
    with pytest.raises(MigrationError, match=words):
        stand([FIRST, SECOND], rows)


def test_the_journal_says_which_files_there_are_and_in_which_order(tmp_path):
    (tmp_path / "meta").mkdir()
    told = [{"idx": 0, "when": 5, "tag": "b"}, {"idx": 1, "when": 7, "tag": "a"}]
    (tmp_path / "meta/_journal.json").write_text(json.dumps({"entries": told}))
    (tmp_path / "a.sql").write_text("SELECT 'a'")
    with pytest.raises(MigrationError, match=r"b\.sql cannot be read: No such file"):
        entries_in(tmp_path)
    (tmp_path / "b.sql").write_text("SELECT 'b'")
    assert entries_in(tmp_path) == [Entry("b", 5, "SELECT 'b'"), Entry("a", 7, "SELECT 'a'")]


@pytest.mark.parametrize("text", ["", "[]", '{"entries": [{"tag": "a"}]}', '{"entries": 3}'])
def test_a_journal_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/_journal.json").write_text(text)
    with pytest.raises(MigrationError, match="is no journal of Drizzle"):
        entries_in(tmp_path)


def test_a_release_without_a_journal_is_refused(tmp_path):
    with pytest.raises(MigrationError, match=r"correct source\.migrations"):
        entries_in(tmp_path)
