# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed because it may be: a cache that shares its Redis with queues of jobs, and rows that are too old."""

from __future__ import annotations

import os
import subprocess

import pytest

from ._matrix import NAMES, ROOT, Patient, admit

CLI = "docker exec newsletter-redis-1 redis-cli"
COUNT = """docker exec newsletter-postgres-1 psql -U newsletter -d newsletter -XqAt -c \
  "SELECT count(*) FILTER (WHERE created_at < now() - interval '730 days'), count(*) FROM email_events" """
KEYS = """for i = 1, 300 do redis.call('set', 'cache:' .. i, i, 'ex', 3600) redis.call('set', 'sess:' .. i, i)
  redis.call('rpush', 'bull:held:wait', i) end"""


@pytest.fixture(params=NAMES)
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
