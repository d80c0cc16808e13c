# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a system alone says what is looked at."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._health_plan import TOPICS, plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._health_stores import buckets, databases, redis, secrets
from ansible_collections.runbook.ops.plugins.module_utils._health_things import needs
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options

SERVICE = {"user": None, "port": None, "limits": {}, "health": None, "watch_units": [], "optional": False}
SYSTEM = {
    "services": [
        {**SERVICE, "name": "postgresql", "manager": "systemd", "watch_units": ["postgresql@*.service"]},
        {**SERVICE, "name": "docker", "manager": "systemd", "watch_units": ["docker.service"], "optional": True},
        {
            **SERVICE,
            "name": "api",
            "manager": "pm2",
            "user": "app",
            "port": 3000,
            "limits": {"memory_bytes": 500, "restarts_per_hour": 5, "cpu_percent": 80},
            "health": {"url": "http://127.0.0.1:3000/h", "json": {"status": "ok"}, "timeout_seconds": 10.0},
        },
        {
            **SERVICE,
            "name": "nginx",
            "manager": "systemd",
            "watch_units": ["nginx.service"],
            "health": {"url": "https://x/h", "json": None, "timeout_seconds": 10.0},
        },
        {**SERVICE, "name": "cache", "manager": "systemd", "watch_units": ["redis.service"], "port": 6379},
    ],
    "endpoints": [{"name": "public", "url": "https://x/h", "status": 200, "json": None, "timeout_seconds": 10.0}],
    "databases": [
        {
            "name": "shop",
            "owner": "app",
            "superuser": "postgres",
            "host": None,
            "port": 5432,
            "user": None,
            "password": None,
        },
        {
            "name": "far",
            "owner": "app",
            "superuser": "postgres",
            "host": "db",
            "port": 5433,
            "user": None,
            "password": "s3cret",
        },
    ],
    "certificates": [{"name": "x", "domains": ["x", "www.x"], "served_at": ["x:443", "x:8443"]}],
    "logs": [
        {"name": "application", "path": None, "pm2": "api", "unit": None, "errors": ["error"]},
        {"name": "firewall", "path": "/var/log/ufw.log", "pm2": None, "unit": None, "errors": []},
    ],
    "backups": [
        {
            "name": "daily",
            "directory": "/backups",
            "pattern": "b_*",
            "max_age_seconds": 93600.0,
            "min_size_bytes": 1000,
            "log": {"path": "/var/log/b.log", "success": "done"},
        }
    ],
    "thresholds": {
        "disk_percent": {"warning": 70.0, "critical": 85.0},
        "swap_percent": {"warning": None, "critical": None},
        "certificate_days": {"warning": 30.0, "critical": 7.0},
    },
}


def of(probe, probes=None):
    return [one for one in (plan_probes(SYSTEM) if probes is None else probes) if one["probe"] == probe]


def test_every_probe_that_is_planned_can_be_told_so():
    for index, spec in enumerate(plan_probes(SYSTEM)):
        options = PROBES[spec["probe"]]().OPTIONS
        read_options(spec, options, where=str(index))


def test_all_units_are_asked_for_at_once_and_what_is_optional_may_be_absent():
    (units,) = of("systemd_unit")
    assert units["units"] == ["postgresql@*.service", "nginx.service", "redis.service"]
    assert units["optional"] == ["docker.service"]


def test_an_application_of_pm2_brings_its_account_and_limits():
    (app,) = of("pm2")
    assert app == {
        "probe": "pm2",
        "app": "api",
        "user": "app",
        "memory_bytes": {"warning": 500},
        "restarts_per_hour": {"warning": 5},
        "cpu_percent": {"warning": 80},
        "about": "service:api",
        "needs": ["host:disk", "host:memory"],
    }


def test_exceptions_are_counted_over_some_minutes_where_they_have_a_limit():
    api = {**SYSTEM["services"][2], "limits": {"exceptions_per_minute": 10}}
    (probe,) = [one for one in of("log_errors", plan_probes({"services": [api]})) if "exceptions" in one["name"]]
    assert (probe["pm2"], probe["since_seconds"], probe["count"]) == ("api", 300, {"warning": 50})
    assert probe["about"] == "service:api"


