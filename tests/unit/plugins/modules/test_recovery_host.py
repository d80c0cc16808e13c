# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recovery notes before it begins, and what it refuses; what is cleaned up is tried on a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._recovery_journal import RecoveryHostError
from ansible_collections.runbook.ops.plugins.modules.recovery_host import run


class FakeModule:
    """Runs nothing; dpkg-query tells of two packages."""

    def __init__(self, *, check_mode=False):
        self.check_mode, self.commands = check_mode, []

    def get_bin_path(self, program, **_options):
        return f"/usr/bin/{program}"

    def run_command(self, argv, **_options):
        self.commands.append(argv[0].rpartition("/")[2])
        return 0, "bash installed\nopenssh-server installed\ngone not-installed\n", ""


@pytest.fixture
def wanted(tmp_path):
    """Return parameters for a host on which there is nothing yet."""
    return {
        **{"system": "shop", "state": "begun", "drill": True, "paths": [str(tmp_path / "srv" / "shop")]},
        **{
            "accounts": ["shop"],
            "roles": ["shop"],
            "units": ["nginx.service"],
            "directory": str(tmp_path / "recovery"),
        },
    }


@pytest.fixture(autouse=True)
def _empty_host(monkeypatch):
    """Look at the paths that are wanted only: this machine has a use of its own."""
    module = "ansible_collections.runbook.ops.plugins.modules.recovery_host"
    monkeypatch.setattr(
        "ansible_collections.runbook.ops.plugins.module_utils._recovery_journal.is_there", lambda _program: False
    )
    monkeypatch.setattr(
        f"{module}.evidence", lambda paths, **_options: [f"{one} is there" for one in paths if Path(one).exists()]
    )


def journal(params):
    return json.loads((Path(params["directory"]) / "journal.json").read_text(encoding="utf-8"))


def test_what_the_host_has_is_noted_before_anything_is_done(wanted):
    result = run(wanted, FakeModule())
    noted = journal(wanted)
    assert result["changed"]
    assert not result["underway"]
    assert (noted["drill"], noted["system"], noted["packages"]) == (True, "shop", ["bash", "openssh-server"])
    assert "root" in noted["users"]
    assert noted["made"] == [wanted["paths"][0].rpartition("/")[0]]


def test_check_mode_refuses_the_same_and_notes_nothing(wanted, tmp_path):
    assert run(wanted, FakeModule(check_mode=True))["changed"]
    assert not (tmp_path / "recovery").exists()
    (tmp_path / "srv" / "shop").mkdir(parents=True)
    with pytest.raises(RecoveryHostError, match=r"in use, and nothing was touched: .*/srv/shop is there"):
        run(wanted, FakeModule(check_mode=True))


def test_a_drill_that_was_cut_off_is_not_begun_again_but_a_recovery_goes_on(wanted, tmp_path):
    run(wanted, FakeModule())
    with pytest.raises(RecoveryHostError, match=r"a drill of shop was begun here .*state absent cleans up"):
        run(wanted, FakeModule())
    real = {**wanted, "drill": False, "directory": str(tmp_path / "real")}
    first = run(real, FakeModule())
    (tmp_path / "srv" / "shop").mkdir(parents=True)  # it has come further since
    again = run(real, FakeModule())
    assert (again["changed"], again["underway"], again["began_at"]) == (False, True, first["began_at"])


def test_what_is_noted_is_told_when_a_recovery_goes_on(wanted):
    real = {**wanted, "drill": False}
    assert run(real, FakeModule())["done"] == []
    for step in ("files", "databases", "files"):
        assert not run({**real, "state": "noted", "step": step}, FakeModule())["changed"]
    assert run(real, FakeModule())["done"] == ["files", "databases"]


def test_nothing_is_noted_of_a_recovery_that_was_not_begun(wanted):
    with pytest.raises(RecoveryHostError, match="no recovery was begun here"):
        run({**wanted, "state": "noted", "step": "files"}, FakeModule())


def test_another_system_is_not_recovered_over_one(wanted):
    run({**wanted, "drill": False}, FakeModule())
    with pytest.raises(RecoveryHostError, match="a recovery of shop was begun here"):
        run({**wanted, "drill": False, "system": "mail"}, FakeModule())


@pytest.mark.parametrize(
    ("drill", "state"),
    [
        pytest.param(False, "absent", id="what was recovered for real is never cleaned up"),
        pytest.param(True, "finished", id="a drill is never taken for a recovery"),
    ],
)
def test_each_ends_in_its_own_way(wanted, drill, state):
    run({**wanted, "drill": drill}, FakeModule())
    module = FakeModule()
    result = run({**wanted, "state": state}, module)
    assert not result["changed"]
    assert module.commands == []
    assert journal(wanted)["drill"] is drill


def test_a_recovery_that_is_finished_leaves_nothing_of_its_own(wanted, tmp_path):
    real = {**wanted, "drill": False}
    run(real, FakeModule())
    (tmp_path / "recovery" / "backups").mkdir()
    assert run({**real, "state": "finished"}, FakeModule())["changed"]
    assert not (tmp_path / "recovery").exists()
    assert not run({**real, "state": "finished"}, FakeModule())["changed"]


def test_a_host_without_a_drill_is_left_alone(wanted):
    module = FakeModule()
    result = run({**wanted, "state": "absent"}, module)
    assert (result["changed"], result["began_at"], module.commands) == (False, None, [])
