# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two modules of MongoDB from their options to their one line, where the server is not there."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.runbook.ops.plugins.modules import mongodb_backup, mongodb_restore

SECRET = "correct-horse"


@pytest.fixture
def port():
    """Give a port that nobody listens on, for as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def run(end_of, tmp_path, port):
    places = {"directory": str(tmp_path / "backups"), "journal_directory": str(tmp_path / "journal"), "set": "shop"}
    login = {"database": "shop", "port": port, "user": "admin", "password": SECRET}
    return lambda module, **options: end_of(module, **{**places, **login, **options})


def test_a_server_that_does_not_answer_is_named_and_nothing_is_left(run, port, tmp_path):
    said = run(mongodb_backup)["msg"]
    assert said.startswith(
        f"MongoDB shop was not backed up: MongoDB does not answer: 127.0.0.1:{port}: Connection refused"
    )
    assert said.endswith("see whether it runs, or correct host and port") and SECRET not in said
    assert not list(tmp_path.glob("backups/*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"state": "swapped"}, "run with state prepared first", id="nothing prepared"),
        pytest.param({"state": "prepared", "backup": "latest"}, "there is no whole backup shop in", id="no backup"),
    ],
)
def test_a_restore_that_cannot_be_is_said_in_one_line(run, options, words):
    said = run(mongodb_restore, **options)["msg"]
    assert words in said and "\n" not in said


@pytest.mark.parametrize("state", ["reverted", "pruned"])
def test_where_nothing_was_begun_there_is_nothing_to_do(run, state):
    found = run(mongodb_restore, state=state)
    assert (found["changed"], found["actions"], found["stage"]) == (False, [], "none")
