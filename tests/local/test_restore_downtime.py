# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writers are stopped, the names exchanged and the writers started in one step; killed anywhere, they run on one whole database."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaign"))
from pg_cluster import Cluster
from restore_kills import LIVE, Field
from restore_module import run
from units import Units

API, WORKER, OTHER = "api.service", "worker.service", "other.service"
SERVICES = [
    {"name": "api", "manager": "systemd", "unit": API},
    {"name": "worker", "manager": "systemd", "after": ["api"]},
]


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with Cluster() as cluster, Cluster() as other:
        made = Field(cluster, other, rows=500)
        yield made
        made.units.end()


@pytest.fixture
def shop(field: Field, tmp_path: Path) -> Iterator[tuple[Field, Units]]:
    """A prepared restore, and two services that write to its database."""
    field.renew()
    units = Units(tmp_path / "units", {unit: ["sleep", "600"] for unit in (API, WORKER, OTHER)})
    units.systemctl("start", API, WORKER, OTHER)
    units.calls()
    assert not run(field.cluster, LIVE, "prepared", **field.options("prepared")).get("failed")
    try:
        yield field, units
        assert units.pid(OTHER), "a service was touched that does not write to the database"
        assert field.other_is() == field.untouched
    finally:
        units.end()


def do(shop: tuple[Field, Units], state: str, **options: Any) -> dict[str, Any]:
    field, units = shop
    services = SERVICES if state in ("swapped", "reverted") else []
    kill = {"RUNBOOK_OPS_KILL_AT": f"pg_restore:{options.pop('kill')}"} if "kill" in options else {}
    given = {**field.options(state), "services": services, "wait_timeout_seconds": 5, **options}
    return run(field.cluster, LIVE, state, environment={**units.environment, **kill}, **given)


def test_the_writers_are_stopped_together_and_started_in_their_order(shop: tuple[Field, Units]) -> None:
    field, units = shop
    predicted = do(shop, "swapped", check=True)
    assert units.calls() == []
    result = do(shop, "swapped")
    assert result["writers"] == ["api", "worker"]
    assert units.calls() == [f"stop {WORKER} {API}", f"start {API}", f"start {WORKER}"]
    assert field.is_whole((field.then,)) == ""
    assert result["seconds"]["without_service"] < 20
    assert {change["thing"] for change in result["changes"]} == {"api", "worker", LIVE}
    assert predicted["diff"] == result["diff"]
    again = do(shop, "swapped")
    assert not again["changed"]
    assert units.calls() == []
    assert do(shop, "reverted")["changed"]
    assert units.calls() == [f"stop {WORKER} {API}", f"start {API}", f"start {WORKER}"]
    assert field.is_whole((field.now,)) == ""


def test_what_did_not_run_before_is_not_started(shop: tuple[Field, Units]) -> None:
    _field, units = shop
    units.systemctl("stop", WORKER)
    assert do(shop, "swapped")["writers"] == ["api"]
    assert units.running() == [API, OTHER]


def test_a_writer_that_does_not_start_with_the_restored_one_brings_back_the_one_before(
    shop: tuple[Field, Units],
) -> None:
    field, units = shop
    # It starts with the database of before only.
    script = units._directory / "units" / WORKER
    asks = " ".join(field.cluster.as_user(str(field.cluster.binaries / "psql")))
    where = " ".join(field.cluster.target(LIVE))
    script.write_text(f"{asks} {where} -qAtc 'SELECT 1 / count(*) FROM users WHERE id = 0' && exec sleep 600\n")  # noqa: S608
    result = do(shop, "swapped", wait_timeout_seconds=6)
    assert result["failed"]
    said = r"with the restored shop, not healthy after \d+ s: worker has the unit worker.service, which is inactive"
    assert re.search(said, result["msg"]), result["msg"]
    assert result["msg"].endswith("the one before was put back, and its writers run again")
    assert field.is_whole((field.now,)) == ""
    assert units.running() == [API, OTHER, WORKER]
    assert do(shop, "swapped")["failed"]


