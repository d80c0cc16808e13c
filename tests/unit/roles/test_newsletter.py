# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of the newsletter application is valid, and says everything that its runbook states."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ._inventories import describe

DESCRIPTION = describe("newsletter")
TEXT, SYSTEM, named = DESCRIPTION.text, DESCRIPTION.system, DESCRIPTION.named
PROJECT = "/home/deploy/newsletter"


def test_the_description_is_valid() -> None:
    assert DESCRIPTION.problems == []


def facts() -> list[Any]:
    database, app, worker = SYSTEM["databases"][0], named("services", "newsletter-app"), named("services", "worker")
    balancer = named("services", "balancer")
    limits, backup, bucket = SYSTEM["thresholds"], SYSTEM["backups"][0], named("buckets", "assets")
    rotated, rows = SYSTEM["retention"]["logs"][0], SYSTEM["retention"]["rows"][0]
    compose = [one for one in SYSTEM["services"] if one["manager"] == "compose"]
    table = [
        (
            "health",
            (balancer["health"]["url"], balancer["health"]["status"]),
            ("http://localhost:3000/api/health", 200),
        ),
        ("services", {one["name"] for one in compose}, {"newsletter-app", "balancer", "worker", "postgres", "redis"}),
        ("compose file", {one["compose_file"] for one in compose}, {"docker-compose.yml"}),
        ("port", (balancer["port"], app["deploy"]["front"]), (3000, "balancer")),
        ("scale of the application", (app["scale"], app["max_replicas"]), ({"cpu": 3}, 3)),
        ("scale of the workers", worker["scale"], {"memory": 1, "queue": 5}),
        (
            "database",
            (database["engine"], database["service"], database["name"]),
            ("postgresql", "postgres", "newsletter"),
        ),
        ("database user", (database["owner"], database["schema"]), ("newsletter", "public")),
        ("tables", database["tables"], ["campaigns", "email_events", "tenants"]),
        ("indexes", database["indexes"], ["idx_campaigns_tenant_created", "idx_email_events_campaign_type"]),
        ("extensions", database["extensions"], ["pg_stat_statements"]),
        ("redis", [(one["service"], one["database"]) for one in SYSTEM["redis"]], [("redis", 0)]),
        (
            "queues",
            [(one["prefix"], one["name"]) for one in SYSTEM["queues"]],
            [("bull", "campaign-emails"), ("bull", "ai-insights")],
        ),
        ("storage", (bucket["bucket"], bucket["region"]), ("newsletter-assets", "auto")),
        ("storage endpoint", bucket["endpoint"], "https://your-account-id.r2.cloudflarestorage.com"),
        ("copy of the assets", named("buckets", bucket["mirror"])["bucket"], "newsletter-assets-backup"),
        ("backups offsite", named("buckets", "database backups")["bucket"], "backup-bucket"),
        ("backups", backup["pattern"], "backup_*.sql.gz"),
        ("retention of events", (rows["table"], rows["older_than_seconds"]), ("email_events", 2 * 365 * 86400)),
        (
            "retention of logs",
            (rotated["path"], rotated["older_than_seconds"]),
            ("/var/log/newsletter/*.log", 30 * 86400),
        ),
        ("rotation", rotated["options"], ["daily", "compress", "delaycompress", "missingok", "notifempty"]),
        ("application log", named("logs", "application")["path"], f"{PROJECT}/logs/app.log"),
        ("memory", limits["memory_percent"]["warning"], 90),
        ("cpu", limits["cpu_percent"]["warning"], 80),
        ("query runtime", limits["transaction_seconds"]["warning"], 5 * 60),
        ("watch", SYSTEM["deployment"]["watch_seconds"], 10 * 60),
        ("outside", {one["name"] for one in SYSTEM["dependencies"]}, {"Resend", "Cloudflare", "OpenAI"}),
        ("mail", [one["url"] for one in SYSTEM["oncall"]["links"]], ["https://api.resend.com/domains"]),
        ("response", [one["respond_within_seconds"] for one in SYSTEM["oncall"]["severities"]], [5 * 60, 15 * 60]),
        (
            "escalation",
            [(one["unsolved_for_seconds"], one["roles"]) for one in SYSTEM["oncall"]["escalation"]],
            [
                (0, ["on-call engineer"]),
                (15 * 60, ["senior engineer", "database administrator"]),
                (30 * 60, ["engineering manager", "security"]),
            ],
        ),
        (
            "secrets",
            {one["name"] for one in SYSTEM["secrets"]},
            {"RESEND_API_KEY", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ACCOUNT_ID", "R2_BUCKET_NAME"},
        ),
    ]
    for name, path in {
        "test-restore": f"{PROJECT}/scripts/test-backup-restore.sh",
        "migrate": f"{PROJECT}/scripts/migrate-production.ts",
    }.items():
        table.append((f"script {name}", named("scripts", name)["path"], path))
    for fact in ("503", "pnpm db:generate"):
        table.append((f"mention of {fact}", fact in TEXT, True))  # what no variable has a word for stands in a comment
    return table


@pytest.mark.parametrize(("found", "stated"), [pytest.param(a, b, id=name) for name, a, b in facts()])
def test_a_fact_of_the_runbook_stands_in_the_description(found: Any, stated: Any) -> None:
    assert found == stated


def test_every_secret_comes_from_the_vault() -> None:
    assert set(DESCRIPTION.vault) == set(re.findall(r"vault_\w+", TEXT))
    assert set(DESCRIPTION.vault.values()) == {""}
