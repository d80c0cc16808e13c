# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Docker may go, and everything that must stay."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup import (
    Limits,
    Needed,
    Thing,
    commands,
    digests_in,
    judge_cache,
    judge_container,
    judge_image,
    known_as,
    note,
    parse_time,
)

DAY = 86_400
NOW = parse_time("2026-03-01T00:00:00Z")
LIMITS = Limits(containers=7, dangling_images=14, unused_images=60, build_cache=14)
PROJECT = "com.docker.compose.project"
NUMBER = "sha256:" + "a" * 64


def container(status="exited", ended="2026-01-01T00:00:00.123456789Z", *, policy="no", labels=None, mounts=()):
    return {
        "Id": "c1",
        "Name": "/job",
        "Created": "2025-12-31T00:00:00Z",
        "State": {"Status": status, "FinishedAt": ended},
        "Config": {"Labels": labels},
        "HostConfig": {"RestartPolicy": {"Name": policy}},
        "Mounts": list(mounts),
    }


def image(*tags, digests=(), labels=None, size=100, shared=40):
    return {
        "Id": NUMBER,
        "RepoTags": list(tags),
        "RepoDigests": list(digests),
        "Labels": labels,
        "Size": size,
        "SharedSize": shared,
    }


def judged(said, *, used=(), named=None, patterns=(), days=1000.0):
    needed = Needed(frozenset(used), named or {}, tuple(patterns))
    return judge_image(said, needed, limits=LIMITS, since={said["Id"]: NOW - days * DAY}, now=NOW)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param(container(), None, id="what has ended long ago goes"),
        pytest.param(container("created", "0001-01-01T00:00:00Z"), None, id="what never ran is as old as it is"),
        pytest.param(container("dead"), None, id="what Docker could not remove goes"),
        pytest.param(container(ended="2026-02-27T00:00:00Z"), "less than 7 days", id="what has just ended stays"),
        pytest.param(container(labels={PROJECT: "shop"}), "shop, which may be down on purpose", id="a project stays"),
        pytest.param(
            container(labels={PROJECT: "shop", "com.docker.compose.oneoff": "True"}), None, id="a run of it goes"
        ),
        pytest.param(container(policy="unless-stopped"), "on purpose", id="a service that was stopped stays"),
        pytest.param(container(mounts=[{"Type": "volume"}]), "has a volume", id="what has data stays"),
        pytest.param(container(mounts=[{"Type": "bind"}]), None, id="a directory of the host is no volume"),
        pytest.param(container(labels={"runbook-ops.release": "r1"}), "a label", id="a slot stays"),
    ],
)
def test_a_stopped_container_goes_unless_somebody_may_want_it(said, why):
    found = judge_container(said, days=7, now=NOW)
    assert found.stays is None if why is None else why in found.stays


@pytest.mark.parametrize("status", ["running", "paused", "restarting", "removing"])
def test_a_container_that_is_not_down_is_not_spoken_of(status):
    assert judge_container(container(status), days=0, now=NOW) is None


@pytest.mark.parametrize(
    ("said", "more", "why"),
    [
        pytest.param(image("shop:1"), {}, None, id="what nothing uses goes"),
        pytest.param(image(), {}, None, id="what has no name goes"),
        pytest.param(image("shop:1"), {"days": 59.0}, "less than 60 days", id="but not too early"),
        pytest.param(image(), {"days": 13.0}, "less than 14 days", id="nor without a name"),
        pytest.param(
            image("shop:1"), {"named": {"shop:1": "compose.yml"}}, "named by compose.yml", id="a Compose file"
        ),
        pytest.param(image(), {"named": {NUMBER: "the deploys of shop"}}, "deploys of shop", id="a release by number"),
        pytest.param(
            image(digests=[f"r.io/shop@sha256:{'b' * 64}"]),
            {"named": {f"sha256:{'b' * 64}": "the deploys of shop"}},
            "deploys of shop",
            id="a release by digest",
        ),
        pytest.param(image("runbook-ops/shop:r1"), {}, "belongs to a release", id="one that was built for a release"),
        pytest.param(image("x:1", labels={"runbook-ops.keep": ""}), {}, "a label", id="one with our label"),
        pytest.param(image("x:1", labels={PROJECT: "blog"}), {}, "blog, which may be", id="another project's build"),
        pytest.param(image("x:1", "node:20"), {"patterns": ["node:*"]}, "keep_images", id="one that is named"),
        pytest.param(
            image(digests=[f"node@{NUMBER}"]), {"patterns": ["node@*"]}, "keep_images", id="one that is named by digest"
        ),
        pytest.param(
            image(digests=[f"node@{NUMBER}"]),
            {"patterns": ["node*"]},
            None,
            id="one that has lost its name to a newer one",
        ),
        pytest.param(
            image("node:20"), {"patterns": ["docker.io/library/node:*"]}, "keep_images", id="one that is named in full"
        ),
    ],
)
def test_an_image_goes_unless_somebody_may_want_it(said, more, why):
    found = judged(said, **more)
    assert found.stays is None if why is None else why in found.stays


