# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make records of runs of an invented system, the same each time: a year of them, and what is planted among them.

``python3 year.py DIRECTORY --until 2026-11-01 --days 366`` writes them as the module run_record does, a file for each run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

Check = dict[str, Any]
SYSTEM, HOST = "orchard", "orchard-1"
VERSIONS = {"collection": "0.2.0", "ansible": "2.19.14"}
WHO = {"user": "ada", "controller": "laptop", "awx_job_id": None, "awx_user": None}
SCHEDULE = [
    {"name": "morning check", "playbook": "health_check", "cron": "0 7 * * *"},
    {"name": "nightly backup", "playbook": "backup", "cron": "0 2 * * *"},
    {"name": "weekly maintenance", "playbook": "weekly_maintenance", "calendar": "Mon *-*-* 04:00:00"},
    {"name": "certificates", "playbook": "renew_certificates", "cron": "30 3 1 * *"},
    {"name": "metrics", "playbook": "metrics", "cron": "0 * * * *", "done_by": "metrics.timer"},
]
KPIS = [
    {
        "name": "uptime",
        "target": 99.0,
        "unit": "percent",
        "better": "higher",
        "check": "http:shop",
        "figure": "ok_percent",
    },
    {
        "name": "95th percentile of answers",
        "target": 500,
        "unit": "ms",
        "better": "lower",
        "check": "latency:api:p95",
        "figure": "p95",
    },
    {
        "name": "error rate",
        "target": 0.1,
        "unit": "percent",
        "better": "lower",
        "check": "error_rate:access",
        "figure": "mean",
    },
    {"name": "cost of a user", "target": 0.1, "unit": "USD", "better": "lower", "check": None, "figure": "mean"},
]


