# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of the life management platform is valid in both ways it runs, and says what its runbook states."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._references import complete, contradictions
from jinja2.nativetypes import NativeEnvironment

from ._inventories import INVENTORIES, OPTIONS

INVENTORY = INVENTORIES / "lifeplatform"
GROUPS = INVENTORY / "group_vars"
SHARED = (GROUPS / "lifeplatform" / "main.yml").read_text()


def load(way: str) -> tuple[dict[str, Any], list[str]]:
    """Return the description of one of the ways, as Ansible's templates make it, and what is wrong with it."""
    variables = yaml.safe_load(SHARED) | yaml.safe_load((GROUPS / f"lifeplatform_{way}" / "main.yml").read_text())
    vault = dict.fromkeys(yaml.safe_load((GROUPS / "lifeplatform" / "vault.yml").read_text()), "")
    environment = NativeEnvironment()
    environment.filters["combine"] = lambda one, other: {**one, **other}

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolved(item) for item in value]
        if not isinstance(value, str) or "{{" not in value:
            return value
        return environment.from_string(value).render(**vault, lifeplatform_database=variables["lifeplatform_database"])

    described = {key: resolved(value) for key, value in variables.items() if key.startswith("ops_")}
    normal, problems = normalise(described, OPTIONS)
    return complete(normal), problems + contradictions(normal)


DOCKER, DOCKER_PROBLEMS = load("docker")
VERCEL, VERCEL_PROBLEMS = load("vercel")


def test_the_description_is_valid_with_docker() -> None:
    assert DOCKER_PROBLEMS == []


def test_the_description_is_valid_with_vercel() -> None:
    assert VERCEL_PROBLEMS == []


def test_one_of_the_two_ways_has_a_host() -> None:
    ways = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["lifeplatform"]["children"]
    assert {name: list(group["hosts"]) for name, group in ways.items()} == {
        "lifeplatform_docker": ["lifeplatform-1"],
        "lifeplatform_vercel": [],
    }


def named(part: str, name: str, system: dict[str, Any] = DOCKER) -> dict[str, Any]:
    return next(item for item in system[part] if item["name"] == name)


def facts() -> list[Any]:
    app, database, backup = named("services", "app"), DOCKER["databases"][0], DOCKER["backups"][0]
    bucket, deployment, oncall = DOCKER["buckets"][0], DOCKER["deployment"], DOCKER["oncall"]
    secrets = {one["name"]: one["rotate_every_seconds"] for one in DOCKER["secrets"]}
    quarter = 90 * 86400
    return [
        ("health", named("endpoints", "health")["url"], "https://your-domain.com/health"),
        ("version", named("endpoints", "version")["url"], "https://your-domain.com/api/version"),
        ("critical", named("endpoints", "tasks")["url"], "https://your-domain.com/api/tasks"),
        ("domain", DOCKER["certificates"][0]["domains"], ["your-domain.com"]),
        ("targets", deployment["targets"], ["vercel", "docker"]),
        ("managers", (app["manager"], named("services", "app", VERCEL)["manager"]), ("compose", "vercel")),
        ("compose file", app["compose_file"], "docker-compose.prod.yml"),
        ("image", (deployment["image"], deployment["tag"]), ("your-registry/app:previous-tag", "v1.2.3")),
        ("branch", (app["source"]["branch"], deployment["channel"]), ("main", "#deployments")),
        (
            "maintenance",
            [DOCKER["maintenance_mode"][key] for key in ("variable", "value", "environment")],
            ["MAINTENANCE_MODE", "true", "production"],
        ),
        ("database", [one["databases"][0]["name"] for one in (DOCKER, VERCEL)], ["production_db"] * 2),
        ("tables", database["tables"][:2], ["User", "Task"]),
        ("migrations", database["migration_tool"], "prisma"),
        ("scratch databases", ["test_db" in SHARED, "test_recovery_db" in SHARED], [True, True]),
        (
            "secrets",
            secrets,
            {"NEXTAUTH_SECRET": quarter, "ENCRYPTION_KEY": quarter, "DATABASE_URL": None, "REDIS_URL": None},
        ),
        ("backup names", backup["pattern"], "backup-*.sql.gz"),
        ("retention", backup["keep"]["within_seconds"], 30 * 86400),
        ("off-site", (bucket["bucket"], bucket["versioning"], bucket["encryption"]), ("backups", True, "AES256")),
        ("newest off-site", "latest.sql.gz" in SHARED, True),
        ("backup schedule", backup["calendar"], "*-*-* 02:00:00"),
        ("error rate", deployment["rollback_error_percent"], 5),
        ("slowdown", deployment["rollback_slowdown_percent"], 50),
        ("watch", (deployment["watch_seconds"], deployment["hotfix_watch_seconds"]), (5 * 60, 15 * 60)),
        ("cpu", DOCKER["thresholds"]["cpu_percent"]["warning"], 80),
        ("memory", DOCKER["thresholds"]["memory_percent"]["warning"], 80),
        ("size", (app["limits"]["cpu_percent"], app["limits"]["memory_bytes"]), (200, 4_000_000_000)),
        ("replicas", app["max_replicas"], 3),
        ("objectives", (DOCKER["objectives"]["rto_seconds"], DOCKER["objectives"]["rpo_seconds"]), (4 * 3600, 86400)),
        ("updates", DOCKER["incidents"]["update_every_seconds"], 30 * 60),
        ("review", DOCKER["incidents"]["review_within_seconds"], 48 * 3600),
        (
            "phases",
            [one["until_seconds"] // 60 for one in DOCKER["incidents"]["phases"]],
            [5, 15, 60, 15, 60, 240],
        ),
        (
            "escalation",
            [(one["unsolved_for_seconds"] // 60, one["roles"]) for one in oncall["escalation"]],
            [(0, ["on-call engineer"]), (15, ["team lead"]), (30, ["engineering manager"]), (60, ["CTO"])],
        ),
        ("channels", oncall["channels"], ["#deployments", "#incidents"]),
        ("on call", named_contact("on-call engineer")["name"], "PagerDuty schedule"),
        ("support", named_contact("Vercel")["email"], "support@vercel.com"),
        ("security", named_contact("security team")["email"], "security@your-company.com"),
    ]


def named_contact(role: str) -> dict[str, Any]:
    return next(one for one in DOCKER["oncall"]["contacts"] if one["role"] == role)


@pytest.mark.parametrize(("found", "stated"), [pytest.param(a, b, id=name) for name, a, b in facts()])
def test_a_fact_of_the_runbook_stands_in_the_description(found: Any, stated: Any) -> None:
    assert found == stated


def test_every_secret_comes_from_the_vault() -> None:
    vault = yaml.safe_load((GROUPS / "lifeplatform" / "vault.yml").read_text())
    text = "".join(path.read_text() for path in GROUPS.glob("*/main.yml"))
    assert set(vault) == set(re.findall(r"vault_lifeplatform_\w+", text))
    assert set(vault.values()) == {""}
