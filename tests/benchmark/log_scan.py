# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a scan of an access log takes, beside mawk, grep, a naive loop in Python, and goaccess where it is installed.

Run it by hand: ``python3 tests/benchmark/log_scan.py [--megabytes 1024] [--rounds 3] [--without goaccess naive]``. All take turns, so
that a busy machine is busy for all of them. Quote ratios, not seconds. The log is made anew from a seed, and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START = 1_763_164_800  # 2025-11-15 00:00 UTC
DAY = 86400
DAYS = 7
BATCH = 500

# What the module does once Ansible has unpacked it, in a process of its own whose start is not counted.
BODY = """
import json, re, resource, sys, time
from ansible_collections.runbook.ops.plugins.modules.log_scan import run
given = json.loads(sys.argv[1])
def read():
    return int(re.search(r"rchar: (\\d+)", open("/proc/self/io").read())[1])
def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
before, spent, began = read(), cpu(), time.perf_counter()
result = run(given["options"], now=given["now"], check_mode=False)
seconds = time.perf_counter() - began
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024, "cpu": cpu() - spent, "read": read() - before,
                  "lines": sum(one["lines"] for one in result["logs"]),
                  "failed": sum(one["requests"]["failed"] for one in result["logs"] if one["requests"]),
                  "window": sum(one["bytes_read"] for one in result["logs"]),
                  "met": sum(met["count"] for one in result["logs"] for met in one["patterns"])}))
"""
AWK = r"""{ split($7, p, "?"); e = p[1]; gsub(/\/[0-9]+/, "/:id", e); e = $6 " " e; n[e]++; t++
if ($9 ~ /^5/) { f[e]++; bad++ } h[e, $NF]++ } END { for (k in h) c++; print t, bad, c }"""
NAIVE = """
import re, sys
from collections import defaultdict
line = re.compile(r'(\\S+) \\S+ \\S+ \\[([^\\]]+)\\] "(\\S+) (\\S+) [^"]*" (\\d+) (\\S+) "[^"]*" "([^"]*)" (\\S+)')
times, failed, total = defaultdict(list), 0, 0
for text in open(sys.argv[1], encoding="utf-8", errors="replace"):
    met = line.match(text)
    if met:
        path = re.sub(r"/[0-9]+", "/:id", met[4].partition("?")[0])
        times[met[3], path].append(float(met[8]))
        total += 1
        failed += met[5][0] == "5"
for values in times.values():
    values.sort()
print(total, failed)
"""
GOACCESS = '%h %^ %^ [%d:%t %^] "%r" %s %b "%R" "%u" %T'


