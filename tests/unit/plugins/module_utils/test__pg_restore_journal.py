# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a restore: whole or not there, and one restore of a database at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import Journal, JournalError


def test_what_is_written_is_read_and_a_server_knows_only_its_own(tmp_path: Path) -> None:
    with Journal(tmp_path / "new", "a/b", "7").locked():
        Journal(tmp_path / "new", "a/b", "7").write({"stage": "prepared"})
    assert Journal(tmp_path / "new", "a/b", "7").read() == {"stage": "prepared", "format": 1}
    assert Journal(tmp_path / "new", "a/b", "8").read() is None
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [".a%2Fb@7.lock", "a%2Fb@7.json"]
    assert (tmp_path / "new" / "a%2Fb@7.json").stat().st_mode & 0o777 == 0o600


def test_a_second_restore_of_the_same_database_is_refused_by_name(tmp_path: Path) -> None:
    with Journal(tmp_path, "shop", "7").locked():
        with (
            pytest.raises(JournalError, match=r"process \d+ restores this database at this moment"),
            Journal(tmp_path, "shop", "7").locked(),
        ):
            pass
        with Journal(tmp_path, "other", "7").locked():
            pass
    with Journal(tmp_path, "shop", "7").locked():
        pass


@pytest.mark.parametrize("text", ["{", '{"format": 2}', "[]"])
def test_where_it_cannot_be_read_nothing_is_done(tmp_path: Path, text: str) -> None:
    journal = Journal(tmp_path, "shop", "7")
    journal.path.write_text(text)
    with pytest.raises(JournalError):
        journal.read()
