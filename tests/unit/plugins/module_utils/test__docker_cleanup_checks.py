# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a clean-up of Docker tells of what goes, of what stays, and of volumes."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup import Thing
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup_checks import as_change, judge

OLD = Thing("unused_images", "shop:1", "sha256:1", 3_000_000_000, 61.0, None, ("shop:1",))
JOB = Thing("containers", "job", "c1", 1_000_000_000, 8.0, None)
CACHE = Thing("build_cache", "build cache", "", 500_000_000, 14.0, None)
KEPT = Thing("dangling_images", "blog", "sha256:2", 2_000_000_000, 20.0, "a label keeps it")
YOUNG = Thing("unused_images", "new:1", "sha256:3", 1, 1.0, "it is seen without a container for less than 60 days")


def judged(*things, volumes=(), **limits):
    checks = judge(list(things), volumes=volumes, limits=limits)
    return {check["id"].partition(":")[2]: check for check in checks}


@pytest.mark.parametrize(
    ("things", "limits", "status", "value", "detail"),
    [
        pytest.param([], {}, "ok", 0, "nothing can go", id="nothing"),
        pytest.param([KEPT], {}, "ok", 0, "nothing can go", id="only what stays"),
        pytest.param(
            [OLD, JOB, CACHE, KEPT],
            {},
            "ok",
            4_500_000_000,
            "4.5 GB of 1 stopped containers, 1 unused images, build cache can go",
            id="without a limit",
        ),
        pytest.param([OLD], {"warning": 2e9}, "warning", 3_000_000_000, "3 GB of 1 unused images can go", id="much"),
        pytest.param([OLD], {"warning": 1e9, "critical": 3e9}, "critical", 3_000_000_000, "3 GB of", id="too much"),
    ],
)
def test_what_can_go_is_counted_and_held_against_the_limits(things, limits, status, value, detail):
    check = judged(*things, **limits)["reclaimable"]
    assert (check["status"], check["value"], check["detail"][: len(detail)]) == (status, value, detail)


def test_what_stays_says_why_each_reason_once():
    check = judged(OLD, KEPT, KEPT, YOUNG)["kept"]
    assert check["value"] == 4_000_000_001
    assert check["detail"].endswith(
        "1 unused images: a label keeps it; it is seen without a container for less than 60 days"
    )
    assert judged(OLD)["kept"]["detail"] == "nothing"


def test_volumes_without_a_container_are_named_and_never_judged():
    check = judged(volumes=["b", "a"])["volumes"]
    assert (check["status"], check["value"], check["detail"]) == ("ok", 2, "a, b: never removed here")
    assert judged()["volumes"]["detail"] == "none"


@pytest.mark.parametrize(
    ("thing", "name", "reason"),
    [
        (OLD, "image shop:1", "of no use for 61 days"),
        (JOB, "container job", "of no use for 8 days"),
        (CACHE, "build cache", "of no use for 14 days"),
        (Thing("containers", "x", "c2", 0, None, None), "container x", "of no use"),
    ],
)
def test_a_removal_names_the_thing_and_for_how_long_nobody_used_it(thing, name, reason):
    change = as_change(thing)
    assert (change["thing"], change["reason"], change["before"], change["after"]) == (name, reason, thing.size_bytes, 0)
