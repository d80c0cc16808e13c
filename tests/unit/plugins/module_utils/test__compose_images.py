# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images of Compose services are current."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._compose_images import (
    Image,
    is_newer,
    judge,
    majors,
    projects,
)

OLD, NEW, NUMBER = (f"sha256:{letter * 64}" for letter in "abc")
NOW = 1_772_323_200.0  # 2026-03-01
IMAGE = Image("web", "nginx:1.27", NUMBER, (f"nginx@{OLD}",), "2026-02-19T00:00:00.5Z", NUMBER, OLD)


@pytest.mark.parametrize(
    ("image", "newer", "status", "says"),
    [
        pytest.param(IMAGE, False, "ok", "made 10 days ago", id="current"),
        pytest.param(IMAGE._replace(published=NEW), True, "warning", "the registry has sha256:bbb", id="newer"),
        pytest.param(
            IMAGE._replace(digests=(f"nginx@{NEW}", f"mirror/nginx@{OLD}")), False, "ok", "made", id="one of two names"
        ),
        pytest.param(IMAGE._replace(digests=(), published=None), None, "ok", "built on this host", id="built here"),
        pytest.param(
            IMAGE._replace(reference=f"nginx@{OLD}", tagged=None, published=None),
            None,
            "ok",
            "a deploy",
            id="by digest",
        ),
        pytest.param(
            IMAGE._replace(published=None, unknown="Docker refused (500): no route"),
            None,
            "unknown",
            "no route",
            id="away",
        ),
        pytest.param(IMAGE._replace(tagged=OLD), False, "warning", "not in service", id="pulled and not in service"),
    ],
)
def test_an_image_is_judged_by_what_its_registry_has_by_the_same_name(image, newer, status, says):
    assert is_newer(image) is newer
    (check,) = judge([image], now=NOW)
    assert (check["id"], check["status"], check["value"], check["unit"]) == ("image:web", status, 10, "days")
    assert says in check["detail"]
    assert (check["remedy"] is None) == (status == "ok")


def test_a_project_is_named_once_and_others_not_at_all():
    services = [
        {"manager": "compose", "path": "/srv/shop", "compose_file": "compose.yml", "project": None},
        {"manager": "compose", "path": "/srv/shop", "compose_file": "compose.yml", "project": None},
        {"manager": "systemd"},
    ]
    assert projects(services) == [{"directory": "/srv/shop", "file": "compose.yml", "project": None}]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("PG_MAJOR=16", {"PostgreSQL": "16"}),
        ("MONGO_MAJOR=7.0", {"MongoDB": "7"}),
        ("REDIS_VERSION=7.0.15", {"Redis": "7.0"}),
        ("REDIS_VERSION=", {}),
        ("PATH=/bin", {}),
    ],
)
def test_a_version_is_told_as_far_as_data_depend_on_it(variable, expected):
    assert majors([variable]) == expected
