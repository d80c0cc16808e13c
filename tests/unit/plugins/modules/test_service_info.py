# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each manager is asked once, and one that fails takes only its own services down."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._live_options import Place
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import Pm2Error
from ansible_collections.runbook.ops.plugins.module_utils._service_state import make_state
from ansible_collections.runbook.ops.plugins.modules import service_info

SERVICES = [
    {"name": "nginx", "manager": "systemd"},
    {"name": "api", "manager": "pm2", "user": "app"},
    {"name": "voice", "manager": "pm2", "user": "nobody-knows"},
    {"name": "worker", "manager": "compose", "project": "shop"},
    {"name": "site", "manager": "vercel"},
    {"name": "ssh", "manager": "systemd"},
]


class FakeManagers:
    """Stands for the managers of a host: all is well but for what is told otherwise."""

    def __init__(self, *, docker=True):
        self.docker, self.asked = docker, []

    def systemd(self, services):
        return self.states("systemd", services)

    def pm2(self, services):
        if any(one["user"] == "nobody-knows" for one in services):
            raise Pm2Error("there is no account 'nobody-knows' on this host")
        return self.states("pm2", services)

    def compose(self, services):
        if not self.docker:
            raise ComposeError("Docker does not answer on this host")
        return self.states("compose", services)

    def states(self, name, services):
        self.asked.append(name)
        return [make_state(one, found=1, running=1) for one in services]


def states(managers):
    found = service_info.run(SERVICES, None, managers=managers, now=0)
    assert not found["changed"]
    assert [one["name"] for one in found["services"]] == ["nginx", "api", "voice", "worker", "ssh"]
    return {one["name"]: one["state"] for one in found["services"]}


def test_each_manager_is_asked_once_for_all_its_services():
    managers = FakeManagers()
    states(managers)
    assert managers.asked.count("systemd") == 1


@pytest.mark.parametrize("docker", [True, False])
def test_what_cannot_be_asked_is_unknown_and_the_rest_is_told(docker):
    found = states(FakeManagers(docker=docker))
    assert found.pop("voice") == "unknown"
    assert found.pop("worker") == ("running" if docker else "unknown")
    assert set(found.values()) == {"running"}


def test_who_needs_what_is_to_be_stopped_is_warned_of():
    found = service_info.run(SERVICES[:1], "postgresql", managers=FakeManagers(), now=0)
    assert found["checks"][0]["status"] == "warning"


DEPLOYED = {
    "name": "api",
    "manager": "pm2",
    "user": "shop",
    "port": 3000,
    "standby_name": "api-new",
    "standby_port": 3001,
    "deploy": {"strategy": "blue_green"},
    "health": {"url": "http://localhost:3000/", "standby_url": "http://localhost:3001/"},
}


def test_of_a_deployed_service_the_live_slot_is_told_of_and_the_idle_one_named():
    green = Place("green", "api-new", 3001, "/state/slots/green")
    found = service_info.run([DEPLOYED], None, managers=FakeManagers(), now=0, read=lambda _service: green)
    (told,) = found["services"]
    assert (told["name"], told["at"]["app"], told["at"]["url"]) == ("api", "api-new", "http://localhost:3001/")
    assert [one["app"] for one in told["idle"]] == ["api"]


def test_what_is_not_deployed_has_no_idle_slot():
    (told, *_rest) = service_info.run(SERVICES[:1], None, managers=FakeManagers(), now=0)["services"]
    assert (told["at"]["app"], told["idle"]) == (None, [])
