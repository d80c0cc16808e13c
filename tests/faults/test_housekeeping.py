# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed because it may be: a cache that shares its Redis with queues of jobs, rows that are too old, and what a
bloated table wastes in a container whose image has no pg_repack."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from ._matrix import NAMES, ROOT, Patient, admit

CLI = "docker exec newsletter-redis-1 redis-cli"
PSQL = "docker exec newsletter-postgres-1 psql -U newsletter -d newsletter -XqAt -v ON_ERROR_STOP=1"
# Left to autovacuum it would be well by itself, sooner or later. 22 MB, of which 3 % are live.
SICK = """DROP TABLE IF EXISTS sick; CREATE TABLE sick (id int PRIMARY KEY, word text NOT NULL) WITH (autovacuum_enabled = false);
INSERT INTO sick SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 60000) g; DELETE FROM sick WHERE id % 30 <> 0;
DROP INDEX IF EXISTS idx_campaigns_tenant_created, idx_email_events_campaign_type"""
LOOK = """SELECT (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indisvalid
  AND c.relname IN ('idx_campaigns_tenant_created', 'idx_email_events_campaign_type')),
  pg_relation_size('sick') / 1000000, (SELECT last_analyze IS NOT NULL FROM pg_stat_all_tables WHERE relname = 'sick'),
  (SELECT count(*) FROM sick)"""
COUNT = """docker exec newsletter-postgres-1 psql -U newsletter -d newsletter -XqAt -c \
  "SELECT count(*) FILTER (WHERE created_at < now() - interval '730 days'), count(*) FROM email_events" """
KEYS = """for i = 1, 300 do redis.call('set', 'cache:' .. i, i, 'ex', 3600) redis.call('set', 'sess:' .. i, i)
  redis.call('rpush', 'bull:held:wait', i) end"""


@pytest.fixture(params=NAMES, scope="module")
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Patient:
    found = admit(request.param, tmp_path_factory.mktemp("admitted"))
    if found.system.system != "newsletter":
        pytest.skip("what this empties is described for the newsletter only")
    return found


def play(patient: Patient, playbook: str, *options: str) -> tuple[int, str]:
    inventories = ("-i", f"inventories/{patient.system.system}", "-i", patient.inventory)
    done = subprocess.run(
        ["ansible-playbook", f"playbooks/{playbook}.yml", *inventories, *options],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def count(patient: Patient, pattern: str) -> int:
    return int(patient.run(f"{CLI} --raw eval 'return #redis.call(\"keys\", ARGV[1])' 0 '{pattern}'"))


def test_the_cache_goes_and_what_is_beside_it_stays(patient: Patient) -> None:
    patient.run(f'{CLI} eval "{KEYS}" 0')
    assert count(patient, "cache:*") >= 300
    code, text = play(patient, "clear_cache", "--check", "--diff")
    assert code == 0, text
    assert count(patient, "cache:*") >= 300
    code, text = play(patient, "clear_cache")
    assert code == 0, text
    assert count(patient, "cache:*") == 0
    assert (count(patient, "sess:*"), count(patient, "bull:held:*")) == (300, 1)
    code, text = play(patient, "clear_cache", "-e", '{"cache_names": ["page"]}')
    assert code != 0
    assert "did you mean pages?" in text
    patient.run(f"{CLI} eval \"for i = 1, 300 do redis.call('del', 'sess:' .. i, 'bull:held:wait') end\" 0")


def test_old_rows_go_and_nothing_else(patient: Patient) -> None:
    old, everything = (int(part) for part in patient.run(COUNT).split("|"))
    assert old > 1000
    code, text = play(patient, "data_retention", "--check", "--diff")
    assert code == 0, text
    assert f"{old} rows" in text
    assert patient.run(COUNT).split() == [f"{old}|{everything}"]
    code, text = play(patient, "data_retention", "-e", "row_retention_batch_rows=500")
    assert code == 0, text
    assert patient.run(COUNT).split() == [f"0|{everything - old}"]
    code, text = play(patient, "data_retention")
    assert code == 0, text
    assert "delete rows" not in text
    code, text = play(patient, "data_retention", "-e", '{"row_retention_tables": ["events"]}')
    assert code != 0
    assert "known are email_events" in text


def test_a_bloated_table_is_given_back_and_indexes_are_made_in_a_container(patient: Patient) -> None:
    patient.run(f'{PSQL} -c "{SICK}"')
    assert patient.run(f'{PSQL} -c "{LOOK}"').split() == ["0|22|f|2000"]
    code, text = play(patient, "database_optimization", "--check", "--diff")
    assert code == 0, text
    assert "postgresql-17-repack" in text
    assert re.search(r"pg_repack would give back 2\d\.?\d* MB of public\.sick; it is not ready", text), text
    assert patient.run(f'{PSQL} -c "{LOOK}"').split() == ["0|22|f|2000"]
    # Without pg_repack in its image the table is closed for a moment, in a window that is open for an hour yet.
    hour = int(patient.run("date +%H"))
    window = f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00"
    closing = {"database_maintenance_full_vacuum": True, "database_maintenance_window": window}
    code, text = play(patient, "database_optimization", "-e", json.dumps(closing))
    assert code == 0, text
    assert patient.run(f'{PSQL} -c "{LOOK}"').split() == ["2|0|t|2000"]
    for told in (
        "Slowest statement of newsletter",
        "Unused indexes of newsletter",
        "Waste in the tables of newsletter",
    ):
        assert told in text
    code, text = play(patient, "database_optimization", "-e", json.dumps(closing))
    assert code == 0, text
    assert "not ready" not in text
    assert not re.search(r"\d changes?\b", text), text
    patient.run(f"{PSQL} -c 'DROP TABLE sick'")