def iso(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def check(identity: str, value: Any, **more: Any) -> Check:
    """Return a check of HOST as it stands in a record."""
    whole = {"host": HOST, "id": identity, "name": identity, "section": "Host", "status": "ok", "value": value}
    return {**whole, "unit": None, "limit": None, "detail": f"{value}", "remedy": None, "because": None, **more}


def record(at: datetime, playbook: str, checks: list[Check], **more: Any) -> dict[str, Any]:
    """Return the record of a run that began at ``at``."""
    digest = hashlib.sha256(f"{at} {playbook}".encode()).hexdigest()[:12]
    host = {"host": HOST, "status": "ok", "started_at": iso(at), "ended_at": iso(at + timedelta(seconds=42))}
    order = ("ok", "unknown", "warning", "critical")
    worst = max((one["status"] for one in checks), key=order.index, default="ok")
    return {
        "schema": 1,
        "id": digest,
        "playbook": playbook,
        "system": SYSTEM,
        "status": "ok",
        "check_status": worst,
        "started_at": iso(at),
        "ended_at": iso(at + timedelta(seconds=42)),
        "seconds": 42.0,
        "check_mode": False,
        "who": WHO,
        "process": f"boot/pid:[1]/{digest}",
        "versions": VERSIONS,
        "hosts": [host],
        "checks": checks,
        "changes": [],
        "failure": None,
        "interruption": None,
        **more,
    }


def name_of(told: Mapping[str, Any]) -> str:
    """Return the name of a record's file."""
    return f"{told['started_at'].replace('-', '').replace(':', '')}-{told['playbook']}-{told['id']}.json"


def write(directory: Path, told: Mapping[str, Any]) -> Path:
    """Write one record."""
    path = directory / name_of(told)
    path.write_text(json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def health(day: float, seed: random.Random) -> list[Check]:
    """Return the some 150 checks of one morning, ``day`` days after the first one."""
    grown = 38 + 0.118 * day - (14 if day > 180 else 0) + seed.gauss(0, 0.35)
    busy = 1 + 0.25 * math.sin(day / 7 * 2 * math.pi)
    host: list[Check] = [
        check("disk:/", round(grown, 1), name="Disk /", unit="%", limit=80.0, detail=f"{grown:.1f} % of 40 GB used"),
        check("disk:/var", round(61 + seed.gauss(0, 1.5), 1), name="Disk /var", unit="%", limit=80.0),
        check("inodes:/", 5.1, name="Inodes /", unit="%", limit=80.0),
        check("memory", round(54 + 9 * busy + seed.gauss(0, 3), 1), name="Memory", unit="%", limit=90.0),
        check("load", round(0.4 * busy + seed.random() / 4, 2), name="Load", unit="per processor"),
    ]
    services: list[Check] = [
        check(
            "http:shop",
            round(0.09 * busy + seed.random() / 20, 4),
            name="shop",
            section="Endpoints",
            unit="s",
            limit=2.0,
        ),
        check(
            "http:api", round(0.03 * busy + seed.random() / 90, 4), name="API", section="Endpoints", unit="s", limit=2.0
        ),
        check(
            "latency:api:p50",
            round(40 * busy + seed.gauss(0, 4), 1),
            name="API, half of the answers",
            section="Endpoints",
            unit="ms",
        ),
        check(
            "latency:api:p95",
            round(310 * busy + seed.gauss(0, 30), 1),
            name="API, 95 % of the answers",
            section="Endpoints",
            unit="ms",
        ),
        check(
            "error_rate:access",
            round(abs(seed.gauss(0.06, 0.03)), 3),
            name="Error rate access",
            section="Logs",
            unit="%",
            limit=1.0,
        ),
        check(
            "queue:mail",
            int(abs(seed.gauss(40, 30)) * busy),
            name="mail waiting",
            section="Queues",
            unit="jobs",
            limit=1000,
        ),
        check(
            "queue:mail:oldest", int(abs(seed.gauss(20, 12))), name="mail oldest", section="Queues", unit="s", limit=600
        ),
        check(
            "postgresql:orchard",
            round(22 * busy + seed.gauss(0, 2), 1),
            name="orchard connections",
            section="Databases",
            unit="%",
            limit=80.0,
        ),
        check(
            "size:orchard",
            int(4.1e9 + 2.1e7 * day + seed.gauss(0, 2e7)),
            name="orchard size",
            section="Databases",
            unit="B",
        ),
        check(
            "backup:nightly",
            int(18000 + seed.random() * 600),
            name="nightly age",
            section="Backups",
            unit="s",
            limit=93600,
        ),
        check(
            "backup:nightly:size",
            int(9e8 + 4.6e6 * day + seed.gauss(0, 3e6)),
            name="nightly size",
            section="Backups",
            unit="B",
            limit=100,
        ),
        check(
            "certificate:orchard.example",
            round(89 - day % 60, 1),
            name="orchard.example",
            section="Certificates",
            unit="days",
            limit=30.0,
        ),
        check("query:orders", int(900 * busy + seed.gauss(0, 60)), name="orders", section="Figures", unit="orders"),
    ]
    ports = [
        check(f"listening:{8000 + place}", 1, name=f"port {8000 + place}", section="Ports", unit="ports")
        for place in range(60)
    ]
    units = [
        check(f"systemd:unit-{place}.service", "active", name=f"unit-{place}", section="Services")
        for place in range(40)
    ]
    small = [
        check(
            f"pm2:app-{place}:cpu",
            round(abs(seed.gauss(12, 6)), 1),
            name=f"app-{place} CPU",
            section="Services",
            unit="%",
            limit=80.0,
        )
        for place in range(32)
    ]
    return [*host, *services, *ports, *units, *small]


def year(until: datetime, days: int, *, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield the records of ``days`` days before ``until``: a morning check and a backup each day, maintenance on Mondays."""
    random_ = random.Random(seed)
    start = until - timedelta(days=days)
    for count in range(days):
        day = start + timedelta(days=count)
        yield record(day.replace(hour=2), "backup", [])
        if day.weekday() == 0:
            change = {
                "host": HOST,
                "thing": "apt",
                "action": "upgrade",
                "section": "Updates",
                "reason": "security",
                "before": None,
            }
            yield record(
                day.replace(hour=4),
                "weekly_maintenance",
                [],
                changes=[{**change, "after": 3, "unit": "packages", "seconds": 9.0}],
            )
        if day.day == 1:
            yield record(day.replace(hour=3, minute=30), "renew_certificates", [])
        yield record(day.replace(hour=7), "health_check", health(365.0 - days + count, random_))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--until", type=lambda text: datetime.fromisoformat(text).replace(tzinfo=timezone.utc), required=True
    )
    parser.add_argument("--days", type=int, default=366)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    for told in year(options.until, options.days):
        write(options.directory, told)


if __name__ == "__main__":
    main()
