# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys every bad version there is while users ask, and looks at where each is refused and what users noticed.

Run it by hand, with Ansible on the path: ``python3 tests/campaign/deploy_versions.py [--host demo-plugspace] [--kinds hangs]``. The application,
its users and its host are those of tests/benchmark/deploy.py. Ends with 1 when anything was violated: a bad version was taken, or refused
elsewhere than it should be; another version serves afterwards; users got a wrong answer from a version that was to be refused before they saw
it; an odd but good version was refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "benchmark"), str(TESTS / "versions")]
from deploy import FRONT, Bench  # noqa: E402  # found only now
from versions import BAD, KINDS, ODD  # noqa: E402

LEDGER = "/var/lib/runbook-ops/deploy/shop/ledger.jsonl"


class Tried(NamedTuple):
    """What became of one version."""

    kind: str
    place: str | None
    before: str
    after: str
    number: str
    told: dict[str, Any]
    message: str


def place(events: Sequence[str]) -> str:
    """Return where a deploy that failed was refused, by what the ledger says of its release."""
    if "live" in events:
        return "watch"
    if "bad" in events:
        return "gate"
    return "switch" if "staged" in events else "build"


def violations(tried: Tried) -> list[str]:
    wanted = KINDS[tried.kind].refused
    wrong = []
    if tried.place != wanted:
        wrong.append(
            f"{'refused by the ' + tried.place if tried.place else 'taken'} instead of {'refused by the ' + wanted if wanted else 'taken'}"
        )
    serves = tried.before if wanted else tried.number
    if tried.after != serves:
        wrong.append(f"{tried.after} serves instead of {serves}")
    if wanted != "watch" and tried.told["failed"] - tried.told["closed_idle"]:
        wrong.append(f"users got {tried.told['outcomes']}")
    if wanted in ("build", "gate") and tried.number in tried.told["versions"]:
        wrong.append("users saw it")
    return wrong


def one(bench: Bench, number: str, kind: str, directory: Path) -> Tried:
    before, lines = serving(bench), len(ledger(bench))
    done = []
    told = bench.asked(lambda: done.append(bench.play(number, directory)))
    events = [line["event"] for line in ledger(bench)[lines:] if not line["release"].startswith("adopted")]
    failed = done[0].returncode != 0
    message = next(
        (
            line.strip()
            for line in reversed(done[0].stdout.splitlines())
            if "serves as before" in line or "fatal" in line.lower()
        ),
        "",
    )
    return Tried(
        kind, place(events) if failed else None, before, serving(bench), number, told, message if failed else ""
    )


def serving(bench: Bench) -> str:
    return str(json.loads(bench(f"curl -s http://127.0.0.1:{FRONT}/api/v1/version"))["version"])


def ledger(bench: Bench) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bench(f"cat {LEDGER} 2>/dev/null", check=False).splitlines()]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="demo-plugspace")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[version.kind for version in (*BAD, *ODD)])
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--watch", default="8s")
    parser.set_defaults(slow=1, websockets=2)
    options = parser.parse_args(argv)
    bench, kinds = Bench(options.host, options), ["good", "good", *options.kinds]
    violated = 0
    with tempfile.TemporaryDirectory() as directory, bench.application("", kinds):
        for number, kind in enumerate(kinds[1:], 1):
            tried = one(bench, f"1.{number}.0", kind, Path(directory))
            wrong = violations(tried)
            violated += bool(wrong)
            users = f"{tried.told['requests']} requests, {tried.told['failed']} failed, {tried.told['closed_idle']} idle closed"
            result = f"refused by the {tried.place}" if tried.place else "taken"
            print(
                f"{kind:<28} {result:<22} {tried.told['took']:5.1f} s  {users}  {'; '.join(wrong)}\n    {tried.message[:300]}",
                flush=True,
            )
    print(f"{violated} of {len(kinds) - 1} violated what was expected")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
