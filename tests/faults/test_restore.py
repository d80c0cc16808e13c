# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of a system in containers comes back as it was saved, and the way back leads to what was live."""

from __future__ import annotations

import pytest

from ._matrix import NAMES, Patient
from ._saved import Saved, save

# One program, and no shell: PostgreSQL is the first process of its container and adopts what a shell would leave.
PSQL = "docker exec $(docker ps -q --filter label=com.docker.compose.service=database) psql -U postgres -XqAt -d {database} -c '{sql}'"


@pytest.fixture(scope="module", params=NAMES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    known = save(request.param, tmp_path_factory.mktemp("admitted"))
    code, text = known.play("verify_backups", backup_drill="all")
    assert code == 0, text
    ask(known, "CREATE TABLE made_after_the_backup (id int)")
    return known


def ask(saved: Saved, sql: str) -> list[str]:
    return saved.patient.run(PSQL.format(database=saved.item["databases"][0], sql=sql)).split()


def tables(saved: Saved) -> list[str]:
    return ask(saved, "SELECT tablename FROM pg_tables WHERE schemaname = $$public$$ ORDER BY 1")


def serves(patient: Patient) -> bool:
    return (
        patient.run(
            "curl -sk -o /dev/null -w %{http_code} --resolve your-domain.com:443:127.0.0.1 https://your-domain.com/health"
        )
        == "200"
    )


def restore(saved: Saved, *options: str, **variables: str) -> tuple[int, str]:
    name = saved.item["databases"][0]
    return saved.play("restore", *options, **{"restore_database": name, "restore_backup": "latest", **variables})


def test_without_the_name_once_more_there_is_a_plan_and_nothing_else(saved: Saved) -> None:
    before = tables(saved)
    _code, text = restore(saved)
    assert saved.item["databases"][0] in text
    assert tables(saved) == before
    code, text = restore(saved, restore_confirm="production")
    assert code != 0, text
    assert tables(saved) == before


def test_what_was_saved_is_live_and_the_way_back_leads_to_what_was(saved: Saved) -> None:
    before = tables(saved)
    begun = saved.patient.run("date -u +%Y-%m-%dT%H:%M:%SZ").strip()
    code, text = restore(saved, restore_confirm=saved.item["databases"][0])
    assert code == 0, text
    assert sorted([*tables(saved), "made_after_the_backup"]) == before
    for table, rows in saved.manifest()["content"]["tables"].items():
        counted = ask(saved, f"SELECT count(*) FROM {table}")  # noqa: S608  # as the manifest quotes it
        assert counted == [str(rows)], table
    assert serves(saved.patient)
    logged = f"docker compose -f /srv/lifeplatform/docker-compose.prod.yml logs --no-log-prefix --since {begun} app | grep -ci error || true"
    assert saved.patient.run(logged).strip() == "0"
    code, text = restore(saved, restore_state="reverted", restore_confirm=saved.item["databases"][0])
    assert code == 0, text
    assert tables(saved) == before
    assert serves(saved.patient)
