# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of any system with one backup of its own database that is known to be good."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ._matrix import ROOT, Patient, admit

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


def save(host: str, directory: Path) -> Saved:
    """Return a host that is well and has one backup that is known to be good."""
    patient = admit(host, directory)
    group = ROOT / "inventories" / patient.system.system / "group_vars"
    files = sorted(group.glob("*/main.yml"), key=lambda path: "docker" not in path.parent.name)
    known = Saved(patient, next(one for one in _items(files) if one.get("made_by") == "collection"))
    code, text = known.play("backup")
    assert code == 0, text
    return known


def _items(files: list[Path]) -> list[dict[str, Any]]:
    return [one for path in files for one in yaml.safe_load(path.read_text(encoding="utf-8")).get("ops_backups") or []]