def test_where_the_names_cannot_be_exchanged_the_writers_run_again(shop: tuple[Field, Units]) -> None:
    field, units = shop
    field.cluster.sql(f'DROP DATABASE "{do(shop, "reverted", check=True)["actions"][0].split()[1]}" WITH (FORCE)')
    result = do(shop, "swapped")
    assert result["failed"]
    assert "is gone: somebody has dropped it by hand" in result["msg"]
    assert units.running() == [API, OTHER, WORKER]
    assert field.is_whole((field.now,)) == ""


@pytest.mark.parametrize("point", ["stopped", "swapped"])
def test_killed_on_the_way_the_next_run_ends_with_all_running_on_the_restored_one(
    shop: tuple[Field, Units], point: str
) -> None:
    field, units = shop
    assert do(shop, "swapped", kill=point)["killed"]
    assert field.is_whole((field.now, field.then)) == ""
    result = do(shop, "swapped")
    assert not result.get("failed"), result["msg"]
    assert field.is_whole((field.then,)) == ""
    assert units.running() == [API, OTHER, WORKER]
    assert not do(shop, "swapped")["changed"]


@pytest.mark.parametrize("state", ["prepared", "reverted", "pruned"])
def test_whatever_is_asked_of_the_next_run_it_starts_the_writers(shop: tuple[Field, Units], state: str) -> None:
    field, units = shop
    assert do(shop, "swapped", kill="stopped")["killed"]
    assert units.running() == [OTHER]
    looked = do(shop, state, check=True)
    assert looked["actions"][0] == "start api, worker (stopped by a run that was killed)"
    assert units.running() == [OTHER]
    result = do(shop, state)
    assert not result.get("failed"), result["msg"]
    assert units.running() == [API, OTHER, WORKER]
    assert field.is_whole((field.now,)) == ""


def test_a_run_that_is_refused_starts_them_too(shop: tuple[Field, Units]) -> None:
    _field, units = shop
    assert do(shop, "swapped", kill="stopped")["killed"]
    assert do(shop, "prepared", backup="/nowhere")["failed"]
    assert units.running() == [API, OTHER, WORKER]


@pytest.mark.parametrize("point", ["stopped", "reverted"])
def test_killed_on_the_way_back_the_next_run_ends_with_all_running_on_the_one_before(
    shop: tuple[Field, Units], point: str
) -> None:
    field, units = shop
    assert do(shop, "swapped")["changed"]
    assert do(shop, "reverted", kill=point)["killed"]
    result = do(shop, "reverted")
    assert not result.get("failed"), result["msg"]
    assert field.is_whole((field.now,)) == ""
    assert units.running() == [API, OTHER, WORKER]
    assert not do(shop, "reverted")["changed"]


def test_the_journal_names_what_was_stopped_and_nothing_secret(shop: tuple[Field, Units]) -> None:
    field, _units = shop
    services = [{**SERVICES[0], "env": {"TOKEN": "s3cret"}, "vercel": {"token": "s3cret"}}]
    assert do(shop, "swapped", kill="stopped", services=services)["killed"]
    (path,) = (field.cluster.directory / "journal").glob("*.json")
    assert [one["name"] for one in json.loads(path.read_text())["writers"]] == ["api"]
    assert "s3cret" not in path.read_text()
    assert do(shop, "pruned")["changed"]


def test_a_rename_by_hand_is_said_and_a_new_restore_begins_anew(shop: tuple[Field, Units]) -> None:
    field, _units = shop
    assert do(shop, "swapped")["changed"]
    before = field.cluster.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop_before%'")
    field.cluster.sql(
        f"ALTER DATABASE {LIVE} RENAME TO shop_wrong; ALTER DATABASE {before} RENAME TO {LIVE};"
        f"ALTER DATABASE {LIVE} CONNECTION LIMIT -1"
    )
    looked = do(shop, "prepared", check=True)
    assert any("is called shop_wrong now: somebody has renamed it by hand" in line for line in looked["lines"])
    assert not do(shop, "reverted")["changed"]
    for state in ("prepared", "swapped", "pruned"):
        result = do(shop, state)
        assert not result.get("failed"), result["msg"]
    assert field.is_whole((field.then,)) == ""
    assert field.databases() == [LIVE, "shop_wrong"]
