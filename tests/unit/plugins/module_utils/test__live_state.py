# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx reads decides which slot is live, so that a switch cut off anywhere leaves no doubt."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, write_json
from ansible_collections.runbook.ops.plugins.module_utils._live_state import (
    Live,
    State,
    decide,
    encode,
    read_live,
    read_state,
)

BLUE = Live("blue", "api", 3000, "r1", "2026-11-21T20:00:00+00:00")
GREEN = Live("green", "api-new", 3001, "r2", "2026-11-21T21:00:00+00:00")
SOCKET, FILE = "server unix:/run/x/live.sock;\n", "/etc/nginx/runbook-ops/api.servers"


@pytest.mark.parametrize(
    ("state", "linked", "servers", "live"),
    [
        pytest.param(State(None), None, None, None, id="never deployed"),
        pytest.param(State(BLUE), None, None, BLUE, id="no proxy"),
        pytest.param(State(BLUE, None, FILE), "green", SOCKET, BLUE, id="no switch has begun"),
        pytest.param(State(BLUE, GREEN, FILE), "blue", SOCKET, BLUE, id="the link is not exchanged yet"),
        pytest.param(State(BLUE, GREEN, FILE), "green", SOCKET, GREEN, id="the link is exchanged"),
        pytest.param(
            State(BLUE, GREEN, FILE), None, SOCKET, BLUE, id="a boot came between, and the link is not made yet"
        ),
        pytest.param(
            State(BLUE, GREEN, FILE), None, "server 127.0.0.1:3000;\n", BLUE, id="the file is not written yet"
        ),
        pytest.param(State(BLUE, GREEN, FILE), None, "server 127.0.0.1:3001;\n", GREEN, id="the file is written"),
        pytest.param(
            State(BLUE, GREEN, FILE), "green", "server 127.0.0.1:3000;\n", BLUE, id="a link that nginx does not read"
        ),
        pytest.param(State(None, GREEN, FILE), None, None, None, id="the first switch has not come so far"),
        pytest.param(State(None, GREEN, FILE), "green", SOCKET, GREEN, id="the first switch has"),
    ],
)
def test_of_two_slots_that_one_is_live_which_nginx_is_led_to(state, linked, servers, live):
    assert decide(state, linked, lambda _path: servers) == live


def test_what_is_written_is_read_again(tmp_path):
    paths = DeployPaths("api", str(tmp_path / "state"), str(tmp_path / "run"))
    paths.make()
    assert read_live(paths) is None
    (tmp_path / "servers").write_text(SOCKET)
    state = State(BLUE, GREEN, str(tmp_path / "servers"))
    write_json(paths.live, encode(state))
    assert read_state(paths.live) == state
    assert read_live(paths) == BLUE
    paths.live_socket.parent.mkdir(parents=True)
    paths.live_socket.symlink_to("green.sock")
    assert read_live(paths) == GREEN


@pytest.mark.parametrize("text", ["", "{", "[]", '{"now": {"slot": "blue"}}'])
def test_a_state_that_cannot_be_read_is_no_state(tmp_path, text):
    (tmp_path / "live.json").write_text(text)
    with pytest.raises(ValueError, match=r"live.json cannot be read .*then move it away"):
        read_state(tmp_path / "live.json")


def test_a_link_keeps_all_that_is_known_of_a_slot():
    assert json.loads(json.dumps(encode(State(GREEN))))["now"] == GREEN._asdict()
