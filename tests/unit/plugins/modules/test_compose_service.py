# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module does what it predicts, waits until the service serves, and touches nothing in check mode."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError, Container, Definition
from ansible_collections.runbook.ops.plugins.module_utils._compose_host import Docker, Project, explain
from ansible_collections.runbook.ops.plugins.module_utils._compose_plan import Wish
from ansible_collections.runbook.ops.plugins.modules import compose_service


class FakeProject:
    """Stands for Compose and the clock: starts what it is told to, each container in its own way."""

    service, project = "w", "shop"

    def __init__(self, *containers, fails=None, **fresh):
        self.found, self.fresh, self.fails = list(containers), fresh, fails
        self.calls, self.now = [], 1000.0

    def definition(self):
        return Definition(replicas=1)

    def containers(self):
        return list(self.found)

    def act(self, step, _limit):
        self.calls.append(step.command)
        if self.fails and len(self.calls) == 1:
            raise self.fails
        self.now += 1
        if step.action == "stop":
            self.found = [replace(one, status="exited") for one in self.found]
        elif "--scale" in step.arguments:
            wanted = int(step.arguments[-2].partition("=")[2])
            new = [self.made(number) for number in range(len(self.found) + 1, wanted + 1)]
            self.found = [*self.found, *new][:wanted]
        else:
            self.found = [replace(one, started_at=self.now) for one in self.found]

    def made(self, number):
        return Container(
            f"w-{number}", "w", number, **{"started_at": self.now, "restart_policy": "always", **self.fresh}
        )

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


OLD = Container("w-1", "w", started_at=10.0, restart_policy="always")


def run(project, state="started", replicas=None, *, check_mode=False, reason=None):
    return compose_service.run(
        project,
        Wish("w", state, replicas),
        reason=reason,
        check_mode=check_mode,
        wait_timeout_seconds=20,
        stable_seconds=3,
        clock=project.clock,
        sleep=project.sleep,
    )


def test_what_is_done_was_predicted():
    predicted = run(FakeProject(OLD), replicas=3, check_mode=True)
    done = run(FakeProject(OLD), replicas=3)
    assert predicted["diff"] == done["diff"]
    assert predicted["actions"] == done["actions"]
    assert predicted["service"]["replicas"] == done["service"]["replicas"] == 3
    assert done["changes"][0]["seconds"] == 1 and predicted["changes"][0]["seconds"] is None


def test_check_mode_looks_but_does_not_touch():
    project = FakeProject(OLD)
    assert run(project, "restarted", check_mode=True)["changed"]
    assert project.calls == []


def test_a_second_run_changes_nothing():
    project = FakeProject()
    assert run(project)["changed"]
    assert not run(project)["changed"]
    assert len(project.calls) == 1


def test_a_restart_is_waited_for_until_it_is_steady():
    project = FakeProject(OLD)
    result = run(project, "restarted", reason="memory")
    assert project.now >= 1004  # a second to restart, three to be steady
    assert result["changes"][0]["reason"] == "memory"


def test_each_turn_of_a_reload_is_waited_for():
    project = FakeProject(OLD, replace(OLD, name="w-2", number=2))
    result = run(project, "reloaded")
    assert project.calls == ["docker restart w-1", "docker restart w-2"]
    assert [one["thing"] for one in result["changes"]] == ["w (w-1)", "w (w-2)"]
    assert project.now >= 1008


def test_what_was_added_and_does_not_serve_is_taken_away_again():
    project = FakeProject(OLD, health="unhealthy")
    with pytest.raises(
        ComposeError, match=r"1 of 2 containers serve after 20 s: w-2 is unhealthy.*went back"
    ) as caught:
        run(project, replicas=2)
    assert [one.name for one in project.found] == ["w-1"]
    assert caught.value.details["changed"]


def test_what_was_done_before_a_failure_is_told():
    project = FakeProject(OLD, fails=ComposeError("port 3000 of the host is taken already"))
    with pytest.raises(ComposeError, match="port 3000") as caught:
        run(project, "restarted")
    assert caught.value.details["actions"] == ["docker compose restart --no-deps w"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        pytest.param(
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "Docker does not answer on this host: systemctl start docker",
            id="the daemon is down",
        ),
        pytest.param(
            "Error starting userland proxy: listen tcp4 0.0.0.0:3000: bind: address already in use",
            "port 3000 of the host is taken already",
            id="a process has the port",
        ),
        pytest.param(
            "Bind for 0.0.0.0:3000 failed: port is already allocated", "port 3000 of the host", id="a container has it"
        ),
        pytest.param("docker: 'compose' is not a docker command.", "no Compose of version 2", id="no Compose"),
        pytest.param(
            "permission denied while trying to connect to the Docker daemon socket",
            "may not talk to Docker",
            id="no right",
        ),
    ],
)
def test_what_docker_says_is_told_with_what_to_do(said, meant):
    assert meant in str(explain(CommandError("docker compose failed (1)", rc=1, stderr=said), "compose up", 20))


def test_a_daemon_that_hangs_is_not_waited_for_for_ever():
    assert "did not end within 20 s" in str(explain(CommandError("x", rc=124), "ps", 20))


def test_other_errors_stay_as_they_are():
    error = CommandError("docker compose failed (1): something new")
    assert explain(error, "compose up", 20) is error


class Module:
    """Stands for AnsibleModule: answers programs from a table by their last words."""

    def __init__(self, answers):
        self.answers, self.argv = answers, []

    def get_bin_path(self, _name, opt_dirs=()):  # noqa: ARG002  # its signature
        return "/usr/bin/docker"

    def run_command(self, argv, **_other):
        self.argv.append(argv)
        return next(answer for words, answer in self.answers.items() if words in " ".join(argv))


def test_each_call_names_project_and_file_and_has_a_limit():
    module = Module({"config": (0, '{"services": {"w": {}}}', ""), "up": (0, "", "")})
    project = Project(Docker(module), directory="/srv/shop/", file="c.yml", project=None, service="w")
    assert project.definition() == Definition()
    project.act(SimpleNamespace(compose=True, arguments=("up", "w")), 80)
    assert module.argv[1] == [
        *("timeout", "80", "/usr/bin/docker", "compose", "--project-name", "shop"),
        *("--file", "/srv/shop/c.yml", "up", "w"),
    ]


def test_containers_of_the_service_only_are_looked_at():
    module = Module({"ps": (0, "abc\n", ""), "inspect": (1, '[{"Name": "/shop-w-1"}]', "Error: No such object: def")})
    project = Project(Docker(module), directory="/srv/shop", file="c.yml", project="p", service="w")
    assert [one.name for one in project.containers()] == ["shop-w-1"]
    assert "label=com.docker.compose.service=w" in module.argv[0]
    assert "label=com.docker.compose.project=p" in module.argv[0]


def test_a_file_that_compose_cannot_read_is_named():
    module = Module({"config": (15, "", "yaml: line 3: did not find expected key")})
    project = Project(Docker(module), directory="/srv/shop", file="c.yml", project=None, service="w")
    with pytest.raises(ComposeError, match=r"Compose cannot read /srv/shop/c\.yml: yaml: line 3"):
        project.definition()
