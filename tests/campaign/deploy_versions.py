# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys every bad version there is, as a pipeline does, while users ask: where is each refused, and what did users notice of it?

Run it by hand, with Ansible on the path: ``python3 tests/campaign/deploy_versions.py [--host demo-plugspace] [--kinds hangs]``. The application,
its users and its host are those of tests/benchmark/deploy.py; the host has to have PostgreSQL for the migration. Beside versions that are bad
there are hosts on which a good one cannot be deployed. Ends with 1 when anything was violated: a bad version was taken, or refused elsewhere
than it should be; the exit code or the record is wrong; another version serves afterwards; users got a wrong answer from a version that was to
be refused before they saw it; an odd but good version was refused.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "benchmark"), str(TESTS / "versions")]
from deploy import FRONT, HOSTS, ROOT, SERVICES, STANDBY, Bench  # noqa: E402  # found only now
from versions import BAD, KINDS, ODD  # noqa: E402

LEDGER = "/var/lib/runbook-ops/deploy/shop/ledger.jsonl"
RECORD = "tail -n 1 $(ls /var/lib/runbook-ops/runs/*.json | tail -n 1)"
CODES = {None: 0, "build": 10, "migration": 10, "gate": 11, "switch": 11, "watch": 11}
BROKEN, SMALL, DATABASE = "/etc/nginx/conf.d/zz-broken-on-purpose.conf", "/srv/small/shop.releases", "bench_shop"
STRANGER = "runbook-ops-bench-stranger.service"
AS_POSTGRES = "runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1"


class Place(NamedTuple):
    """What is other on the host, or in the description, while a version is deployed."""

    begin: str = "true"
    end: str = "true"
    deploy: Mapping[str, Any] = {}
    limits: Mapping[str, Any] = {}
    source: Mapping[str, Any] = {}
    variables: Mapping[str, Any] = {}
    options: Sequence[str] = ()
    proof: str = ""  # prints nothing where nothing is left of it


# Hosts on which a good version cannot be deployed, and where that is seen. The first comes before the first deploy: nginx is read anew then.
SICK = {
    "nginx-refuses-its-files": ("switch", Place(f"echo 'broken on purpose' >{BROKEN}", f"rm -f {BROKEN}")),
    "no-room-on-the-disk": ("build", Place(end=f"rm -rf {SMALL}", deploy={"releases": SMALL})),
    "port-taken": (
        "gate",
        Place(
            f"systemd-run -q --unit {STRANGER} python3 -m http.server {STANDBY} --bind 127.0.0.1 --directory /usr/share/doc",
            f"systemctl stop {STRANGER}",
        ),
    ),
}
PLACES = {kind: place for kind, (_refused, place) in SICK.items()} | {
    "leaks-when-used": Place(limits={"memory": "300MB"}),
    "migration-fails-half-way": Place(
        begin=f"{AS_POSTGRES} -c 'DROP DATABASE IF EXISTS {DATABASE}' -c 'CREATE DATABASE {DATABASE}'",
        end=f"{AS_POSTGRES} -c 'DROP DATABASE IF EXISTS {DATABASE}'",
        deploy={"migration": {"kind": "sql", "database": DATABASE}},
        source={"migrations": "migrations"},
        variables={"ops_databases": [{"engine": "postgresql", "name": DATABASE, "owner": "postgres"}]},
        options=["-e", "database_migration_accept_no_backup=there is nothing in it"],
        proof=f"""{AS_POSTGRES} -d {DATABASE} -c "SELECT to_regclass('half')" """,
    ),
}


class Tried(NamedTuple):
    """What became of one version."""

    kind: str
    place: str | None
    before: str
    after: str
    number: str
    told: dict[str, Any]
    result: dict[str, Any]  # of the CI entry
    record: dict[str, Any]
    left: str


def refused(kind: str) -> str | None:
    return SICK[kind][0] if kind in SICK else KINDS[kind].refused


def place(events: Sequence[str]) -> str:
    """Return where a deploy that failed was refused, by what the ledger says of its release."""
    if "live" in events:
        return "watch"
    if "bad" in events:
        return "gate"
    if "staged" in events:
        return "switch"
    return "migration" if "built" in events else "build"


