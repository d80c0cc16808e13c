# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owlivion's description is valid, and says everything that its runbook states."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ._inventories import INVENTORIES, describe

DESCRIPTION = describe("owlivion")
SYSTEM, named = DESCRIPTION.system, DESCRIPTION.named
APP = "/home/owlivion/owlivion-mail/owlivion-sync-server"


def test_the_description_is_valid() -> None:
    assert DESCRIPTION.problems == []


def facts() -> list[Any]:
    app, web = named("services", "owlivion-sync-server"), named("services", "nginx")
    database, limits = named("databases", "owlivion_sync"), SYSTEM["thresholds"]
    host = yaml.safe_load((INVENTORIES / "owlivion" / "hosts.yml").read_text())["owlivion"]["hosts"]["owlivion-1"]
    robot = named("monitors", "UptimeRobot")
    table = [
        ("host", (host["ansible_host"], host["ansible_user"]), ("31.97.216.36", "owlivion")),
        ("domain", named("certificates", "owlivion.com")["domains"], ["owlivion.com"]),
        ("health url", named("endpoints", "public API")["url"], "https://owlivion.com/api/v1/health"),
        ("health answer", named("endpoints", "public API")["json"], {"status": "ok"}),
        ("blue-green health url", app["health"]["standby_url"], "http://localhost:3001/api/v1/health"),
        ("manager", (app["manager"], app["user"]), ("pm2", "owlivion")),
        ("directory", (app["path"], app["entry_point"]), (APP, "server.js")),
        ("blue-green", (app["standby_name"], app["standby_port"]), ("owlivion-sync-server-new", 3001)),
        ("repository", app["source"]["repository"], "https://github.com/babafpv/owlivion-mail"),
        ("branch", (app["source"]["branch"], app["source"]["migrations"]), ("main", "deployment/migrations")),
        ("migrations", app["deploy"]["migration"]["database"], "owlivion_sync"),
        (
            "services",
            {one["name"] for one in SYSTEM["services"]},
            {"postgresql", "nginx", "owlivion-sync-server", "docker"},
        ),
        ("order", [one["name"] for one in SYSTEM["services"]][:3], ["postgresql", "owlivion-sync-server", "nginx"]),
        (
            "database",
            (database["engine"], database["owner"], database["superuser"]),
            ("postgresql", "owlivion", "postgres"),
        ),
        ("tables", (database["tables"], database["schema"]), (["sync_data", "users"], "public")),
        ("extensions", database["extensions"], ["pg_stat_statements"]),
        ("canary", database["canary"], "SELECT COUNT(*) FROM users"),
        ("nginx config", web["upstream_config"], "/etc/nginx/conf.d/owlivion.conf"),
        ("nginx cache", web["caches"], ["/var/cache/nginx"]),
        ("ssh keys", SYSTEM["access"]["authorized_keys"], ["~/.ssh/authorized_keys"]),
        ("disk", limits["disk_percent"]["warning"], 80),
        ("memory", limits["memory_percent"]["warning"], 90),
        ("certificates", limits["certificate_days"], {"warning": 30, "critical": 7}),
        ("error rate", limits["error_rate_percent"]["warning"], 1),
        ("slow query", limits["slow_query_seconds"]["warning"], 1),
        ("response", limits["response_seconds"]["warning"], 5),
        (
            "PM2 Plus",
            {key: value for key, value in app["limits"].items() if value is not None},
            {"memory_bytes": 500_000_000, "restarts_per_hour": 5, "cpu_percent": 80, "exceptions_per_minute": 10},
        ),
        (
            "UptimeRobot",
            (robot["downtime_seconds"], robot["response_seconds"], robot["certificate_days"]),
            (120, 5, 7),
        ),
        ("journal", SYSTEM["retention"]["journal_seconds"], 90 * 86400),
        ("alert mail", SYSTEM["alerts"]["email"], "admin@owlivion.com"),
        (
            "contact",
            [one["email"] for one in SYSTEM["oncall"]["contacts"] if one["email"]],
            ["support@uptimerobot.com"],
        ),
        (
            "severities",
            [(one["name"], one["respond_within_seconds"]) for one in SYSTEM["oncall"]["severities"]],
            [("P0", 900), ("P1", 3600), ("P2", 14400), ("P3", 86400)],
        ),
        (
            "review",
            (SYSTEM["system"]["review"]["last_at"], SYSTEM["system"]["review"]["next_at"]),
            ("2026-02-05", "2026-05-05"),
        ),
        ("documents", len(SYSTEM["system"]["documentation"]), 4),
    ]
    for name, when in {"daily": "*-*-* 02:00:00", "weekly": "Sun *-*-* 03:00:00"}.items():
        backup = named("backups", name)
        table.append(
            (
                f"{name} backups",
                (backup["directory"], backup["keep"]["within_seconds"], backup["calendar"]),
                (f"/backups/{name}", 90 * 86400, when),
            )
        )
    for name in ("healthcheck", "backup", "test-restore"):
        table.append((f"script {name}", named("scripts", name)["path"], f"{APP}/deployment/{name}.sh"))
    for name, path in {
        "backup": "/var/log/owlivion-backup.log",
        "firewall": "/var/log/ufw.log",
        "authentication": "/var/log/auth.log",
        "nginx errors": "/var/log/nginx/error.log",
        "nginx access": "/var/log/nginx/access.log",
    }.items():
        table.append((f"log {name}", named("logs", name)["path"], path))
    for name, when in {
        "morning checklist": "0 9 * * *",
        "evening checklist": "0 18 * * *",
        "health timer": "*/5 * * * *",
    }.items():
        table.append((f"schedule {name}", named("schedule", name)["cron"], when))
    for name, day in {"server maintenance": "1", "security review": "3", "performance review": "5"}.items():
        table.append((f"day of {name}", named("schedule", name)["cron"].split()[-1], day))
    first_monday = named("schedule", "monthly tasks")["calendar"]
    return [*table, ("first Monday", first_monday.startswith("Mon *-*-01..07"), True)]


@pytest.mark.parametrize(("found", "stated"), [pytest.param(a, b, id=name) for name, a, b in facts()])
def test_a_fact_of_the_runbook_stands_in_the_description(found: Any, stated: Any) -> None:
    assert found == stated


def test_every_secret_comes_from_the_vault() -> None:
    vault = DESCRIPTION.vault
    used = set(re.findall(r"\bvault_\w+", DESCRIPTION.text))
    assert used == set(vault)
    assert set(vault.values()) == {""}, "a secret stands in the repository"
