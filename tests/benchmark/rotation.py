# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a rotation takes, beside ``find -delete``, beside ``ls -f`` and beside a loop of Ansible tasks.

Run it by hand: ``python3 tests/benchmark/rotation.py [--files 200000] [--rounds 3]``. Quote ratios, not seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DAYS = 180
NOW = datetime(2026, 11, 21, 8)
LOOP_FILES = 20  # the loop takes about 0.15 s a file: more would prove nothing and last for hours

# What the module does once Ansible has unpacked it, in a process of its own, so that its memory can be read.
BODY = """
import json, resource, sys, time
from datetime import datetime
from ansible_collections.runbook.ops.plugins.module_utils import _backup_folder, _backup_rotate
options = dict(directory=sys.argv[1], pattern="backup_*.sql*", keep={"within": "90d"}, min_size="0", max_delete_percent=100)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
if sys.argv[2] == "list":
    from ansible_collections.runbook.ops.plugins.module_utils._dated_names import read_dates
    folder = _backup_folder.Folder(sys.argv[1], min_size=0)
    result = {"deleted": len(read_dates(folder.names(), pattern="backup_*.sql*").backups)}
else:
    result = _backup_rotate.rotate(options, now=datetime(2026, 11, 21, 8), check_mode=False)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024, "own_mib": (peak - before) / 1024,
                  "deleted": result["deleted"]}))
"""

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.find: {paths: "{{ directory }}", age: 90d}
      register: found
    - ansible.builtin.file: {path: "{{ item['path'] }}", state: absent}
      loop: "{{ found['files'] }}"
      loop_control: {label: "{{ item['path'] }}"}
"""


def fill(directory: Path, files: int) -> None:
    """Make ``files`` empty backups over 180 days, and give each the time that its name says."""
    step = timedelta(days=DAYS) / files
    with_age = datetime.now() - NOW  # find looks at the clock, our names at NOW
    for number in range(files):
        moment = NOW - step * number
        path = directory / f"backup_{moment:%Y%m%d_%H%M%S}_{number:06d}.sql.gz"
        path.touch()
        seconds = (moment + with_age).timestamp()
        os.utime(path, (seconds, seconds))


def timed(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def body(directory: Path, what: str) -> dict[str, float]:
    """Return what the module's body measured of itself."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    argv = [sys.executable, "-c", BODY, str(directory), what]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout)


@contextlib.contextmanager
def filled(files: int):  # type: ignore[no-untyped-def]
    directory = Path(tempfile.mkdtemp(prefix="rotation-"))
    try:
        fill(directory, files)
        yield directory
    finally:
        shutil.rmtree(directory)


def measure(files: int, rounds: int) -> None:
    listing, limit, ours, find, peaks, own = [], [], [], [], [], []
    for _ in range(rounds):  # in turn, so that a busy machine is busy for all of them
        with filled(files) as directory:
            limit.append(timed(["ls", "-f", str(directory)]))
            listing.append(body(directory, "list")["seconds"])
            find.append(timed(["find", str(directory), "-mtime", "+90", "-delete"]))
        with filled(files) as directory:
            result = body(directory, "delete")
            ours.append(result["seconds"])
            peaks.append(result["peak_mib"])
            own.append(result["own_mib"])
    show("list and read the dates", listing, "ls -f", limit, 1.6)
    show("one rotation (module body)", ours, "find -mtime +90 -delete", find, 0.9)
    print(f"memory: peak {max(peaks):.0f} MiB, of it {max(own):.0f} MiB for the rotation (goal: 40)")


def show(what: str, ours: list[float], peer: str, theirs: list[float], goal: float) -> None:
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{what}: {mine:.3f} s; {peer}: {other:.3f} s; ratio {mine / other:.2f} (goal {goal}), n={len(ours)}")


def compare_with_loop(find_loop: Callable[[Path], float], files: int) -> None:
    """Measure Ansible's find and a loop over a few files, and say what that means for many."""
    with filled(LOOP_FILES * 2) as directory:
        whole = find_loop(directory)
    with filled(2) as directory:
        start = find_loop(directory)
    each = max(0.0, whole - start) / (LOOP_FILES - 1)
    with filled(files) as directory:
        ours = body(directory, "delete")
    loop = start + each * ours["deleted"]
    print(
        f"ansible.builtin.find and a loop: {each:.3f} s a file, measured with {LOOP_FILES}; EXTRAPOLATED to "
        f"{ours['deleted']:.0f} files {loop:.0f} s; ratio {ours['seconds'] / loop:.6f} (goal 0.001)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    measure(arguments.files, arguments.rounds)
    if shutil.which("ansible-playbook") is None:
        print("ansible-playbook is not on the PATH: no comparison with a loop")
        return
    with tempfile.TemporaryDirectory() as scratch:
        play = Path(scratch) / "play.yml"
        play.write_text(PLAY)
        argv = [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            str(play),
            "-e",
        ]
        compare_with_loop(lambda directory: timed([*argv, f"directory={directory}"]), min(arguments.files, 20_000))


if __name__ == "__main__":
    main()
