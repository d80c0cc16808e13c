# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module asks each registry once, and takes one that does not answer for what it is."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError
from ansible_collections.runbook.ops.plugins.modules import compose_images_info

OLD, NEW = (f"sha256:{letter * 64}" for letter in "ab")


def asked(calls, *, away=False):
    def ask(path, **_more):
        calls.append(path)
        if path.startswith("/containers/json"):
            return [] if "gone" in path else [{"Id": "c", "ImageID": "sha256:1"}]
        if path.startswith("/containers/c"):
            return {"Config": {"Image": "nginx:1.27"}}
        if path.startswith("/distribution"):
            if away:
                raise DockerError("Docker refused (500): no such host")
            return {"Descriptor": {"digest": NEW}}
        return {"Id": "sha256:1", "RepoDigests": [f"nginx@{OLD}"], "Created": "2026-02-19T00:00:00Z"}

    return ask


SERVICES = [
    {"name": "web", "manager": "compose", "path": "/srv/shop", "project": None, "compose_service": None},
    {"name": "static", "manager": "compose", "path": "/srv/shop"},
    {"name": "gone", "manager": "compose", "path": "/srv/shop"},
    {"name": "nginx", "manager": "systemd"},
]


def test_services_of_one_image_ask_its_registry_once_and_those_without_a_container_not_at_all():
    calls = []
    found = compose_images_info.run(SERVICES, asked=asked(calls), now=1_772_323_200.0)
    assert [(one["service"], one["newer"]) for one in found["images"]] == [("web", True), ("static", True)]
    assert calls.count("/distribution/nginx:1.27/json") == 1
    assert [check["status"] for check in found["checks"]] == ["warning", "warning"]


def test_a_registry_that_is_away_is_not_known_and_no_failure():
    found = compose_images_info.run(SERVICES, asked=asked([], away=True), now=1_772_323_200.0)
    assert [check["status"] for check in found["checks"]] == ["unknown", "unknown"]
    assert "no such host" in found["checks"][0]["detail"]