def write_log(path: Path, size: int) -> int:
    """Write a week of requests to 33 000 different paths, in order, and return when it ends."""
    chance = random.Random(7)
    paths = [f"/api/{thing}/{number}" for thing in ("users", "orders", "media", "letters") for number in range(4000)]
    requests = [f"{method} {one} HTTP/1.1" for one in paths for method in ("GET", "GET", "POST")]
    requests += [f"GET {one} HTTP/1.1" for one in ("/", "/health", "/api/search?q=a")]
    addresses = [f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}" for _ in range(5000)]
    agents = [f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 v{number}" for number in range(60)]
    statuses, weights = ("200", "304", "404", "500", "502"), (93, 3, 3, 0.6, 0.4)
    written, at = 0, float(START)
    with path.open("wb") as file:
        while written < size:
            share = min(1.0, written / size)
            at = START + DAYS * DAY * share
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
            rows = zip(
                chance.choices(addresses, k=BATCH),
                chance.choices(requests, k=BATCH),
                chance.choices(statuses, weights, k=BATCH),
                chance.choices(range(200, 40_000), k=BATCH),
                chance.choices(agents, k=BATCH),
                [chance.lognormvariate(-3.4, 1) for _ in range(BATCH)],
                strict=True,
            )
            written += file.write(
                "".join(f'{a} - - [{stamp}] "{r}" {s} {b} "-" "{g}" {t:.3f}\n' for a, r, s, b, g, t in rows).encode()
            )
    return int(at)


def ours(path: Path, now: float, **options: object) -> dict[str, float]:
    """Return what the module's body measured of itself."""
    log: dict[str, object] = {"name": "access", "path": str(path)}
    log.update({key: options.pop(key) for key in ("format", "patterns", "top") if key in options})
    given = {
        "logs": [log],
        "since_seconds": 1e8,
        "state_path": None,
        "secrets": [],
        "workers": 2,
        "timeout_seconds": 300.0,
        **options,
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    argv = [sys.executable, "-c", BODY, json.dumps({"options": given, "now": now})]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def timed(argv: list[str]) -> tuple[float, float, str]:
    """Return wall time, CPU time and what was printed."""
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    began = time.perf_counter()
    # Into a pipe: grep and others stop early where their output goes nowhere.
    done = subprocess.run(
        argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}
    )
    seconds = time.perf_counter() - began
    return seconds, sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before, done.stdout.decode()


def peers(path: Path, without: list[str]) -> dict[str, list[str]]:
    found = {
        "mawk": ["mawk", AWK, str(path)],
        "naive": [sys.executable, "-c", NAIVE, str(path)],
        "grep": ["grep", "-c", '" 5[0-9][0-9] ', str(path)],
        "goaccess": [
            *("goaccess", str(path), f"--log-format={GOACCESS}", "--date-format=%d/%b/%Y", "--time-format=%H:%M:%S"),
            *("-o", str(path.with_suffix(".json")), "--no-progress"),
        ],
    }
    return {name: argv for name, argv in found.items() if name not in without and shutil.which(argv[0])}


def measure(path: Path, now: float, rounds: int, without: list[str]) -> None:
    full = {"format": "combined", "top": []}
    only_errors = {"patterns": [{"name": "failed", "expression": '" 5[0-9][0-9] '}]}
    state = path.with_suffix(".state")
    times: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    told: dict[str, dict[str, float]] = {}
    said = ""
    for _round in range(rounds):
        for name, argv in peers(path, without).items():
            seconds, cpu, out = timed(argv)
            cpus.setdefault(name, []).append(cpu)
            times.setdefault(name, []).append(seconds)
            said = out.split("\n")[0] if name == "mawk" else said
        state.unlink(missing_ok=True)
        ways: dict[str, dict[str, object]] = {
            "full": full,
            "with addresses and clients": {**full, "top": ["addresses", "agents"]},
            "one worker": {**full, "workers": 1},
            "last 24 h": {**full, "since_seconds": float(DAY)},
            "errors only": only_errors,
            "first reading": {**full, "state_path": str(state)},
            "nothing new": {**full, "state_path": str(state)},
        }
        for name, way in ways.items():
            told[name] = ours(path, now, **way)
            times.setdefault(name, []).append(told[name]["seconds"])
            cpus.setdefault(name, []).append(told[name]["cpu"])
    mawk_lines, mawk_failed = (int(number) for number in said.split()[:2]) if said else (0, 0)
    print(
        f"lines {told['full']['lines']:.0f} (mawk {mawk_lines}), failed {told['full']['failed']:.0f} (mawk {mawk_failed})"
    )
    print(f"memory {told['full']['peak_mib']:.0f} MiB, CPU {told['full']['cpu']:.1f} s, load {os.getloadavg()[0]:.1f}")
    middle = {name: statistics.median(each) for name, each in times.items()}
    middle_cpu = {name: statistics.median(each) for name, each in cpus.items()}
    for name, seconds in middle.items():
        print(f"{name:28} {seconds:8.3f} s, CPU {middle_cpu[name]:8.3f} s")
    for name, way, peer, goal in (
        ("G2a full ÷ mawk", "full", "mawk", 0.50),
        ("G2a full ÷ naive", "full", "naive", 0.15),
        ("G2a full ÷ goaccess", "full", "goaccess", 0.03),
        ("G2b last 24 h ÷ mawk", "last 24 h", "mawk", 0.10),
        ("G2d errors only ÷ grep -c", "errors only", "grep", 0.7),
    ):
        if peer in middle:
            cpu_ratio = middle_cpu[way] / middle_cpu[peer]
            print(f"{name:28} {middle[way] / middle[peer]:8.3f} (goal {goal}), CPU {cpu_ratio:.3f}")
    window = told["last 24 h"]["window"]
    print(
        f"{'G2b read ÷ window':28} {told['last 24 h']['read'] / window:8.5f} (goal 1.001; one process of two is seen)"
    )
    print(f"{'G2c nothing new':28} {middle['nothing new']:8.3f} s (goal 0.05 s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], choices=["mawk", "naive", "grep", "goaccess"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="log-scan-") as scratch:
        path = Path(scratch) / "access.log"
        now = write_log(path, arguments.megabytes << 20)
        measure(path, now, arguments.rounds, arguments.without)


if __name__ == "__main__":
    main()
