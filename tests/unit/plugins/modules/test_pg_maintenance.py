# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode predicts what a run does, a second run does nothing, and the documentation says what the code takes."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.doc_fragments.postgresql import ModuleDocFragment
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_due import Thresholds
from ansible_collections.runbook.ops.plugins.module_utils._pg_maintenance import Budget, Maintenance
from ansible_collections.runbook.ops.plugins.modules import pg_maintenance

BUDGET = Budget(total=3600, lock_timeout=5, lock_attempts=1, wait_for_others=0, held_limit=60, jobs=1)
DEFAULTS = {name: option.get("default") for name, option in pg_maintenance.OPTIONS.items()}


def run(server, *, check_mode=False, databases=("shop",)):
    maintenance = Maintenance(server, run="r1", limits=Thresholds(), budget=BUDGET, clock=server.clock)
    return pg_maintenance.run(maintenance, list(databases), check_mode=check_mode)


@pytest.fixture
def sick(pg):
    table, other = pg.table("public.a", live_rows=80_000, dead_rows=20_000), pg.table("public.b")
    index = pg.index(other, "i", bytes=20_000_000)
    measures = {index["oid"]: pg.measure(index, waste_percent=60)}
    return pg.server(pg.database([table, other], [index]), measures)


def test_check_mode_predicts_what_the_run_then_does_and_touches_nothing(sick):
    predicted = run(sick, check_mode=True)
    assert sick.changes == []

    made = run(sick)

    assert predicted["changed"] and made["changed"]
    assert (
        predicted["actions"]
        == made["actions"]
        == ["shop: VACUUM (ANALYZE) public.a", "shop: REINDEX INDEX CONCURRENTLY public.i"]
    )
    assert predicted["diff"] == made["diff"]
    assert [(one["thing"], one["action"], one["reason"]) for one in predicted["changes"]] == [
        (one["thing"], one["action"], one["reason"]) for one in made["changes"]
    ]
    assert predicted["reclaimed_bytes"] == 0
    assert made["reclaimed_bytes"] == 10_000_000


def test_a_change_shows_sizes_only_where_the_size_is_what_changed(sick):
    vacuum, reindex = run(sick)["changes"]
    assert (vacuum["before"], vacuum["after"], vacuum["unit"]) == (None, None, None)
    assert (reindex["before"], reindex["after"], reindex["unit"]) == (20_000_000, 10_000_000, "bytes")


def test_a_second_run_changes_nothing(sick):
    run(sick)
    again = run(sick)
    assert (again["changed"], again["actions"], again["plan"], again["changes"]) == (False, [], [], [])
    assert again["diff"] == {"before": "", "after": ""}
    assert [check["status"] for check in again["checks"]] == ["ok", "ok", "ok"]


def test_what_failed_is_no_change_and_ends_the_module_in_one_line(sick):
    sick.fail("VACUUM (ANALYZE) public.a", PgError("no"))
    result = run(sick)
    assert result["msg"] == "vacuum of public.a in shop failed: no"
    assert [one["thing"] for one in result["changes"]] == ["shop: public.i"]
    assert [check["status"] for check in result["checks"]] == ["ok", "ok", "critical"]


def test_what_is_left_out_is_no_change_and_is_warned_of(pg):
    server = pg.server(pg.database([pg.table(dead_rows=50_000, may_vacuum=False)]))
    result = run(server)
    assert (result["changed"], result["msg"], [one["status"] for one in result["plan"]]) == (False, "", ["skipped"])
    assert [check["status"] for check in result["checks"]] == ["ok", "ok", "warning"]


def test_the_diff_shows_what_is_decided_and_not_what_is_left_out(pg):
    server = pg.server(
        pg.database(
            [pg.table("public.theirs", dead_rows=50_000, may_vacuum=False), pg.table("public.ours", dead_rows=50_000)]
        )
    )
    predicted = run(server, check_mode=True)["diff"]
    assert predicted == run(server)["diff"] == {"before": "", "after": "shop: VACUUM (ANALYZE) public.ours\n"}


def test_where_nothing_can_be_seen_afterwards_the_module_fails_with_its_whole_result(sick):
    looks = sick.json

    def blind(name, sql, session):
        if sick.changes:
            raise PgError("the server is gone")
        return looks(name, sql, session)

    sick.json = blind
    result = run(sick)
    assert result["msg"] == "looking at shop after the maintenance failed: the server is gone"
    assert [one["thing"] for one in result["changes"]] == ["shop: public.a", "shop: public.i"]


def test_all_databases_are_looked_at_before_the_first_is_touched(sick):
    looks = sick.json

    def second_is_missing(name, sql, session):
        if name == "crm":
            raise PgError("cannot work on database crm")
        return looks(name, sql, session)

    sick.json = second_is_missing
    with pytest.raises(PgError, match="crm"):
        run(sick, databases=["shop", "crm"])
    assert sick.changes == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"dead_rows_percent": 0.0}, "dead_rows_percent is 0: a share is above 0", id="no share"),
        pytest.param(
            {"index_waste_percent": 101.0}, "index_waste_percent is 101: a share is above 0 and at most", id="101 %"
        ),
        pytest.param({"index_waste_min_bytes": -1}, "index_waste_min_bytes is -1: it must not be negative", id="bytes"),
        pytest.param(
            {"lock_timeout_seconds": -0.5}, "lock_timeout_seconds is -0.5: it must not be negative", id="seconds"
        ),
        pytest.param({"jobs": 0}, "jobs is 0: it must be at least 1", id="no jobs"),
        pytest.param({"lock_attempts": 0}, "lock_attempts is 0: it must be at least 1", id="no attempts"),
        pytest.param({"time_budget_seconds": 0}, "time_budget_seconds is 0: it must be at least 1", id="no time"),
        pytest.param({"window": "at night"}, "window is 'at night': write it as HH:MM-HH:MM", id="window"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pg_maintenance.validate({**DEFAULTS, **options})


def test_the_defaults_are_valid():
    pg_maintenance.validate(DEFAULTS)


def test_the_documentation_takes_what_the_code_takes():
    documented = {
        **yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"],
        **yaml.safe_load(ModuleDocFragment.CONNECTION)["options"],
        **yaml.safe_load(ModuleDocFragment.SERVER)["options"],
        **yaml.safe_load(pg_maintenance.DOCUMENTATION)["options"],
    }
    keys = ("type", "elements", "required", "default", "choices", "aliases")

    def facts(options):
        return {name: {key: option[key] for key in keys if key in option} for name, option in options.items()}

    assert facts(documented) == facts(pg_maintenance.OPTIONS)


def test_the_thresholds_have_the_documented_defaults():
    assert Thresholds(**{name: DEFAULTS[name] for name in pg_maintenance.LIMITS}) == Thresholds()


def test_the_password_is_kept_out_of_logs():
    assert pg_maintenance.OPTIONS["login_password"]["no_log"] is True
