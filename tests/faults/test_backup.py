# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of each system's own database: made, proven, killed, and refused, with the last good one untouched."""

from __future__ import annotations

import pytest

from ._kill import kill_at
from ._matrix import NAMES
from ._saved import Saved, save


@pytest.fixture(scope="module", params=NAMES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return save(request.param, tmp_path_factory.mktemp("admitted"))


def test_a_backup_is_restored_as_a_test_and_was_the_same(saved: Saved) -> None:
    before = saved.listed()
    code, text = saved.play("verify_backups", backup_drill="all")
    assert code == 0, text
    assert sum(saved.manifest()["content"]["tables"].values()) > 0
    proof = saved.proof()
    assert (proof["drill"]["passed"], proof["drill"]["differences"]) == (True, [])
    assert saved.listed() == before


def test_check_mode_makes_none_and_a_young_one_is_not_made_again(saved: Saved) -> None:
    before = saved.listed()
    assert saved.play("backup", "--check", "--diff")[0] == 0
    code, text = saved.play("backup", backup_unless_younger_than="1h")
    assert code == 0, text
    assert saved.listed() == before
    assert "\n  Changes\n" not in text


@pytest.mark.parametrize("moment", ["See whether the PostgreSQL databases", "Back up the PostgreSQL databases"])
def test_a_killed_run_leaves_the_last_one_and_the_next_run_makes_one(saved: Saved, moment: str) -> None:
    before = saved.listed()
    kill_at(saved.command("backup"), moment, after_seconds=1)
    saved.patient.run("sleep 1; abandoned")  # what the controller had started on the host ends by itself
    assert set(before) <= set(saved.listed())
    code, text = saved.play("backup")
    assert code == 0, text
    assert ("read back and compared" in text) == bool(saved.item.get("offsite")), text
    after = saved.listed()
    assert set(before) < set(after)
    assert [line for line in after if line.endswith((".partial", ".removed"))] == []
    code, text = saved.play("verify_backups", backup_drill="none")
    assert code == 0, text


def test_a_full_disk_ends_in_one_line_and_leaves_nothing(saved: Saved) -> None:
    """The disk is /srv/small, of 64 MB, with nothing left on it."""
    backups = [{**saved.item, "directory": "/srv/small/backups"}]
    saved.patient.run(
        "mkdir -p /srv/small/backups; head -c 63M /dev/zero >/srv/small/filler; head -c 2M /dev/zero >>/srv/small/filler || true"
    )
    try:
        code, text = saved.play("backup", ops_backups=backups)
        left = saved.patient.run("ls -A /srv/small/backups")
    finally:
        saved.patient.run("rm -rf /srv/small/backups /srv/small/filler")
    assert code != 0
    assert "/srv/small/backups" in text
    assert "Traceback" not in text
    assert [name for name in left.split() if not name.endswith(".lock")] == []


def test_what_holds_no_such_database_is_refused(saved: Saved) -> None:
    before = saved.listed()
    code, text = saved.play("backup", ops_backups=[{**saved.item, "databases": ["nowhere"]}])
    assert code != 0
    assert "ops_backups[0].databases[0] is 'nowhere'" in text
    assert saved.listed() == before


def test_a_bucket_that_is_not_there_fails_the_run_and_keeps_the_backup(saved: Saved) -> None:
    offsite = saved.item.get("offsite")
    if not offsite:
        pytest.skip(f"{saved.patient.host} copies no backups off the host")
    before = saved.listed()
    described = saved.patient.system.description()["ops_buckets"]
    buckets = [{**one, "bucket": "gone"} if one["name"] == offsite["bucket"] else one for one in described]
    code, text = saved.play("backup", ops_buckets=buckets)
    assert code != 0
    assert "there is no bucket gone" in text
    assert set(before) < set(saved.listed())


def test_the_host_backs_itself_up_at_the_time_that_is_described(saved: Saved) -> None:
    calendar = saved.item.get("calendar")
    if not calendar:
        pytest.skip(f"{saved.patient.host} is told no time")
    before = saved.listed()
    unit = f"runbook-ops-backup@{saved.item['name']}"
    try:
        code, text = saved.play("schedule_backups")
        assert code == 0, text
        timer = saved.patient.run(f"systemctl show {unit}.timer --property ActiveState,UnitFileState,TimersCalendar")
        assert "ActiveState=active" in timer
        assert "UnitFileState=enabled" in timer
        assert f"OnCalendar={calendar}" in timer
        saved.patient.run(f"systemctl start {unit}.service")
        assert set(before) < set(saved.listed())
    finally:
        code, text = saved.play("schedule_backups", backup_schedule_state="absent")
    assert code == 0, text
    assert "runbook-ops-backup@" not in saved.patient.run("ls /etc/systemd/system")
