# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which caches are emptied on a host, and which queues beside them stay."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._caches import plan_caches

SERVER = {"name": "main", "host": "127.0.0.1", "port": 6379, "user": None, "database": 2, "password": "s3cr3t"}
QUEUE = {"name": "mail", "library": "bullmq", "redis": "main", "prefix": "bull", "limits": None, "hosts": []}
CACHE = {"name": "pages", "redis": "main", "prefixes": ["cache:"], "expiring": False, "directory": None}


def system(**more):
    return {
        "redis": [SERVER, {**SERVER, "name": "other", "database": 3}],
        "queues": [QUEUE, {**QUEUE, "name": "elsewhere", "redis": "other"}],
        "caches": [CACHE],
        "services": [],
        **more,
    }


def test_a_cache_in_redis_knows_the_queues_of_its_database():
    (planned,) = plan_caches(system())
    assert planned["kind"] == "redis"
    assert planned["options"]["protected"] == ["bull:mail:"]
    assert (planned["options"]["database"], planned["options"]["prefixes"]) == (2, ["cache:"])
    assert planned["secret"] == "redis:main"
    assert "s3cr3t" not in str(planned)


def test_a_cache_of_nginx_is_its_directory():
    cache = {**CACHE, "redis": None, "prefixes": [], "directory": "/var/cache/nginx/shop"}
    (planned,) = plan_caches(system(caches=[cache]))
    assert (planned["kind"], planned["options"]) == ("nginx", {"directory": "/var/cache/nginx/shop"})


def test_only_those_that_are_named_are_emptied():
    both = [CACHE, {**CACHE, "name": "thumbnails", "prefixes": ["thumb:"]}]
    assert [one["name"] for one in plan_caches(system(caches=both), ["thumbnails"])] == ["thumbnails"]
    with pytest.raises(ValueError, match=r"did you mean thumbnails\?"):
        plan_caches(system(caches=both), ["thumbnail"])


def test_a_cache_whose_server_is_elsewhere_says_so():
    with pytest.raises(ValueError, match="'main', which this host does not have"):
        plan_caches(system(redis=[]))


def test_a_queue_that_is_looked_at_from_another_host_is_protected_too():
    far = {"queues": [{**QUEUE, "name": "far"}, {**QUEUE, "name": "not here", "redis": "other"}]}
    (planned,) = plan_caches(system(elsewhere=far))
    assert planned["options"]["protected"] == ["bull:far:", "bull:mail:"]


def test_where_no_queue_is_described_the_usual_names_are_protected():
    (planned,) = plan_caches(system(queues=[]))
    assert planned["options"]["protected"] == ["bull:"]
