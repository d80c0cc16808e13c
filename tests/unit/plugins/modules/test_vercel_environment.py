# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vercel_environment, against a stub of the documented API."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._vercel import VercelError
from ansible_collections.runbook.ops.plugins.module_utils._vercel_variables import run

PARAMS = {"variables": {}, "absent": [], "targets": ["production"], "sensitive": False, "replace": False, "reason": "r"}


class FakeVercel:
    """A project's variables as the API tells of them."""

    project = "shop"

    def __init__(self) -> None:
        self.known: list[dict] = []
        self.broken = ""

    def variables(self):
        return [{key: value for key, value in one.items() if key != "value"} for one in self.known]

    def value_of(self, identity):
        one = next(one for one in self.known if one["id"] == identity)
        return None if one["type"] == "sensitive" else one["value"]

    def set_variable(self, variable):
        if variable["key"] == self.broken:
            raise VercelError("Vercel refused to set a variable (400)")
        self.known = [one for one in self.known if one["key"] != variable["key"]]
        self.known.append({**variable, "id": f"env_{variable['key']}"})

    def remove_variable(self, identity):
        self.known = [one for one in self.known if one["id"] != identity]


def wanted(fake, *, check_mode=False, **params):
    return run(fake, {**PARAMS, **params}, check_mode=check_mode)


def test_values_are_set_once_and_not_shown():
    fake = FakeVercel()
    predicted = wanted(fake, variables={"KEY": "s3cret", "A": 1}, check_mode=True)
    assert fake.known == []
    done = wanted(fake, variables={"KEY": "s3cret", "A": 1})
    assert done == predicted
    assert [(one["key"], one["value"]) for one in fake.known] == [("A", "1"), ("KEY", "s3cret")]
    assert "s3cret" not in str(done)
    assert done["checks"][0]["status"] == "warning"
    assert not wanted(fake, variables={"KEY": "s3cret"})["changed"]
    assert wanted(fake, variables={"KEY": "other"})["changes"][0]["action"] == "changed"


def test_a_value_that_nobody_can_read_is_written_when_told_to():
    fake = FakeVercel()
    wanted(fake, variables={"KEY": "one"}, sensitive=True)
    kept = wanted(fake, variables={"KEY": "two"}, sensitive=True)
    assert (kept["changed"], kept["unread"]) == (False, ["KEY"])
    assert wanted(fake, variables={"KEY": "two"}, sensitive=True, replace=True)["changed"]
    assert fake.known[0]["value"] == "two"


def test_what_is_not_wanted_goes_and_others_stay():
    fake = FakeVercel()
    wanted(fake, variables={"A": "1", "B": "2"})
    done = wanted(fake, absent=["A", "C"])
    assert (done["variables"], [one["thing"] for one in done["changes"]]) == (["B"], ["A"])
    assert not wanted(fake, absent=["A"])["changed"]


def test_a_variable_of_other_environments_does_not_change_along():
    fake = FakeVercel()
    wanted(fake, variables={"A": "1"}, targets=["production", "preview"])
    with pytest.raises(VercelError, match="A stands for preview as well"):
        wanted(fake, variables={"A": "2"})
    assert fake.known[0]["value"] == "1"


def test_what_was_done_before_a_failure_is_told():
    fake = FakeVercel()
    fake.broken = "B"
    with pytest.raises(VercelError, match="B: Vercel refused") as raised:
        wanted(fake, variables={"A": "1", "B": "2"})
    assert [one["thing"] for one in raised.value.details["changes"]] == ["A"]


def test_a_variable_of_one_branch_is_left_alone():
    fake = FakeVercel()
    wanted(fake, variables={"A": "1"}, targets=["preview"])
    fake.known.append(
        {"id": "env_b", "key": "A", "value": "2", "type": "encrypted", "target": ["preview"], "gitBranch": "next"}
    )
    assert not wanted(fake, variables={"A": "1"}, targets=["preview"])["changed"]
    wanted(fake, absent=["A"], targets=["preview"])
    assert [one["id"] for one in fake.known] == ["env_b"]