def test_the_application_is_asked_directly_and_through_the_public_endpoint_once_each():
    assert [(one["name"], one["url"]) for one in of("http")] == [
        ("api health", "http://127.0.0.1:3000/h"),
        ("public", "https://x/h"),
    ]


def test_without_the_endpoints_a_services_own_url_is_still_asked():
    system = {**copy.deepcopy(SYSTEM), "endpoints": []}
    assert "nginx health" in [one["name"] for one in of("http", plan_probes(system, ["services"]))]


def test_a_port_without_a_health_url_must_accept_connections():
    (port,) = of("port")
    assert (port["name"], port["port"], port["about"]) == ("cache port", 6379, "health:cache")


def test_a_password_is_passed_by_name_only():
    local, far = of("postgresql")
    assert "password" not in local
    assert (far["password"], far["user"], far["host"]) == ("database:far", "app", "db")
    assert "s3cret" not in str(plan_probes(SYSTEM))
    assert secrets(SYSTEM) == {"database:far": "s3cret"}


def test_a_certificate_is_looked_at_wherever_it_is_served():
    assert [(one["served_at"], one["path"]) for one in of("certificate")] == [
        ("x:443", "/etc/letsencrypt/live/x/fullchain.pem"),
        ("x:8443", "/etc/letsencrypt/live/x/fullchain.pem"),
    ]


def test_thresholds_become_limits_and_one_without_values_judges_nothing():
    assert of("disk")[0]["percent"] == {"warning": 70.0, "critical": 85.0}
    assert of("swap")[0]["percent"] == {"warning": None, "critical": None}
    assert "percent" not in of("memory")[0]


def test_a_log_without_error_patterns_is_not_searched():
    assert [(one["name"], one["pm2"], one["user"]) for one in of("log_errors")] == [("application", "api", "app")]


def test_backups_are_looked_at_in_their_directory_and_in_their_log():
    assert [one["probe"] for one in plan_probes(SYSTEM, ["backups"])] == ["backup_files", "backup_log"]


NIGHTLY = {
    "name": "nightly",
    "made_by": "collection",
    "directory": "/backups",
    "pattern": "old_*",
    "max_age_seconds": 93600,
    "min_size_bytes": 1000,
    "keep": {"last": 7},
    "databases": ["shop"],
}
POSTGRES = {"name": "shop", "engine": "postgresql", "owner": "shop", "superuser": "postgres"}
PLACE = {"directory": "/backups", "max_age_seconds": 93600, "min_size_bytes": 1000}


def backups_of(**more):
    system = {"backups": [{**NIGHTLY, **more}], "databases": [POSTGRES]}
    probes = plan_probes(system, ["backups"])
    assert {one["about"] for one in probes} == {"backup:nightly"}
    return [{key: value for key, value in one.items() if key not in ("about", "needs")} for one in probes]


def test_sets_are_looked_at_together_with_what_a_script_made_before():
    place = {"name": "nightly", "set": "nightly", "pattern": "old_*", **PLACE}
    assert backups_of() == [{"probe": "backup_files", **place}, {"probe": "backup_proof", **place}]


def test_sets_that_are_tried_out_must_be_proven():
    assert backups_of(drill={"max_age_seconds": 604800})[1]["max_drill_age_seconds"] == 604800


def test_each_set_of_an_item_is_looked_at_and_what_a_script_made_before_with_each():
    probes = backups_of(files=["/etc"])
    found = [(one["probe"], one["set"], one.get("pattern")) for one in probes]
    assert found == [
        (f"backup_{probe}", name, "old_*") for name in ("nightly-shop", "nightly-files") for probe in ("files", "proof")
    ]


