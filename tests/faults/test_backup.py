# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of each system's own database: made, proven, killed, and refused, with the last good one untouched."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ._kill import kill_at
from ._matrix import NAMES, ROOT, Patient, admit

# Name of a backup, and the SHA-256 of its checksums: that is its identity. What lies beside it, too.
LISTED = r"""
cd {directory}
for one in {set}_*Z; do [ ! -d $one ] || echo "$one $(sha256sum <$one/SHA256SUMS)"; done
ls -A | grep -E '\.(partial|removed)$' || true
"""


@dataclass(frozen=True)
class Saved:
    """A host, and the first item of its backups that the collection makes."""

    patient: Patient
    item: dict[str, Any]

    def listed(self) -> list[str]:
        script = LISTED.format(directory=self.item["directory"], set=self.item["name"])
        return self.patient.run(script).splitlines()

    def manifest(self) -> dict[str, Any]:
        """Return what the newest backup says of itself."""
        newest = f"ls -d {self.item['directory']}/{self.item['name']}_*Z | tail -n 1"
        found: dict[str, Any] = json.loads(self.patient.run(f"cat $({newest})/manifest.json"))
        return found

    def proof(self) -> dict[str, Any]:
        newest = f"ls -d {self.item['directory']}/{self.item['name']}_*Z | tail -n 1"
        found: dict[str, Any] = json.loads(self.patient.run(f"cat $({newest})/verified.json"))
        return found

    def command(self, playbook: str, **variables: Any) -> list[str]:
        inventories = ("-i", f"inventories/{self.patient.system.system}", "-i", self.patient.inventory)
        chosen = {"backup_names": [self.item["name"]], **variables}
        return ["ansible-playbook", f"playbooks/{playbook}.yml", *inventories, "-e", json.dumps(chosen)]

    def play(self, playbook: str, *options: str, **variables: Any) -> tuple[int, str]:
        """Run a playbook to its end and return its exit code and what it said."""
        done = subprocess.run(
            [*self.command(playbook, **variables), *options],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module", params=NAMES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Return a host that is well and has one backup that is known to be good."""
    patient = admit(request.param, tmp_path_factory.mktemp("admitted"))
    group = ROOT / "inventories" / patient.system.system / "group_vars"
    files = sorted(group.glob("*/main.yml"), key=lambda path: "docker" not in path.parent.name)
    known = Saved(patient, next(one for one in _items(files) if one.get("made_by") == "collection"))
    code, text = known.play("backup")
    assert code == 0, text
    return known


def _items(files: list[Path]) -> list[dict[str, Any]]:
    return [one for path in files for one in yaml.safe_load(path.read_text(encoding="utf-8")).get("ops_backups") or []]


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
    saved.patient.run("sleep 5")  # what the controller had started on the host may end by itself
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
