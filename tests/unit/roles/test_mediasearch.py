# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of AI Media Search is valid, and says everything that its runbook states."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ._inventories import describe

DESCRIPTION = describe("mediasearch")
TEXT, SYSTEM, named = DESCRIPTION.text, DESCRIPTION.system, DESCRIPTION.named
PROJECT = "/srv/ai-media-search"


def test_the_description_is_valid() -> None:
    assert DESCRIPTION.problems == []


def facts() -> list[Any]:
    database, api, worker = SYSTEM["databases"][0], named("services", "api"), named("services", "worker")
    limits, emergency = SYSTEM["thresholds"], SYSTEM["retention"]["emergency"]
    table = [
        ("health url", api["health"]["url"], "http://localhost:3000/api/health"),
        (
            "login test",
            (named("endpoints", "login test")["url"], named("endpoints", "login test")["method"]),
            ("http://localhost:3000/api/auth/test", "POST"),
        ),
        ("queues", {one["url"] for one in SYSTEM["queues"]}, {"http://localhost:3000/api/admin/queues/stats"}),
        (
            "failed jobs",
            [one["url"] for one in SYSTEM["oncall"]["links"] if one["name"] == "failed jobs"],
            ["http://localhost:3000/api/admin/queues/failed"],
        ),
        ("metrics", named("endpoints", "metrics of the API")["url"], "http://localhost:9090/metrics"),
        ("domain", named("certificates", "yourdomain.com")["domains"], ["yourdomain.com"]),
        (
            "containers",
            {one["name"]: one["container"] for one in SYSTEM["services"] if one["container"]},
            {"api": "api-container", "worker": "worker-container", "postgres": "postgres", "redis": "redis"},
        ),
        ("image", SYSTEM["deployment"]["image"], "ai-media-search:latest"),
        ("maintenance flag", SYSTEM["maintenance_mode"]["flag"], "/var/www/maintenance.flag"),
        ("database", (database["engine"], database["schema"]), ("postgresql", "public")),
        (
            "tables",
            database["tables"],
            ["media_items", "embeddings", "search_history", "users", "user_activity", "cost_tracking"],
        ),
        ("maintained tables", database["maintained_tables"], ["media_items", "embeddings", "search_history"]),
        ("extensions", database["extensions"], ["pg_stat_statements"]),
        (
            "storage",
            [(one["bucket"], one["prefix"]) for one in SYSTEM["buckets"]][:2],
            [("your-backup-bucket", "postgres/"), ("your-backup-bucket", "media/")],
        ),
        (
            "payment",
            (named("dependencies", "Stripe")["url"], "STRIPE_SECRET_KEY" in [one["name"] for one in SYSTEM["secrets"]]),
            ("https://status.stripe.com/api/v2/status.json", True),
        ),
        (
            "emergency",
            (emergency["application_logs_seconds"], emergency["journal_seconds"], emergency["backups_seconds"]),
            (7 * 86400, 2 * 86400, 30 * 86400),
        ),
        ("emergency logs", SYSTEM["retention"]["logs"][0]["path"], "/logs/*.log"),
        (
            "backups",
            tuple(SYSTEM["backups"][0][key] for key in ("directory", "pattern", "calendar")),
            ("/backups", "backup-*.dump", "*-*-* 00/6:00:00"),
        ),
        ("cpu", limits["cpu_percent"]["warning"], 80),
        ("memory", limits["memory_percent"]["warning"], 90),
        ("slow query", limits["slow_query_seconds"]["warning"], 0.1),
        ("queue depth", {one["limits"]["waiting"]["warning"] for one in SYSTEM["queues"]}, {1000}),
        ("scale", worker["scale"], {"cpu": 4, "queue": 8}),
        ("watch", SYSTEM["deployment"]["watch_seconds"], 30 * 60),
        (
            "figures",
            [one["target"] for one in SYSTEM["objectives"]["kpis"]],
            [99.9, 43, 500, 95, 0.1, 0.1],
        ),
        (
            "response",
            [one["respond_within_seconds"] for one in SYSTEM["oncall"]["severities"]],
            [0, 0, 5 * 60, 15 * 60],
        ),
        (
            "phases",
            [(one["name"], one["until_seconds"]) for one in SYSTEM["incidents"]["phases"]],
            [("assess", 300), ("communicate", 600), ("mitigate", 1800), ("resolve", None)],
        ),
    ]
    for name, path in {
        "API": f"{PROJECT}/logs/api-*.log",
        "authentication of users": f"{PROJECT}/logs/auth-*.log",
        "access": f"{PROJECT}/logs/access.log",
        "system": "/var/log/syslog",
        "logins and sudo": "/var/log/auth.log",
        "backup verification": f"{PROJECT}/backup-log.txt",
    }.items():
        table.append((f"log {name}", named("logs", name)["path"], path))
    for name, when in {
        "morning check": "0 9 * * *",
        "user metrics": "0 10 * * *",
        "log rotation": "0 2 * * *",
        "usage report": "0 6 * * *",
        "cost tracking": "0 * * * *",
        "health timer": "*/5 * * * *",
        "certificate check": "0 0 * * 0",
        "database maintenance": "0 3 15 * *",
    }.items():
        table.append((f"schedule {name}", named("schedule", name)["cron"], when))
    for name, day in {
        "backup verification": "* * 1",
        "security review": "* * 3",
        "performance review": "* * 5",
    }.items():
        table.append((f"day of {name}", named("schedule", name)["cron"].split(maxsplit=2)[2], day))
    for name, path in {
        "backup": "/scripts/backup-database.sh",
        "log rotation": "/scripts/rotate-logs.sh",
        "usage report": "/scripts/generate-usage-report.sh",
        "cost tracking": "/scripts/update-cost-tracking.sh",
        "health check": "/scripts/health-check.sh",
        "certificate check": "/scripts/check-certs.sh",
        "database maintenance": "/scripts/db-maintenance.sh",
        "cost report": f"{PROJECT}/scripts/generate_cost_report.py",
        "replay of webhooks": f"{PROJECT}/scripts/replay-webhooks.js",
    }.items():
        table.append((f"script {name}", named("scripts", name)["path"], path))
    for fact in ("DB_NAME", "DB_USER", "AWS_S3_BUCKET_NAME", "invoice.payment_failed", "86400", "weekly-report.txt"):
        table.append((f"mention of {fact}", fact in TEXT, True))  # what no variable has a word for stands in a comment
    return table


@pytest.mark.parametrize(("found", "stated"), [pytest.param(a, b, id=name) for name, a, b in facts()])
def test_a_fact_of_the_runbook_stands_in_the_description(found: Any, stated: Any) -> None:
    assert found == stated


def test_every_secret_comes_from_the_vault() -> None:
    assert set(DESCRIPTION.vault) == set(re.findall(r"vault_\w+", TEXT))
    assert set(DESCRIPTION.vault.values()) == {""}