BOX = {**SERVICE, "manager": "compose", "project": "shop", "replicas": 1}
BOXES = {
    "services": [
        {**BOX, "name": "database", "compose_service": "postgres", "health": {"database": "shop"}},
        {**BOX, "name": "cache", "compose_service": "redis", "limits": {"memory_bytes": 600}},
        {
            **BOX,
            "name": "app",
            "compose_service": "web",
            "port": 3000,
            "after": ["database"],
            "needs": ["shop", "keys"],
        },
        {**BOX, "name": "worker", "compose_service": "worker", "replicas": 2},
    ],
    "databases": [
        {"name": "shop", "owner": "shop", "superuser": "shop", "service": "database", "host": None, "port": 5432},
        {
            **{"name": "events", "engine": "mongodb", "host": None, "port": 27017, "auth_database": "admin"},
            **{"replica_set": "rs0", "user": "monitor", "password": "m0ngo"},
        },
    ],
    "redis": [
        {"name": "keys", "service": "cache", "host": "127.0.0.1", "port": 6379, "database": 0, "password": "r3dis"}
    ],
    "queues": [
        {"name": "mail", "library": "bullmq", "redis": "keys", "prefix": "bull", "service": "worker"},
        {"name": "far", "library": "bullmq", "redis": "elsewhere", "prefix": "bull"},
        {
            **{"name": "media", "library": "http", "redis": None, "url": "http://x/stats", "token": "t0ken"},
            "limits": {"waiting": {"warning": 1000, "critical": None}, "failed": None},
        },
    ],
    "buckets": [
        {"name": "dumps", "bucket": "b", "region": "auto", "access_key": "id", "secret_key": "k3y", "versioning": True},
        {"name": "open", "bucket": "c", "region": "auto", "access_key": None, "secret_key": None},
    ],
    "endpoints": [{"name": "site", "url": "https://shop.example/", "needs": ["app"]}],
    "dependencies": [{"name": "Stripe", "url": "https://status.stripe.example/"}, {"name": "nobody", "url": None}],
    "ports": [{"name": "HTTP", "port": 80, "address": "any"}, {"name": "metrics", "port": 9100, "address": "loopback"}],
    "access": {"ssh_port": 2222},
    "logs": [{"name": "app", "container": "app", "errors": ["ERROR"]}],
    "monitoring": {
        "prometheus": {"url": "http://localhost:9090"},
        "alertmanager": {"url": "http://localhost:9093"},
        "always_firing": ["Watchdog"],
    },
    "probes": [{"probe": "disk", "paths": ["/srv"]}],
}


def inside(probe: str, **more):
    return [one for one in plan_probes({**BOXES, **more}) if one["probe"] == probe]


def test_a_system_in_containers_is_asked_there():
    assert [(one["service"], one["replicas"]) for one in inside("compose")] == [
        ("postgres", 1),
        ("redis", 1),
        ("web", 1),
        ("worker", 2),
    ]
    (database,), (cache,), (log,) = inside("postgresql"), inside("redis"), inside("log_errors")
    assert (database["project"], database["service"], database["superuser"]) == ("shop", "postgres", "shop")
    assert "host" not in database
    assert (cache["project"], cache["service"], cache["password"]) == ("shop", "redis", "redis:keys")
    assert (log["project"], log["service"]) == ("shop", "web")


def test_logs_of_containers_are_judged_where_the_description_bounds_them():
    bounded = {"container_logs": {"max_size_bytes": 10_000_000, "max_files": 3}}
    assert all(one["bounded_logs"] for one in inside("compose", retention=bounded))
    assert not any("bounded_logs" in one for one in inside("compose", retention={"journal_seconds": 1}))


def test_every_probe_of_a_system_in_containers_can_be_told_so():
    for index, spec in enumerate(plan_probes(BOXES)):
        read_options(spec, PROBES[spec["probe"]]().OPTIONS, where=str(index))


def test_queues_are_asked_where_their_jobs_are():
    (mail,), (media,) = inside("queue"), inside("queue_http")
    assert (mail["queue"], mail["service"], mail["password"]) == ("mail", "redis", "redis:keys")
    assert (media["queue"], media["token"], media["waiting"]) == (
        "media",
        "queue:media",
        {"warning": 1000, "critical": None},
    )


