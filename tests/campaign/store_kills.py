# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill backups and restores of files, at named points and at random, and look what is left.

Run it as ``python tests/campaign/store_kills.py --kills 100``. After each kill: every listed backup is whole and the last one unchanged, the
live directory is the old one or the new one to the last bit, and the same run once more converges and leaves nothing of the killed one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "collections"))

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import list_backups  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify import run as verify  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._file_backup import FileStore  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._file_restore import FileRestore  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._file_stream import describe_trees  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._path_restore import Restore  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._path_restore_terms import ARGUMENTS  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._scratch import PREFIX  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import Wish, back_up  # noqa: E402

SET = "app-files"
POINTS = {
    "backup": ["files_backup:written", "backup:described", "backup:synced", "backup:named"],
    "verify": ["drill_files:scratch", "backup_verify:proven"],
    "prepared": ["path_restore:preparing", "file_restore:extracted", "path_restore:prepared"],
    "swapped": ["path_restore:swapping", "path_swap:exchanged", "path_restore:one", "path_restore:swapped"],
    "reverted": ["path_restore:reverting", "path_swap:back", "path_restore:back", "path_restore:reverted"],
}
LONGEST_SECONDS = 0.4  # after which a random kill comes at the latest


def work(step: str, place: Path) -> None:
    """Do one step, in a process that may be killed."""
    where = {"directory": str(place / "backups"), "set": SET}
    if step == "backup":
        store = FileStore(SET, [str(place / "app")], [], directory=where["directory"])
        back_up(Wish(place / "backups", SET, min_free_percent=0), store)
    elif step == "verify":
        verify({**where, "drill": True})
    else:
        known = {name: option.get("default") for name, option in ARGUMENTS.items()}
        options: dict[str, Any] = {
            "name": "app",
            "paths": [],
            "carry_excluded": True,
            "from_host": "",
            "backup": "latest",
            "state": step,
        }
        params = {**known, **where, **options, "journal_directory": str(place / "journal")}
        Restore(FileRestore(params), params, check_mode=False).run()


class Campaign:
    """One application that is backed up, broken, restored and broken again."""

    def __init__(self, place: Path, seed: int) -> None:
        self.place, self.app, self.random = place, place / "app", random.Random(seed)
        self.kills = {"point": 0, "random": 0}
        self.survived = 0  # runs that had ended before they were to be killed
        self.violations: list[str] = []
        self.known: dict[str, str] = {}  # checksum of the proof-free content by backup

    def fill(self, words: str) -> None:
        shutil.rmtree(self.app, ignore_errors=True)
        for number in range(40):
            path = self.app / f"d{number % 5}" / f"f{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{words} {number}" * self.random.randrange(1, 3000))
        (self.app / "large").write_bytes(self.random.randbytes(4 << 20))

    def start(self, step: str, point: str | None) -> subprocess.Popen[bytes]:
        surroundings = {**os.environ, **({"RUNBOOK_OPS_KILL_AT": point} if point else {})}
        argv = [sys.executable, __file__, "--worker", step, "--place", str(self.place)]
        return subprocess.Popen(argv, env=surroundings, stderr=subprocess.PIPE, start_new_session=True)

    def kill(self, step: str) -> None:
        """Run a step, and kill it on the way."""
        point = self.random.choice([*POINTS[step], None, None])
        process = self.start(step, point)
        if point is None:
            time.sleep(self.random.uniform(0.05, LONGEST_SECONDS))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        _out, said = process.communicate(timeout=120)
        if process.returncode == -signal.SIGKILL:
            self.kills["random" if point is None else "point"] += 1
        elif process.returncode == 0:
            self.survived += 1
        else:
            self.complain(f"{step} at {point} failed: {said.decode()[-300:]}")

    def finish(self, step: str) -> None:
        process = self.start(step, None)
        _out, said = process.communicate(timeout=120)
        if process.returncode:
            self.complain(f"{step} after a kill failed: {said.decode()[-300:]}")

    def complain(self, words: str) -> None:
        self.violations.append(words)

    def look(self, step: str, fit: list[dict[str, Any]]) -> None:
        """Hold what is there against what may be there."""
        for backup in list_backups(self.place / "backups", SET):
            if check(backup).problems:
                self.complain(f"{backup.name} is listed after a killed {step}, and damaged")
            if self.known.setdefault(backup.name, backup.identity) != backup.identity:
                self.complain(f"{backup.name} is another one after a killed {step}")
        if not set(self.known) <= {path.name for path in (self.place / "backups").glob("*")}:
            self.complain(f"a backup is gone after a killed {step}")
        if describe_trees({"app": str(self.app)})["app"] not in fit:
            self.complain(f"the live directory is neither the old one nor the new one after a killed {step}")

    def round(self, number: int) -> None:
        self.fill(f"good {number}")
        good = describe_trees({"app": str(self.app)})["app"]
        for step in ("backup", "verify"):
            self.kill(step)
            self.look(step, [good])
            self.finish(step)
        self.fill(f"broken {number}")
        broken = describe_trees({"app": str(self.app)})["app"]
        for step, end in (("prepared", broken), ("swapped", good), ("reverted", broken)):
            self.kill(step)
            self.look(step, [good, broken])
            self.finish(step)
            self.look(step, [end])
        left = [
            path.name for path in self.place.rglob("*") if path.name.endswith(".partial") or ".restored-" in path.name
        ]
        left += [
            path.name for path in (self.place / "backups").glob(f"{PREFIX}*") if time.time() - path.stat().st_mtime > 60
        ]
        if left:
            self.complain(f"left over: {', '.join(left)}")
        entry = json.loads(next((self.place / "journal").glob("*.json")).read_text())
        for one in entry["kept"]:
            shutil.rmtree(one["path"])
        next((self.place / "journal").glob("*.json")).unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--worker")
    parser.add_argument("--place", type=Path)
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.place)
        return 0
    with tempfile.TemporaryDirectory(prefix="store-kills-") as place:
        campaign = Campaign(Path(place), given.seed)
        number = 0
        while sum(campaign.kills.values()) < given.kills and not campaign.violations:
            campaign.round(number)
            number += 1
    for violation in campaign.violations:
        print(f"VIOLATION {violation}")
    kills, points, moments = sum(campaign.kills.values()), campaign.kills["point"], campaign.kills["random"]
    print(
        f"kills: {kills} ({points} at named points, {moments} at random); ended before: {campaign.survived}; rounds: {number}; "
        f"violations: {len(campaign.violations)}; seed: {given.seed}"
    )
    return 1 if campaign.violations else 0


if __name__ == "__main__":
    sys.exit(main())
