# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings a Compose service to a state, and that a second run has nothing to do."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError, Container, Definition
from ansible_collections.runbook.ops.plugins.module_utils._compose_plan import (
    Seen,
    Wish,
    plan,
    predict,
    refuse,
    way_back,
)

UP = "docker compose up --detach --no-deps --no-recreate --no-build --pull never --scale w={0} w"


def seen(*statuses, **definition):
    containers = [Container(f"w-{number}", "w", number, status) for number, status in enumerate(statuses, 1)]
    return Seen(Definition(**definition), tuple(containers))


def commands(found, wish):
    return [step.command for step in plan(found, wish)]


@pytest.mark.parametrize(
    ("found", "wish", "expected"),
    [
        pytest.param(seen("running"), Wish("w", "started"), [], id="it runs"),
        pytest.param(seen(replicas=2), Wish("w", "started"), [UP.format(2)], id="none: as many as the file says"),
        pytest.param(
            seen("running", "exited", "running", replicas=1),
            Wish("w", "started"),
            [UP.format(3)],
            id="one is down: as many as there are, whatever the file says",
        ),
        pytest.param(seen("restarting"), Wish("w", "started"), [], id="Docker is at it already"),
        pytest.param(
            seen("paused"), Wish("w", "started"), ["docker compose unpause w"], id="paused: it goes on where it was"
        ),
        pytest.param(seen("running"), Wish("w", "started", 3), [UP.format(3)], id="more"),
        pytest.param(seen("running", "running"), Wish("w", "started", 1), [UP.format(1)], id="fewer"),
        pytest.param(seen("running", "running"), Wish("w", "started", 0), [UP.format(0)], id="none at all"),
        pytest.param(seen("exited", "exited"), Wish("w", "started", 2), [UP.format(2)], id="as many, but down"),
        pytest.param(seen("running", "exited"), Wish("w", "stopped"), ["docker compose stop w"], id="stop"),
        pytest.param(seen("exited", "created"), Wish("w", "stopped"), [], id="stopped already"),
        pytest.param(seen(), Wish("w", "stopped"), [], id="nothing to stop"),
        pytest.param(
            seen("running"), Wish("w", "restarted"), ["docker compose restart --no-deps w"], id="only itself restarts"
        ),
        pytest.param(seen(), Wish("w", "restarted"), [UP.format(1)], id="a restart of nothing is a start"),
        pytest.param(
            seen("running"),
            Wish("w", "restarted", 2),
            ["docker compose restart --no-deps w", UP.format(2)],
            id="restart and scale",
        ),
        pytest.param(
            seen("running", "running"),
            Wish("w", "reloaded"),
            ["docker restart w-1", "docker restart w-2"],
            id="one after the other",
        ),
        pytest.param(
            seen("running", "exited"),
            Wish("w", "reloaded"),
            ["docker compose restart --no-deps w"],
            id="what does not serve needs no turn",
        ),
        pytest.param(
            seen("running"),
            Wish("w", "recreated"),
            [UP.format(1).replace("--no-recreate", "--force-recreate")],
            id="new containers only when asked",
        ),
    ],
)
def test_the_shortest_way_is_taken(found, wish, expected):
    assert commands(found, wish) == expected


@pytest.mark.parametrize("state", ["restarted", "reloaded", "started", "stopped", "recreated"])
def test_no_call_reaches_another_service_or_a_registry(state):
    for command in commands(seen("running", "exited"), Wish("w", state, 4)):
        assert "--no-deps" in command or command == "docker compose stop w"
        assert " up " not in command or "--no-build --pull never" in command


@pytest.mark.parametrize("found", [seen(), seen("running"), seen("exited", "running"), seen("exited", "exited")])
@pytest.mark.parametrize("wish", [Wish("w", "started"), Wish("w", "stopped"), Wish("w", "started", 3)])
def test_a_second_run_has_nothing_to_do(found, wish):
    total, running = predict(found, plan(found, wish), wish)
    later = seen(*["running"] * running, *["exited"] * (total - running))
    assert plan(later, wish) == []


def test_every_turn_but_the_last_is_waited_for():
    turns = plan(seen("running", "running", "running"), Wish("w", "reloaded"))
    assert [step.settle for step in turns] == [True, True, False]


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        pytest.param({"container_name": "the-one"}, "names its container 'the-one'", id="a fixed name"),
        pytest.param({"ports": ("3000",)}, "publishes port 3000", id="a fixed port"),
    ],
)
def test_what_there_can_be_only_one_of_is_refused_before_anything_is_touched(definition, why):
    with pytest.raises(ComposeError, match=why):
        plan(seen("running", **definition), Wish("w", "started", 2))
    assert plan(seen("running", **definition), Wish("w", "started", 1)) == []


def test_only_a_scaling_up_has_a_way_back():
    def back(found, wish):
        step = way_back(found, plan(found, wish), wish)
        return step and step.command

    assert back(seen("running"), Wish("w", "started", 3)) == UP.format(1)
    assert back(seen("running", "running"), Wish("w", "started", 1)) is None
    assert back(seen("running"), Wish("w", "restarted", 3)) is None
    assert back(seen(), Wish("w", "started", 3)) is None


@pytest.mark.parametrize(("name", "replicas"), [("", None), ("--all", None), ("w", -1)])
def test_what_compose_would_misunderstand_is_refused(name, replicas):
    with pytest.raises(ComposeError):
        refuse(name, replicas)