def violations(tried: Tried) -> list[str]:
    wanted, wrong = refused(tried.kind), []
    if tried.place != wanted and (wanted, tried.place) != (
        "watch",
        "switch",
    ):  # what users bring out, the proof may see first
        wrong.append(
            f"{'refused by the ' + tried.place if tried.place else 'taken'} instead of {'refused by the ' + wanted if wanted else 'taken'}"
        )
    serves = tried.before if wanted else tried.number
    if tried.after != serves:
        wrong.append(f"{tried.after} serves instead of {serves}")
    if wanted != "watch" and tried.told["failed"] - tried.told["closed_idle"]:
        wrong.append(f"users got {tried.told['outcomes']}")
    if wanted not in ("watch", None) and tried.kind not in SICK and tried.number in tried.told["versions"]:
        wrong.append("users saw it")
    if tried.result["code"] != CODES[wanted]:
        wrong.append(f"exit code {tried.result['code']} instead of {CODES[wanted]}")
    said = (tried.record.get("failure") or {}).get("message") or ""
    if wanted and (not said or said not in tried.result["message"]):
        wrong.append(f"the record says {said!r}, the pipeline {tried.result['message']!r}")
    if tried.left:
        wrong.append(f"left behind: {tried.left}")
    return wrong


def deploy(bench: Bench, number: str, kind: str, directory: Path) -> dict[str, Any]:
    """Deploy a version as a pipeline does, and return what it is told."""
    other = PLACES.get(kind, Place())
    nginx, shop = SERVICES
    shop = {
        **shop,
        "deploy": {**shop["deploy"], **other.deploy},
        "source": {**shop["source"], **other.source},
        "limits": other.limits,
    }
    described = {
        "ops_system": {"name": "shop"},
        "ops_services": [nginx, shop],
        "ops_deployment": {"watch": bench.options.watch},
        **other.variables,
    }
    inventory, result = directory / "shop.yml", directory / "result.json"
    inventory.write_text(json.dumps({"all": {"vars": described}}))
    result.unlink(missing_ok=True)
    hosts = subprocess.run(
        [sys.executable, str(HOSTS), "inventory", bench.host], capture_output=True, text=True, check=True
    ).stdout.strip()
    command = [sys.executable, "-m", "ansible_collections.runbook.ops.plugins.plugin_utils.ci", "deploy"]
    command += ["-i", hosts, "-i", str(inventory), "--result", str(result)]
    command += ["-e", f"deploy_version={number}", "-e", "deploy_service=shop", *other.options]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "collections"), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if not result.exists():
        raise SystemExit(f"the pipeline of {number} has no result:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(result.read_text())
    return {**told, "code": told["code"] if told["code"] == done.returncode else f"{told['code']}, {done.returncode}"}


def one(bench: Bench, number: str, kind: str, directory: Path) -> Tried:
    before, lines, other = serving(bench), len(ledger(bench)), PLACES.get(kind, Place())
    done: list[dict[str, Any]] = []
    bench(other.begin)
    try:
        told = bench.asked(lambda: done.append(deploy(bench, number, kind, directory)))
        left = bench(other.proof).strip()
    finally:
        bench(other.end, check=False)
    events = [line["event"] for line in ledger(bench)[lines:] if not line["release"].startswith("adopted")]
    failed = done[0]["code"] != 0
    record = json.loads(bench(RECORD))
    return Tried(kind, place(events) if failed else None, before, serving(bench), number, told, done[0], record, left)


def serving(bench: Bench) -> str:
    return str(json.loads(bench(f"curl -s http://127.0.0.1:{FRONT}/api/v1/version"))["version"])


def ledger(bench: Bench) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bench(f"cat {LEDGER} 2>/dev/null", check=False).splitlines()]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = [*SICK, *(version.kind for version in (*BAD, *ODD))]
    parser.add_argument("--host", default="demo-plugspace")
    parser.add_argument("--kinds", nargs="+", choices=every, default=every)
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--watch", default="8s")
    parser.set_defaults(slow=1, websockets=2)
    options = parser.parse_args(argv)
    first = [kind for kind in SICK if kind in options.kinds]
    bench, kinds = Bench(options.host, options), [*first, "good", *(kind for kind in options.kinds if kind not in SICK)]
    violated = bad = failed = 0
    made = ["good", *("good" if kind in SICK else kind for kind in kinds)]
    with tempfile.TemporaryDirectory() as directory, bench.application("", made):
        for number, kind in enumerate(kinds, 1):
            tried = one(bench, f"1.{number}.0", kind, Path(directory))
            wrong = violations(tried)
            violated += bool(wrong)
            bad += refused(kind) is not None
            failed += tried.told["failed"] - tried.told["closed_idle"] if refused(kind) != "watch" else 0
            users = f"{tried.told['requests']} requests, {tried.told['failed']} failed, {tried.told['closed_idle']} idle closed"
            result = f"refused by the {tried.place}" if tried.place else "taken"
            print(
                f"{kind:<28} {result:<24} {tried.result['code']!s:>3} {tried.told['took']:5.1f} s  {users}  {'; '.join(wrong)}\n"
                f"    {tried.result['message'][:300]}",
                flush=True,
            )
    print(
        f"{bad} bad, {len(kinds) - bad} good; {violated} violated what was expected; users of what is refused before the switch, "
        f"and of what is good, got {failed} wrong answers"
    )
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
