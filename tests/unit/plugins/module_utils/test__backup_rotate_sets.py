# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of whole backups, made and proven as the collection makes and proves them, and of directories of scripts."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_proof, _backup_set
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_rotate import rotate as run
from ansible_collections.runbook.ops.plugins.module_utils._rotation import RotationError

NOW = datetime(2026, 11, 21, 8)
COLLECTIONS = Path(__file__).parents[4] / "collections"


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch):
    """A test's directory need not survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def make(directory, days_ago, *, prefix="daily", verified=False, drilled=False, hours=6):
    at = (NOW - timedelta(days=days_ago, hours=hours)).astimezone(timezone.utc)
    with Draft.begin(directory, prefix, at) as draft:
        with draft.create("dump/1.dat") as file:
            file.write(b"rows")
        backup = draft.seal({"kind": "files", "content": {}})
    if verified or drilled:
        checked = _backup_proof.check(backup)
        assert not checked.problems
        drill = {"at": "2026-11-20T00:00:00Z", "passed": True} if drilled else None
        _backup_proof.write_proof(
            backup, {"checked_at": "2026-11-20T00:00:00Z", "files": checked.files, "drill": drill}
        )
    return backup


def rotate(directory, *, check_mode=False, now=NOW, **options):
    defaults = {"pattern": None, "set": "daily", "date_format": None, "keep": {"last": 2}, "minimum": 0}
    limits = {
        "minimum_verified": 2,
        "min_size": "1B",
        "max_age": None,
        "max_delete_percent": 100,
        "names_limit": 20,
    }
    everything = {"directory": str(directory), **defaults, **limits, **options}
    return run(everything, now=now, check_mode=check_mode)


def names_in(directory):
    return sorted(name for name in os.listdir(directory) if not name.endswith(".lock"))  # noqa: PTH208


def check_of(result, end):
    return next(check for check in result["checks"] if check["id"].endswith(end))


def test_sets_are_rotated_by_the_moment_of_their_snapshot_and_the_plan_comes_true(tmp_path):
    made = [make(tmp_path, days, verified=True).name for days in range(6)]
    predicted = rotate(tmp_path, check_mode=True)
    assert names_in(tmp_path) == sorted(made)
    assert not (tmp_path / ".daily.lock").exists(), "check mode writes nothing"

    done = rotate(tmp_path)

    assert done == predicted
    assert names_in(tmp_path) == sorted(made[:2])
    assert [gone["name"] for gone in done["deletions"]] == made[:1:-1]
    assert done["deletions"][0]["reason"] == "no rule keeps it"
    assert done["keeps"] == [{"name": name, "reasons": ["last", "verified"]} for name in made[:2]]
    assert (done["newest_verified"], done["bytes_freed"]) == (made[0], 16)
    assert rotate(tmp_path)["changed"] is False


def test_the_newest_verified_backups_stay_though_no_rule_keeps_them(tmp_path):
    made = [make(tmp_path, days, verified=days in (7, 8, 9)).name for days in range(10)]
    result = rotate(tmp_path, keep={"last": 2})
    assert names_in(tmp_path) == sorted([*made[:2], made[7], made[8]])
    check = check_of(result, ":verified")
    assert check["status"] == "critical"
    assert "older than all that the rules keep" in check["detail"]


def test_while_fewer_are_verified_than_are_to_stay_none_of_them_goes(tmp_path):
    made = [make(tmp_path, days, verified=days in (0, 9)).name for days in range(10)]
    result = rotate(tmp_path, minimum_verified=3)
    assert names_in(tmp_path) == sorted([made[0], made[1], made[9]])
    check = check_of(result, ":verified")
    assert (check["status"], check["value"], check["limit"]) == ("warning", 2, 3)


def test_where_there_is_no_backup_at_all_one_check_says_so(tmp_path):
    (check,) = rotate(tmp_path)["checks"]
    assert (check["status"], check["detail"]) == ("critical", "there is no backup")


def test_where_only_a_script_has_made_backups_so_far_the_first_of_the_set_is_asked_for(tmp_path):
    (tmp_path / f"backup_{NOW:%Y%m%d}_020000.sql").write_text("rows")
    result = rotate(tmp_path, pattern="backup_*.sql")
    check = check_of(result, ":verified")
    assert (check["status"], check["remedy"]) == ("warning", "make the first one (playbook backup)")


def test_a_young_set_of_which_all_are_verified_is_in_order(tmp_path):
    make(tmp_path, 0, verified=True)
    check = check_of(rotate(tmp_path, minimum_verified=3), ":verified")
    assert (check["status"], check["value"]) == ("ok", 1)


def test_where_none_is_verified_the_rules_go_on_and_the_check_is_red(tmp_path):
    made = [make(tmp_path, days).name for days in range(5)]
    result = rotate(tmp_path)
    assert names_in(tmp_path) == sorted(made[:2])
    assert check_of(result, ":verified")["status"] == "critical"


def test_backups_that_stopped_for_a_year_and_a_clock_years_ahead_leave_the_verified_ones(tmp_path):
    made = [make(tmp_path, 365 + days, verified=days >= 3).name for days in range(6)]
    rotate(tmp_path, now=NOW + timedelta(days=3000), keep={"within": "1h"}, minimum_verified=3)
    assert names_in(tmp_path) == sorted([made[0], *made[3:]])


def test_the_newest_that_was_restored_on_trial_stays_beside_the_verified_ones(tmp_path):
    made = [make(tmp_path, days, verified=True, drilled=days in (6, 8)).name for days in range(10)]
    rotate(tmp_path)
    assert names_in(tmp_path) == sorted([*made[:2], made[6]])


def test_one_whose_last_test_restore_failed_does_not_stand_in_for_it(tmp_path):
    made = [make(tmp_path, days, verified=True, drilled=days in (6, 8)) for days in range(10)]
    proof = _backup_proof.read_proof(made[6])
    _backup_proof.write_proof(made[6], {**proof, "failed_drill": {"at": "2026-11-21T00:00:00Z", "passed": False}})
    rotate(tmp_path)
    assert names_in(tmp_path) == sorted(backup.name for backup in (*made[:2], made[8]))


def test_a_proof_of_another_backup_or_of_files_that_are_cut_off_now_verifies_nothing(tmp_path):
    made = [make(tmp_path, days, verified=days > 1) for days in range(6)]
    (made[2].path / "verified.json").write_bytes((made[3].path / "verified.json").read_bytes())
    os.truncate(made[3].path / "dump/1.dat", 2)
    result = rotate(tmp_path, keep={"last": 2})
    assert names_in(tmp_path) == sorted(backup.name for backup in (*made[:2], *made[4:]))
    assert {gone["name"]: gone["reason"] for gone in result["deletions"]} == {
        made[3].name: "not good: dump/1.dat has 2 bytes instead of 4",
        made[2].name: "no rule keeps it",
    }


def test_files_that_a_script_made_before_count_beside_the_sets(tmp_path):
    sets = [make(tmp_path, days, verified=True).name for days in range(3)]
    files = [f"backup_{NOW - timedelta(days=days):%Y%m%d}.sql.gz" for days in range(3, 8)]
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    result = rotate(tmp_path, pattern="backup_*.sql*", keep={"daily": 5}, minimum=3)
    assert names_in(tmp_path) == sorted([*sets, *files[:2]])
    assert (result["found"], result["kept"]) == (8, 5)


def test_nothing_foreign_is_touched(tmp_path):
    made = [make(tmp_path, days, verified=True).name for days in range(4)]
    other = make(tmp_path, 300, prefix="daily-files").name
    (make(tmp_path, 301, prefix="daily_old").path / "manifest.json").unlink()
    (tmp_path / "daily_20200101T000000Z").mkdir()  # named like one, and empty
    (tmp_path / "daily_20200102T000000Z").symlink_to(tmp_path / other)
    (tmp_path / "daily_20200103T000000Z").write_text("a file")
    (tmp_path / "daily_20260101T000000Z.partial").mkdir()
    (tmp_path / "daily_20260101T000000Z.removed").write_text("a file")
    (tmp_path / "other_20260101T000000Z.removed").mkdir()
    foreign = set(names_in(tmp_path)) - set(made)

    result = rotate(tmp_path, pattern="*")  # a pattern that would fit everything

    assert set(names_in(tmp_path)) >= foreign - {"other_20260101T000000Z.removed"}
    assert set(names_in(tmp_path)) >= set(made[:2])
    assert result["not_whole"] == [f"daily_2020010{day}T000000Z" for day in (1, 2, 3)]
    assert "3 not whole, such as daily_20200101T000000Z" in result["checks"][0]["detail"]


def test_a_backup_that_somebody_put_something_into_stays_and_is_told(tmp_path):
    made = [make(tmp_path, days, verified=True) for days in range(4)]
    (made[3].path / "dump" / "notes.txt").write_text("keep this one: the auditor asked")
    predicted = rotate(tmp_path, check_mode=True)
    done = rotate(tmp_path)
    assert done == predicted
    assert done["not_ours"] == {made[3].name: "dump/notes.txt"}
    assert names_in(tmp_path) == sorted([made[0].name, made[1].name, made[3].name])
    assert done["checks"][0]["status"] == "warning"
    assert rotate(tmp_path)["changed"] is False


def test_a_set_that_is_being_written_is_not_rotated(tmp_path):
    for days in range(4):
        make(tmp_path, days)
    with _backup_set.locked(tmp_path, "daily"):
        with pytest.raises(RotationError, match=r"works on the backups daily in .*: wait until it has ended"):
            rotate(tmp_path)
        assert rotate(tmp_path, check_mode=True)["deleted"] == 2, "looking is free"
    assert rotate(tmp_path)["deleted"] == 2


def test_what_a_killed_run_was_deleting_is_finished_and_predicted(tmp_path):
    made = [make(tmp_path, days, verified=True) for days in range(3)]
    made[2].path.rename(tmp_path / f"{made[2].name}.removed")
    predicted = rotate(tmp_path, check_mode=True)
    done = rotate(tmp_path)
    assert done == predicted
    assert (done["changed"], done["leftovers"], done["deleted"]) == (True, [f"{made[2].name}.removed"], 0)
    assert done["changes"][0]["action"] == "cleaned up"
    assert names_in(tmp_path) == sorted(backup.name for backup in made[:2])
    assert rotate(tmp_path)["changed"] is False


def test_what_a_killed_run_was_deleting_and_cannot_be_deleted_is_one_line(tmp_path, monkeypatch):
    one = make(tmp_path, 1)
    one.path.rename(f"{one.path}.removed")
    make(tmp_path, 0)

    def refuse(name, **_where):
        raise OSError(30, "Read-only file system", name)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(
        RotationError, match=rf"in .*{one.name}.removed \(Read-only file system\).* nothing else was deleted"
    ):
        rotate(tmp_path)


def test_in_the_hour_that_comes_twice_what_is_newer_stays_newer(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    summer = datetime(2026, 10, 25, 0, 30, tzinfo=timezone.utc)  # half past two
    made = []
    for minutes in (0, 20, 40, 60):  # the last two are ten past two, and half past two, again
        with Draft.begin(tmp_path, "daily", summer + timedelta(minutes=minutes)) as draft:
            made.append(draft.seal({"kind": "files", "content": {}}).name)
    result = rotate(tmp_path, now=datetime(2026, 10, 25, 4), minimum_verified=0)
    monkeypatch.undo()
    time.tzset()
    assert result["newest_good"] == made[-1]
    assert names_in(tmp_path) == made[-2:]


def test_a_link_in_a_backup_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    leftover = tmp_path / "daily_20260101T000000Z.removed"
    leftover.mkdir()
    (leftover / "link").symlink_to(precious, target_is_directory=True)
    make(tmp_path, 0)
    rotate(tmp_path)
    assert (precious / "file").read_text() == "x"
    assert not leftover.exists()


def test_a_set_without_minimum_verified_asks_for_no_proof(tmp_path):
    for days in range(4):
        make(tmp_path, days)
    result = rotate(tmp_path, minimum_verified=0)
    assert [check["id"] for check in result["checks"]] == [f"backup_rotation:{tmp_path}/daily"]


@pytest.mark.parametrize("name", ["../etc", "a/b", ""])
def test_a_set_that_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(RotationError, match="cannot name a set of backups"):
        rotate(tmp_path, set=name)


KILLED = """
import sys
from datetime import datetime
from ansible_collections.runbook.ops.plugins.module_utils._backup_rotate import rotate
rotate(dict(directory=sys.argv[1], pattern=None, set="daily", date_format=None, keep={"last": 2}, minimum=0, min_size="1B",
            minimum_verified=2, max_age=None, max_delete_percent=100, names_limit=20),
       now=datetime(2026, 11, 21, 8), check_mode=False)