def test_whether_statistics_want_their_token_is_asked_once_for_each_url():
    second = {**BOXES["queues"][2], "name": "second"}
    first, other = inside("queue_http", queues=[BOXES["queues"][2], second])
    assert "guarded" not in first
    assert other["guarded"] is False


def test_a_mirror_is_asked_when_it_was_made_where_its_bucket_says_how_often():
    keys = {"region": "auto", "access_key": "id", "secret_key": "k3y"}
    live = {"name": "live", "bucket": "l", "mirror": "copy", "mirror_max_age_seconds": 60, **keys}
    found = {one["name"]: one for one in buckets({"buckets": [live, {"name": "copy", "bucket": "c", **keys}]})}
    assert found["copy"]["mirror_max_age_seconds"] == 60
    assert "mirror_max_age_seconds" not in found["live"]


def test_a_mirror_that_a_backup_makes_is_late_when_that_is_unless_its_bucket_says_when():
    keys = {"region": "auto", "access_key": "id", "secret_key": "k3y"}
    item = {"name": "daily", "made_by": "collection", "max_age_seconds": 93600, "buckets": ["live"]}
    for own, expected in ((None, 93600), (60, 60)):
        live = {"name": "live", "bucket": "l", "mirror": "copy", "mirror_max_age_seconds": own, **keys}
        described = {"buckets": [live, {"name": "copy", "bucket": "c", **keys}], "backups": [item]}
        found = {one["name"]: one for one in buckets(described)}
        assert found["copy"]["mirror_max_age_seconds"] == expected
        assert "mirror_max_age_seconds" not in found["live"]


def test_a_bucket_without_keys_cannot_be_asked():
    (bucket,) = inside("bucket")
    assert (bucket["name"], bucket["secret_key"], bucket["versioning"]) == ("dumps", "bucket:dumps:secret_key", True)


def test_no_secret_stands_among_the_options_and_all_are_handed_over_by_name():
    planned = str(plan_probes(BOXES))
    found = secrets(BOXES)
    assert set(found.values()) == {"m0ngo", "r3dis", "t0ken", "id", "k3y"}
    assert not [value for value in found.values() if f"'{value}'" in planned]


def test_what_others_provide_is_never_worse_than_a_warning():
    (stripe,) = [one for one in inside("http") if one["name"] == "Stripe"]
    assert (stripe["worst"], stripe["section"]) == ("warning", "Dependencies")


def test_ports_are_compared_with_all_that_the_description_knows():
    (ports,) = inside("listening")
    assert ports["expected"] == [
        "80=HTTP",
        "2222=SSH",
        "3000=app",
        "9090=prometheus",
        "9093=alertmanager",
        "127.0.0.1:9100=metrics",
        "27017=events",
    ]
    assert ports["needs"] == {
        "port:3000": ["service:app"],
        "port:9090": ["monitoring"],
        "port:9093": ["monitoring"],
        "port:27017": ["database:events"],
    }
    assert inside("listening", ports=[]) == []
    metrics = {"name": "metrics", "url": "http://localhost:9100/metrics", "needs": ["app"]}
    (ports,) = inside("listening", endpoints=[metrics])
    assert ports["needs"]["port:9100"] == ["service:app"], "an endpoint says who answers there"


def test_one_fault_is_told_as_one():
    graph = needs(BOXES)
    assert {"service:database", "database:shop", "redis:keys", "service:docker"} <= set(graph["service:app"])
    assert graph["redis:keys"][0] == "service:cache"
    assert graph["queue:mail"] == ["redis:keys", "service:worker"]
    told = {"queues": [{"name": "media", "redis": None, "url": "http://localhost:3000/stats"}]}
    assert needs({**BOXES, **told})["queue:media"] == ["service:app", "health:app"], "who tells must answer"
    assert graph["endpoint:site"][0] == "service:app"
    assert "certificate:x" in needs(SYSTEM)["endpoint:public"], "whoever asks is shown it"
    assert graph["log:app"] == ["service:app", "health:app"]
    assert graph["health:app"] == ["service:app"], "what does not run does not answer"
    assert "bucket:dumps" in graph["alerts"]
    assert inside("docker_disk")[0]["needs"] == ["service:docker"]
    assert needs({"monitoring": {"clock_url": "https://time.example/"}})["host:clock"] == ["host:dns"]


