# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of the module returns; what it does is tested with the machine behind it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry
from ansible_collections.runbook.ops.plugins.module_utils._deployment import Deployment
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live, PlanError, Wish
from ansible_collections.runbook.ops.plugins.modules import deployment, deployment_info


class OnlyLooked:
    """Parts that can be looked at; whatever else is called does not exist."""

    service = "api"
    outage_seconds = None

    def __init__(self, entry: Entry | None = None, live: Live | None = None, adoptable: str | None = None) -> None:
        self.journal = self
        self._entry, self._live, self._adoptable = entry, live, adoptable

    def read(self) -> Entry | None:
        return self._entry

    def look(self) -> tuple[Live | None, str | None, dict[str, str | None], dict[str, int]]:
        runs = {"blue": self._live.release} if self._live else {"blue": "" if self._adoptable else None}
        return self._live, self._adoptable, {"green": None, **runs}, {"blue": 3000, "green": 3001}

    def last_good(self, but: str | None) -> str | None:
        return "r0" if but == "r1" else None

    def came_back(self, live: str) -> str | None:
        return "r9" if live == "r8" else None


def predict(parts: OnlyLooked, state: str, release: str | None = None) -> dict[str, Any]:
    wish = Wish(state, release)
    return deployment.run(Deployment(parts, wish, run="run"), parts, wish, check_mode=True)


def test_check_mode_only_looks_and_says_what_would_be_done() -> None:
    found = predict(OnlyLooked(live=Live("blue", "r0")), "promoted", "r1")
    assert (found["changed"], found["outcome"], found["release"]) == (True, "promoted", "r1")
    assert [(one["action"], one["after"]) for one in found["changes"]] == [
        ("started", None),
        ("made live", "r1"),
        ("marked good", None),
    ]
    assert found["diff"]["before"]["live"] == {"slot": "blue", "release": "r0"}
    assert found["diff"]["after"]["live"] == {"slot": "green", "release": "r1"}


def test_what_is_live_needs_nothing() -> None:
    found = predict(OnlyLooked(live=Live("blue", "r1")), "promoted", "r1")
    assert (found["changed"], found["outcome"], found["changes"]) == (False, "unchanged", [])


def test_what_a_person_started_would_be_taken_first_and_the_new_one_goes_beside_it() -> None:
    found = predict(OnlyLooked(adoptable="blue"), "promoted", "r1")
    assert found["changes"][0]["action"] == "adopted"
    assert found["diff"]["after"]["live"]["slot"] == "green"


def test_a_rollback_says_where_it_would_go() -> None:
    assert predict(OnlyLooked(live=Live("blue", "r1")), "rolled_back")["release"] == "r0"


def test_a_rollback_goes_no_further_than_what_was_cut_off() -> None:
    cut = Entry("old", "deploy", "r2", "green", "r1", "blue", "returning", 0.0)
    assert predict(OnlyLooked(cut, Live("blue", "r1")), "rolled_back")["release"] is None


def test_a_rollback_of_what_was_gone_back_to_already_has_nothing_to_do() -> None:
    assert predict(OnlyLooked(live=Live("blue", "r8")), "rolled_back")["outcome"] == "unchanged"


def test_a_rollback_to_nowhere_is_refused() -> None:
    with pytest.raises(PlanError, match="no other release"):
        predict(OnlyLooked(live=Live("blue", "r0")), "rolled_back")


def test_what_was_cut_off_would_be_ended() -> None:
    cut = Entry("old", "deploy", "r1", "green", "r0", "blue", "started", 0.0)
    found = predict(OnlyLooked(cut, Live("blue", "r0")), "recovered")
    assert (found["changed"], len(found["actions"])) == (True, 1)


@pytest.mark.parametrize("module", [deployment, deployment_info])
def test_the_state_lies_where_all_deployments_have_it(module: Any) -> None:
    assert module.ARGUMENTS["directory"]["default"] == "/var/lib/runbook-ops/deploy"


def test_services_that_are_not_deployed_are_left_out() -> None:
    services = [
        {"name": "a", "manager": "systemd"},
        {"name": "b", "manager": "vercel", "deploy": None},
    ]
    assert deployment_info.run(services, "/nowhere", None, last=3)["checks"] == []