@pytest.mark.parametrize(
    ("reference", "listed"),
    [
        ("redis", "redis:latest"),
        ("redis:7", "redis:7"),
        ("library/redis:7", "redis:7"),
        ("docker.io/library/redis:7", "redis:7"),
        ("index.docker.io/library/redis", "redis:latest"),
        ("docker.io/bitnami/redis:7", "bitnami/redis:7"),
        ("library/deep/redis:7", "library/deep/redis:7"),
        ("r.io:5000/redis", "r.io:5000/redis:latest"),
        (f"redis:7@sha256:{'b' * 64}", f"sha256:{'b' * 64}"),
        (f"r.io/redis@sha256:{'b' * 64}", f"sha256:{'b' * 64}"),
        (NUMBER, NUMBER),
    ],
)
def test_a_name_of_a_compose_file_is_looked_for_as_docker_lists_it(reference, listed):
    assert known_as(reference) == listed


def test_an_image_of_any_container_is_not_spoken_of():
    assert judged(image("shop:1"), used=[NUMBER]) is None


def test_an_image_that_is_seen_for_the_first_time_stays():
    found = judge_image(image("shop:1"), Needed(frozenset(), {}), limits=LIMITS, since={}, now=NOW)
    assert found.days == 0
    assert found.stays


def test_an_image_counts_without_what_others_share():
    assert judged(image("shop:1")).size_bytes == 60
    assert judged(image("shop:1", shared=-1)).size_bytes == 100


def test_an_image_that_was_used_in_between_starts_anew():
    assert note({"a": 1.0, "b": 2.0, "later": NOW + DAY}, ["a", "c", "later"], now=NOW) == {
        "a": 1.0,
        "c": NOW,
        "later": NOW,
    }


@pytest.mark.parametrize(
    ("part", "size"),
    [
        pytest.param({"LastUsedAt": "2026-01-01T00:00:00Z"}, 10, id="old"),
        pytest.param({"CreatedAt": "2026-01-01T00:00:00Z"}, 10, id="never used since it was made"),
        pytest.param(
            {"LastUsedAt": "2026-02-28T00:00:00Z", "CreatedAt": "2026-01-01T00:00:00Z"}, None, id="used since"
        ),
        pytest.param({"LastUsedAt": "2026-01-01T00:00:00Z", "InUse": True}, None, id="in use"),
        pytest.param({"LastUsedAt": "2026-01-01T00:00:00Z", "Shared": True}, None, id="an image has it too"),
        pytest.param({"LastUsedAt": "2026-01-01T00:00:00Z", "Type": "frontend"}, None, id="Docker's own"),
    ],
)
def test_build_cache_goes_by_its_last_use(part, size):
    found = judge_cache([{"Size": 10, **part}], days=14, now=NOW)
    assert (found and found.size_bytes) == size


@pytest.mark.parametrize(
    "key", [("Parents", ["a"], ["b"]), ("Parent", "a", "b")], ids=["many", "one, of an older Docker"]
)
def test_what_newer_build_cache_is_built_on_stays(key):
    name, first, second = key
    old, new = {"LastUsedAt": "2026-01-01T00:00:00Z", "Size": 10}, {"LastUsedAt": "2026-02-28T00:00:00Z", "Size": 5}
    chain = [{**old, "ID": "a"}, {**old, "ID": "b", name: first}, {**new, "ID": "c", name: second}]
    assert judge_cache(chain, days=14, now=NOW) is None
    assert judge_cache([*chain, {**old, "ID": "d", name: first}], days=14, now=NOW).size_bytes == 10


def test_build_cache_never_goes_before_its_days():
    assert commands(Thing("build_cache", "build cache", "", 0, 0.02, None), 0.02)[0][-1] == "until=1h"


def test_numbers_of_images_are_found_anywhere_in_a_file_of_the_deploys():
    other = f"sha256:{'c' * 64}"
    assert digests_in({"image": NUMBER, "n": 1, "slots": [{"x": f"shop@{other}"}, None], "e": {}, "l": []}) == {
        NUMBER,
        other,
    }


@pytest.mark.parametrize(
    ("said", "names"),
    [
        pytest.param(
            image("r.io/a:1", "r.io/a:2", digests=["r.io/a@sha256:1"]), ["r.io/a:1", "r.io/a:2"], id="two tags"
        ),
        pytest.param(
            image("a:1", digests=["b@sha256:1"]), ["a:1", "b@sha256:1"], id="pulled by digest from another too"
        ),
        pytest.param(
            image(digests=["a@sha256:1", "b@sha256:1"]), ["a@sha256:1", "b@sha256:1"], id="by digest from two"
        ),
        pytest.param(image(digests=["<none>@<none>"]), [NUMBER], id="without a name"),
    ],
)
def test_an_image_loses_all_of_its_names(said, names):
    assert [each[-1] for each in commands(judged(said), 14)] == names


def test_nothing_is_forced_and_no_volume_is_named():
    things = [
        Thing("containers", "job", "c1", 0, 8, None),
        Thing("unused_images", "a:1", NUMBER, 0, 61, None, ("a:1", "b:1")),
        Thing("dangling_images", "a", NUMBER, 0, 15, None),
        Thing("build_cache", "build cache", "", 0, 14, None),
    ]
    assert [each for thing in things for each in commands(thing, 14)] == [
        ["rm", "c1"],
        ["image", "rm", "--no-prune", "a:1"],
        ["image", "rm", "--no-prune", "b:1"],
        ["image", "rm", "--no-prune", NUMBER],
        ["builder", "prune", "--force", "--filter", "until=336h"],
    ]