def test_monitoring_and_further_probes_are_part_of_it():
    assert [one["url"] for one in inside("prometheus")] == ["http://localhost:9090"]
    assert [(one["source"], one["expect"]) for one in inside("alerts")] == [("alertmanager", ["Watchdog"])]
    assert {"probe": "disk", "paths": ["/srv"]} in inside("disk")


def test_the_names_that_are_needed_are_looked_up_once():
    assert inside("dns")[0]["names"] == ["shop.example", "status.stripe.example"]


FAR = {
    "services": [{**SERVICE, "name": "shop", "manager": "pm2", "user": "u", "needs": ["stock", "carts"]}],
    "elsewhere": {
        "databases": [
            {"name": "stock", "host": "db.example", "port": 5433},
            {"name": "other", "host": "db.example", "port": 5434},
        ],
        "redis": [{"name": "carts", "host": "10.0.0.9", "port": 6380, "database": 0, "password": "c4rts"}],
    },
}


def test_what_services_here_need_of_other_hosts_is_reached_from_here_and_explains_their_faults():
    ports = [one for one in plan_probes(FAR) if one["probe"] == "port"]
    assert [(one["host"], one["port"], one["about"]) for one in ports] == [
        ("db.example", 5433, "database:stock"),
        ("10.0.0.9", 6380, "redis:carts"),
    ]
    assert {"database:stock", "redis:carts"} <= set(needs(FAR)["service:shop"])
    assert ports[0]["needs"] == ["host:dns"]
    assert databases(FAR) + redis(FAR) == []  # who asks them, asks them on their own host
    assert next(one for one in plan_probes(FAR) if one["probe"] == "dns")["names"] == ["db.example"]


@pytest.mark.parametrize(
    ("hosts", "asked"),
    [
        pytest.param(["app-1"], ["10.0.0.9"], id="the description says that it is looked at from here"),
        pytest.param([], [], id="the host that has the jobs looks"),
    ],
)
def test_a_queue_of_another_host_is_asked_from_where_it_is_described(hosts: list[str], asked: list[str]):
    queue = {"name": "mail", "library": "bullmq", "redis": "carts", "prefix": "bull", "hosts": hosts}
    system = {**FAR, "queues": [queue]}
    assert [one["host"] for one in plan_probes(system, ["queues"])] == asked
    assert list(secrets(system).values()) == ["c4rts"] * len(asked)


def test_a_store_whose_service_is_here_listens_here_whatever_others_call_this_host():
    system = {
        "services": [{**SERVICE, "name": "redis", "manager": "systemd", "watch_units": ["redis.service"]}],
        "redis": [{"name": "carts", "service": "redis", "host": "db.example", "port": 6380}],
        "ports": [{"name": "HTTP", "port": 80}],
    }
    (ports,) = [one for one in plan_probes(system, ["services"]) if one["probe"] == "listening"]
    assert "6380=carts" in ports["expected"]


@pytest.mark.parametrize("topic", TOPICS)
def test_an_empty_system_can_be_looked_at(topic):
    assert isinstance(plan_probes({}, [topic]), list)


def test_a_topic_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"there is no topic 'log', did you mean 'logs'\?; allowed are services"):
        plan_probes(SYSTEM, ["log"])


def test_a_certificate_is_asked_for_where_it_is_described_and_compared_with_its_own_file():
    bought = {"name": "y", "domains": ["y"], "served_at": ["y:443"], "address": "127.0.0.1", "path": "/etc/ssl/y.pem"}
    found = of("certificate", plan_probes({**SYSTEM, "certificates": [*SYSTEM["certificates"], bought]}))
    assert [(one["path"], one.get("address")) for one in found] == [
        *[("/etc/letsencrypt/live/x/fullchain.pem", None)] * 2,
        ("/etc/ssl/y.pem", "127.0.0.1"),
    ]
    assert read_options(found[2], PROBES["certificate"]().OPTIONS, where="y")["address"] == "127.0.0.1"
