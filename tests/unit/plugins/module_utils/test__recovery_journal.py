# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a host before a recovery, and by whom it can be read."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._recovery_journal import (
    RecoveryHostError,
    read_journal,
    write_journal,
)


def test_a_journal_comes_back_as_it_was_written_and_nobody_else_reads_it(tmp_path):
    path = tmp_path / "recovery" / "journal.json"
    assert read_journal(path) is None
    write_journal(path, {"drill": True})
    assert read_journal(path) == {"drill": True}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_journal_that_cannot_be_read_says_what_to_do(tmp_path):
    path = tmp_path / "journal.json"
    path.write_text("{")
    with pytest.raises(RecoveryHostError, match="throw this host away"):
        read_journal(path)