"""


@pytest.mark.parametrize("point", ["planned", "renamed", "clearing", "cleared"])
def test_killed_anywhere_nothing_half_deleted_has_the_name_of_a_backup_and_the_next_run_ends_it(tmp_path, point):
    made = [make(tmp_path, days, verified=True).name for days in range(5)]
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS), "RUNBOOK_OPS_KILL_AT": f"backup_rotate:{point}"}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL

    assert _backup_set.strays(tmp_path, "daily") == {}
    whole = _backup_set.list_backups(tmp_path, "daily")
    assert {made[0], made[1]} <= {backup.name for backup in whole}
    assert all(not _backup_proof.check(backup).problems for backup in whole)

    rotate(tmp_path)
    assert names_in(tmp_path) == sorted(made[:2])


# Directories as scripts fill them: a day and a time for a name, the checksums of their files in a manifest.


def fill(directory, days_ago, *, files=("redis.rdb", "mongodb/users.bson"), describe=True):
    path = directory / f"{NOW - timedelta(days=days_ago, hours=6):%Y%m%d_%H%M%S}"
    sums = {}
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"data")
        sums[name] = hashlib.sha256(b"data").hexdigest()
    if describe:
        (path / "manifest.json").write_text(json.dumps({"timestamp": path.name, "checksums": sums}))
    return path


def rotate_copies(directory, **options):
    return rotate(directory, **{"set": None, "pattern": "20??????_??????", "keep": {"last": 2}, **options})


def test_a_directory_with_a_manifest_of_checksums_is_a_backup(tmp_path):
    made = [fill(tmp_path, days).name for days in range(5)]
    predicted = rotate_copies(tmp_path, check_mode=True)
    done = rotate_copies(tmp_path)
    assert done == predicted
    assert (done["found"], done["deleted"], done["bytes_freed"]) == (5, 3, 24)
    assert names_in(tmp_path) == sorted(made[:2])
    assert rotate_copies(tmp_path)["changed"] is False


def test_a_directory_of_which_a_file_is_missing_or_empty_is_not_good(tmp_path):
    made = [fill(tmp_path, days) for days in range(6)]
    (made[0] / "redis.rdb").unlink()
    (made[2] / "mongodb/users.bson").write_bytes(b"")
    result = rotate_copies(tmp_path)
    assert names_in(tmp_path) == sorted(path.name for path in (made[0], made[1], made[3]))
    assert result["newest_good"] == made[1].name
    assert result["not_good"] == [made[0].name, made[2].name]
    reasons = {gone["name"]: gone["reason"] for gone in result["deletions"]}
    assert reasons[made[2].name] == "not good: mongodb/users.bson has 0 bytes"


def test_a_directory_without_a_manifest_or_with_more_in_it_is_never_touched(tmp_path):
    made = [fill(tmp_path, days, describe=days != 4) for days in range(6)]
    (made[5] / "notes").write_text("x")
    rotate_copies(tmp_path)
    assert names_in(tmp_path) == sorted(path.name for path in (made[0], made[1], made[4], made[5]))


def test_a_directory_that_a_killed_run_was_deleting_is_deleted_by_the_next(tmp_path):
    made = [fill(tmp_path, days) for days in range(3)]
    made[2].rename(f"{made[2]}.removed")
    (tmp_path / "photos.removed").mkdir()
    assert rotate_copies(tmp_path)["leftovers"] == [f"{made[2].name}.removed"]
    assert names_in(tmp_path) == sorted([made[0].name, made[1].name, "photos.removed"])


@pytest.mark.parametrize("seed", range(25))
def test_in_any_directory_the_newest_verified_survive_and_nothing_foreign_is_touched(tmp_path, seed):
    dice = random.Random(seed)
    days = sorted(dice.sample(range(-400, 800), dice.randrange(1, 12)))
    verified = {day for day in days if dice.random() < dice.choice([0, 0.3, 0.9])}
    made = {day: make(tmp_path, day, verified=day in verified).name for day in days}
    for number in range(6):
        foreign = tmp_path / f"{dice.choice(['daily_', 'x', 'daily-x_', ''])}2020{number:04d}T000000Z"
        foreign.mkdir() if dice.random() < 0.5 else foreign.write_text("x")
    before = set(names_in(tmp_path))
    k = dice.randrange(1, 4)

    result = rotate(
        tmp_path,
        now=NOW + timedelta(days=dice.randrange(-600, 5000)),
        keep=dice.choice([{"last": 1}, {"within": "1s"}, {"daily": 3, "monthly": 2}, {"yearly": 1}]),
        minimum_verified=k,
        minimum=dice.randrange(3),
    )

    gone = before - set(names_in(tmp_path))
    assert gone == set(result["deleted_names"])
    assert gone <= set(made.values())
    assert not gone & {made[day] for day in sorted(verified)[:k]}


@pytest.mark.parametrize(
    ("check_mode", "statuses"),
    [
        pytest.param(True, [], id="predicted with its first backup"),
        pytest.param(False, ["critical"], id="in earnest: there is no backup"),
    ],
)
def test_a_set_whose_directory_its_first_backup_will_make_has_nothing_to_rotate(tmp_path, check_mode, statuses):
    options = {"directory": str(tmp_path / "later"), "set": "daily", "keep": {"last": 7}}
    result = run(options, now=NOW, check_mode=check_mode)
    assert (result["changed"], result["found"], result["newest_good"]) == (False, 0, None)
    assert [check["status"] for check in result["checks"]] == statuses
    assert not (tmp_path / "later").exists()


def test_a_directory_that_only_ends_like_one_of_ours_is_not_deleted(tmp_path):
    foreign = tmp_path / "app_20260101.removed" / "customer"
    foreign.mkdir(parents=True)
    (foreign / "only-copy.txt").write_text("x")
    (tmp_path / f"app_{NOW:%Y%m%d}.sql").write_text("rows")
    result = rotate(tmp_path, set=None, pattern="app_*")
    assert (foreign / "only-copy.txt").exists()
    assert result["leftovers"] == []


def test_checksum_files_of_any_usual_kind_are_no_backups(tmp_path):
    for day in range(1, 6):
        (tmp_path / f"db_2026100{day}.sql").write_text("rows")
        (tmp_path / f"db_2026100{day}.sql.sha1").write_text("sum")
    rotate(tmp_path, set=None, pattern="db_*.sql*", keep={"last": 3})
    assert names_in(tmp_path) == sorted(f"db_2026100{day}.sql{end}" for day in (3, 4, 5) for end in ("", ".sha1"))


def test_backups_from_before_a_script_wrote_checksums_are_as_good(tmp_path):
    for day in range(1, 10):
        (tmp_path / f"db_2026100{day}.sql").write_text("rows")
    (tmp_path / "db_20261009.sql.sha256").write_text("sum")
    rotate(tmp_path, set=None, pattern="db_*.sql*", keep={"last": 4})
    assert [name for name in names_in(tmp_path) if name.endswith(".sql")] == [
        f"db_2026100{day}.sql" for day in (6, 7, 8, 9)
    ]
