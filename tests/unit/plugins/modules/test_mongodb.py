# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two modules of MongoDB from their options to their one line, where the server is not there."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

import pytest
from ansible_collections.runbook.ops.plugins.modules import mongodb_backup, mongodb_restore

SECRET = "correct-horse"


class EndedError(Exception):
    """The module has ended."""


class FakeModule:
    check_mode = False
    params: ClassVar[dict] = {}

    def __init__(self, **_options):
        pass

    def exit_json(self, **result):
        raise EndedError(result)

    def fail_json(self, *, msg):
        raise EndedError({"msg": msg})


@pytest.fixture
def port():
    """Give a port that nobody listens on, for as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def run(monkeypatch, tmp_path, port):
    def go(module: Any, **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(module, "AnsibleModule", FakeModule)
        known = {name: option.get("default") for name, option in module.ARGUMENTS.items()}
        places = {"directory": str(tmp_path / "backups"), "journal_directory": str(tmp_path / "journal")}
        login = {"database": "shop", "port": port, "user": "admin", "password": SECRET}
        monkeypatch.setattr(FakeModule, "params", {**known, **places, **login, "set": "shop", **options})
        with pytest.raises(EndedError) as ended:
            module.main()
        return ended.value.args[0]

    return go


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
