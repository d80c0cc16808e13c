# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills rotations at every named point and at random moments, and looks at what is left.

Run it by hand: ``python3 tests/campaign/rotation_kills.py [--kills 100] [--seed 1]``. It needs nothing but Python. The directory
holds whole backups of which some are verified, a script's files and directories, and things that are nobody's. After each
kill (SIGKILL) nothing half deleted may have the name of a backup, the newest verified ones must be there undamaged, what is
foreign must be as it was, and the next run must leave exactly what a run that nobody killed leaves. Ends with 1 when
anything was violated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections")]
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, write_proof  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import list_backups, strays  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._payload import fault, read_copy  # noqa: E402

NOW = datetime(2026, 11, 21, 8)
SET, SETS, COPIES, FILES, VERIFIED = "daily", 40, 10, 40, 3
POINTS = ("planned", "renamed", "clearing", "cleared")
# Two rotations of one directory: of the set with a script's files, and of a script's directories.
CHILD = """
import sys
from datetime import datetime
from ansible_collections.runbook.ops.plugins.module_utils._backup_rotate import rotate
now = datetime(2026, 11, 21, 8)
print("ready", flush=True)
rules = dict(keep={"last": 2, "weekly": 2}, minimum=1, max_delete_percent=100)
rotate(dict(directory=sys.argv[1], set="daily", pattern="backup_*.sql", minimum_verified=3, **rules), now=now, check_mode=False)
rotate(dict(directory=sys.argv[1], pattern="20??????_??????", **rules), now=now, check_mode=False)
"""


def fill(directory: Path) -> None:
    """Make the directory that is rotated again and again."""
    for days in range(SETS):
        with Draft.begin(directory, SET, (NOW - timedelta(days=days, hours=6)).astimezone(timezone.utc)) as draft:
            for number in range(6):
                with draft.create(f"dump/{number}.dat") as file:
                    file.write(b"rows" * 50)
            backup = draft.seal({"kind": "files", "content": {}})
        if days % 10 == 5:
            write_proof(backup, {"checked_at": "2026-11-20T00:00:00Z", "files": check(backup).files, "drill": None})
    for days in range(COPIES):
        copy = directory / f"{NOW - timedelta(days=days, hours=7):%Y%m%d_%H%M%S}"
        copy.mkdir()
        sums = {}
        for name in ("redis.rdb", "environment", "users.bson"):
            (copy / name).write_bytes(b"data")
            sums[name] = hashlib.sha256(b"data").hexdigest()
        (copy / "manifest.json").write_text(json.dumps({"checksums": sums}))
    for days in range(FILES):
        (directory / f"backup_{NOW - timedelta(days=SETS + days):%Y%m%d}.sql").write_bytes(b"dump")
    (directory / "daily_20200101T000000Z").mkdir()
    (directory / "daily-files_20200101T000000Z").mkdir()
    (directory / "notes_20200101.txt").write_text("foreign")
    (directory / "photos.removed").mkdir()


def foreign(directory: Path) -> dict[str, str]:
    """Return what is nobody's, and what is in it."""
    names = ("daily_20200101T000000Z", "daily-files_20200101T000000Z", "notes_20200101.txt", "photos.removed")
    paths = [directory / name for name in names if (directory / name).exists()]
    return {path.name: path.read_text() if path.is_file() else "directory" for path in paths}


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(".lock"))


def start(directory: Path, *, point: str | None = None) -> subprocess.Popen[str]:
    """Start the rotations, and return once they are about to begin."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    if point:
        environment["RUNBOOK_OPS_KILL_AT"] = f"backup_rotate:{point}"
    argv = [sys.executable, "-c", CHILD, str(directory)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def finish(process: subprocess.Popen[str]) -> int:
    code = process.wait()
    assert process.stdout is not None
    process.stdout.close()
    return code


def violations(directory: Path, verified: list[str], before: dict[str, str]) -> list[str]:
    """Return what must not be, after a kill."""
    found = [f"{name}: {why}" for name, why in strays(directory, SET).items() if name not in before]
    whole = {backup.name: backup for backup in list_backups(directory, SET)}
    found += [f"{name}: {problem}" for name, one in whole.items() for problem in check(one).problems]
    found += [f"{name}: verified, and gone" for name in verified if name not in whole]
    for path in directory.glob("20??????_??????"):
        files = read_copy(path)
        damage = "no manifest" if files is None else fault(path, files)
        found += [f"{path.name}: {damage}"] if damage else []
    return found + (["what is foreign was touched"] if foreign(directory) != before else [])


def campaign(template: Path, scratch: Path, kills: int, dice: random.Random) -> tuple[Counter[str], list[str]]:
    """Kill so many rotations; return how many died where, and what was violated."""
    whole = scratch / "whole"
    shutil.copytree(template, whole, symlinks=True)
    began = time.perf_counter()
    code = finish(start(whole))
    took, expected, before = time.perf_counter() - began, names_in(whole), foreign(template)
    verified = [one.name for one in list_backups(template, SET) if (one.path / "verified.json").exists()][-VERIFIED:]
    if code != 0 or not set(verified) <= set(expected):
        return Counter(), ["the run that nobody kills is wrong already"]
    died: Counter[str] = Counter()
    told: list[str] = []
    for number in range(kills):
        directory = scratch / str(number)
        shutil.copytree(template, directory, symlinks=True)
        point = POINTS[number // 2 % len(POINTS)] if number % 2 else None
        process = start(directory, point=point)
        if point is None:
            time.sleep(dice.uniform(0, took / 2))
            process.kill()
        code = finish(process)
        died["too late" if code == 0 else point or "random"] += 1
        if code not in (0, -signal.SIGKILL):
            told.append(f"kill {number}: the rotation ended with {code}")
        told += [f"kill {number} ({point}): {problem}" for problem in violations(directory, verified, before)]
        if finish(start(directory)) != 0 or names_in(directory) != expected:
            told.append(f"kill {number} ({point}): the next run does not converge")
        shutil.rmtree(directory)
    return died, told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rotation-kills-") as scratch:
        template = Path(scratch, "template")
        template.mkdir()
        fill(template)
        died, told = campaign(template, Path(scratch), arguments.kills, random.Random(arguments.seed))
    for line in told:
        print(line)
    where = ", ".join(f"{number} {name}" for name, number in sorted(died.items()))
    print(f"kills: {arguments.kills} ({where}); violations: {len(told)}; seed: {arguments.seed}")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
