# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of Plugspace.io is valid, and says everything that its runbook states."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ._inventories import INVENTORIES, describe

DESCRIPTION = describe("plugspace")
TEXT, SYSTEM, named = DESCRIPTION.text, DESCRIPTION.system, DESCRIPTION.named
HOST = yaml.safe_load((INVENTORIES / "plugspace" / "hosts.yml").read_text())["plugspace"]["hosts"]["plugspace-1"]


def test_the_description_is_valid() -> None:
    assert DESCRIPTION.problems == []


def facts() -> list[Any]:
    api, voice, database = (
        named("services", "plugspace-api"),
        named("services", "plugspace-voice"),
        SYSTEM["databases"][0],
    )
    backup, monitoring, oncall = SYSTEM["backups"][0], SYSTEM["monitoring"], SYSTEM["oncall"]
    table = [
        (
            "ssh",
            (HOST["ansible_host"], HOST["ansible_user"], HOST["ansible_port"]),
            ("plugspace.io", "plugspace", 2222),
        ),
        ("ssh port", SYSTEM["access"]["ssh_port"], 2222),
        ("health url", SYSTEM["endpoints"][0]["url"], "https://plugspace.io/api/health"),
        ("api", (api["manager"], api["port"], api["path"]), ("pm2", 4000, "/home/plugspace/plugspace")),
        ("voice", (voice["manager"], voice["port"]), ("pm2", 4001)),
        ("branch", api["source"]["branch"], "main"),
        ("scale", (api["scale"], api["max_replicas"]), ({"cpu": 4, "response_time": 6}, 6)),
        ("database", (database["engine"], database["migration_tool"]), ("mongodb", "prisma")),
        ("its files", (database["data_directory"], database["config"]), ("/var/lib/mongodb", ["/etc/mongod.conf"])),
        ("prometheus", monitoring["prometheus"]["url"], "http://localhost:9090"),
        ("alertmanager", monitoring["alertmanager"]["url"], "http://localhost:9093"),
        ("backups", (backup["directory"], backup["keep"]["within_seconds"]), ("/home/plugspace/backups", 7 * 86400)),
        ("silence", SYSTEM["deployment"]["silence_seconds"], 2 * 3600),
        (
            "severities",
            [(one["name"], one["respond_within_seconds"]) for one in oncall["severities"]],
            [("Critical", 900), ("High", 3600), ("Medium", 14400), ("Low", 86400)],
        ),
        (
            "contacts",
            {one["email"] for one in oncall["contacts"] if one["email"]},
            {"infrastructure@plugspace.io", "security@plugspace.io"},
        ),
    ]
    table += [(f"{unit} runs", named("services", unit)["manager"], "systemd") for unit in ("nginx", "mongod", "redis")]
    for alert in ("HighCPUUsage", "HighMemoryUsage", "HighResponseTime", "SSLCertificateExpiringSoon", "LowDiskSpace"):
        table.append((f"alert {alert}", alert in {rule["name"] for rule in SYSTEM["alerts"]["rules"]}, True))
    for path in ("/usr/local/bin/backup.sh", "/usr/local/bin/restore.sh"):
        table.append((f"script {path}", path in {one["path"] for one in SYSTEM["scripts"]}, True))
    for place in (
        "/var/log/nginx/",
        "/var/log/pm2/",
        "/var/log/mongodb/mongod.log",
        "/var/log/redis/",
        "/var/log/plugspace/",
    ):
        paths = [one["path"] for one in SYSTEM["logs"] if one["path"]]
        table.append((f"log {place}", any(path.startswith(place) for path in paths), True))
    return table


@pytest.mark.parametrize(("found", "stated"), [pytest.param(a, b, id=name) for name, a, b in facts()])
def test_a_fact_of_the_runbook_stands_in_the_description(found: Any, stated: Any) -> None:
    assert found == stated


def test_every_secret_comes_from_the_vault() -> None:
    used = set(re.findall(r"vault_plugspace_\w+", TEXT))
    assert used <= set(DESCRIPTION.vault)
    assert all(value in ("", None) for value in DESCRIPTION.vault.values())
