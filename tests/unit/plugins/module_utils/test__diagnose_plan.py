# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description alone says which evidence is collected, and no secret is in the plan."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._diagnose_index import COLLECTORS
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_plan import plan_evidence


def systemd(name, **more):
    return {"name": name, "manager": "systemd", "unit": f"{name}.service", "watch_units": [f"{name}.service"], **more}


SYSTEM = {
    "system": {"name": "shop", "url": "https://shop.example.com:8443"},
    "services": [
        systemd("nginx", config=["/etc/nginx"]),
        {"name": "api", "manager": "pm2", "user": "shop", "path": "/srv/shop", "entry_point": "server.js"},
        {"name": "worker", "manager": "compose", "project": "shop", "compose_service": "jobs", "path": "/srv/jobs", "config": ["/srv/jobs/a.yml"]},
        {"name": "site", "manager": "vercel"},
    ],
    "endpoints": [{"name": "site", "url": "https://www.example.com/"}],
    "databases": [
        {"name": "shop", "engine": "postgresql", "owner": "shop", "superuser": "postgres", "password": "hunter-2", "user": "app"},
        {"name": "other", "engine": "postgresql", "owner": "shop", "superuser": "postgres"},
    ],
    "redis": [{"name": "cache", "host": "127.0.0.1", "port": 6379, "password": "hunter-2"}],
    "logs": [
        {"name": "API", "pm2": "api"},
        {"name": "access", "path": "/var/log/nginx/access.log"},
        {"name": "jobs", "container": "worker"},
        {"name": "a/b", "path": "/var/log/a.log"},
    ],
}  # fmt: skip


def planned():
    return {spec["topic"]: spec for spec in plan_evidence(SYSTEM)}


def test_every_collector_is_known_and_every_topic_a_file_of_its_own():
    specs = plan_evidence(SYSTEM)
    assert {spec["collector"] for spec in specs} <= COLLECTORS.keys()
    topics = [spec["topic"] for spec in specs]
    assert len(topics) == len(set(topics))
    assert all("/" not in topic and " " not in topic for topic in topics)


def test_each_log_is_collected_once_from_who_keeps_it():
    found = planned()
    assert found["log-nginx"]["options"] == {"unit": "nginx.service"}
    assert found["log-api"]["options"] == {"pm2": "api", "user": "shop"}
    assert (found["log-jobs"]["collector"], found["log-jobs"]["options"]) == (
        "container_log",
        {"project": "shop", "service": "jobs"},
    )
    assert found["log-access"]["collector"] == "access"
    assert found["log-a-b"]["options"] == {"path": "/var/log/a.log"}
    assert "log-worker" not in found


def test_a_server_is_asked_once_and_its_password_by_name():
    found = planned()
    assert found["postgresql-shop"]["options"]["password"] == "database:shop"
    assert found["redis-cache"]["options"]["password"] == "redis:cache"
    assert "hunter-2" not in str(found)
    assert "log-postgresql-server" in found


def test_all_databases_of_one_server_are_seen_from_one():
    same = {**SYSTEM, "databases": [{**SYSTEM["databases"][1], "name": name} for name in ("a", "b")]}
    assert [spec["topic"] for spec in plan_evidence(same) if spec["collector"] == "postgresql"] == ["postgresql-a"]


def test_ports_names_and_places_follow_from_the_description():
    found = planned()
    assert found["sockets"]["options"]["ports"] == [80, 443, 8443]
    assert found["network"]["options"]["names"] == ["shop.example.com", "www.example.com"]
    assert found["configuration"]["options"]["paths"] == ["/srv/jobs/a.yml"]
    assert [one["name"] for one in found["releases"]["options"]["services"]] == ["api", "worker"]


def test_a_system_of_which_nothing_is_known_has_the_host():
    topics = [spec["topic"] for spec in plan_evidence({})]
    assert topics[:3] == ["load", "memory", "disk"]
    assert "docker" not in topics
