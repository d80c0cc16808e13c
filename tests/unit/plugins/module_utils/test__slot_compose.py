# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _slot_compose
from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotError, Standing
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose import ComposeSlot


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({"Name": "always"}, "always"),
        ({"Name": "on-failure", "MaximumRetryCount": 3}, "on-failure:3"),
        ({"Name": "unless-stopped"}, None),
        ({"Name": "no"}, None),
    ],
    ids=lambda value: value["Name"] if isinstance(value, dict) else None,
)
def test_what_a_person_brought_up_stays_down_at_a_boot_once_it_is_stopped_for_a_release(
    tmp_path, monkeypatch, policy, kept
):
    told = []
    base = ComposeSlot(
        None,
        lambda *arguments, **_more: told.append(arguments),
        name="base",
        label="shop",
        compose_service="app",
        port=3000,
        directory=tmp_path / "base",
    )
    container = {"Id": "c1", "State": {"Status": "running"}, "HostConfig": {"RestartPolicy": policy}}
    monkeypatch.setattr(base, "_containers", lambda: [container])
    monkeypatch.setattr(_slot_compose, "wait_for_port", lambda *_arguments, **_more: None)
    base.stop(seconds=5)
    stop = ("stop", "--time", "5", "c1")
    assert told == ([("update", "--restart", "unless-stopped", "c1"), stop] if kept else [stop])
    container["State"]["Status"] = "exited"
    told.clear()
    base.start(SimpleNamespace(kind="adopted", id="a"), {})
    assert told == [("start", "c1"), *([("update", "--restart", kept, "c1")] if kept else [])]
    assert not (tmp_path / "base" / "restart.json").exists()


def box(service, *, address="10.0.0.2", status="running", **config):
    """Return a container of a service, as Docker inspects it."""
    return {
        "Id": f"{service}-{address}",
        "Name": f"/{service}-{address}",
        "Image": f"sha256:{service}",
        "State": {"Status": status},
        "Config": {"Labels": {"com.docker.compose.service": service}, "ExposedPorts": {"3000/tcp": {}}, **config},
        "NetworkSettings": {"Networks": {"inner": {"IPAddress": address}}},
    }


def slot_of(
    monkeypatch,
    tmp_path,
    found,
    *,
    name="green",
    front="lb",
    service="app",
    does=lambda *_arguments, **_more: "",
    **more,
):
    made = ComposeSlot(
        None,
        does,
        name=name,
        label="shop" if name == "base" else f"shop-app-{name}",
        compose_service=service,
        port=3001,
        directory=tmp_path / name,
        front=front,
        **more,
    )
    monkeypatch.setattr(made, "_containers", lambda: list(found))
    return made


def test_each_container_behind_a_front_can_be_asked_by_itself(tmp_path, monkeypatch):
    app, front = "shop-app-green", "shop-app-green-front"
    found = [box(app), box(app, address="10.0.0.3", Env=["PORT=8080"]), box(front, address="10.0.0.4")]
    slot = slot_of(monkeypatch, tmp_path, found)
    assert slot.instances() == [(f"{app}-10.0.0.2", "10.0.0.2", 3000), (f"{app}-10.0.0.3", "10.0.0.3", 8080)]
    assert slot.running() == 2
    nobody_says = slot_of(monkeypatch, tmp_path, [box(app, ExposedPorts={"1/tcp": {}, "2/tcp": {}})])
    assert nobody_says.instances() == []
    assert slot_of(monkeypatch, tmp_path, [box(app)], front=None).instances() == []


def test_what_leads_to_others_is_started_after_them(tmp_path, monkeypatch):
    told = []
    found = [box("lb", status="exited"), box("web", status="exited")]
    base = slot_of(
        monkeypatch, tmp_path, found, name="base", service="web", does=lambda *words, **_more: told.append(words)
    )
    monkeypatch.setattr(_slot_compose, "wait_for_port", lambda *_arguments, **_more: None)
    base.start(SimpleNamespace(kind="adopted", id="a"), {})
    assert told == [("start", "web-10.0.0.2", "lb-10.0.0.2")]
    told.clear()
    green = slot_of(monkeypatch, tmp_path, [], does=lambda *words, **_more: told.append(words))
    monkeypatch.setattr(_slot_compose, "document", lambda *_arguments, **_more: {})
    green.start(SimpleNamespace(kind="image", id="r1", image="i", process={}), {})
    assert "--no-deps" not in told[0], "Compose would not wait for them"


def test_a_slot_that_is_removed_leaves_what_its_containers_wrote_to_volumes(tmp_path, monkeypatch):
    told = []
    green = slot_of(monkeypatch, tmp_path, [box("app")], front=None, does=lambda *words, **_more: told.append(words))
    green.remove()
    assert told == [("rm", "--force", "app-10.0.0.2")]


def test_what_a_person_scaled_is_as_many_in_the_next_slot(tmp_path, monkeypatch):
    live = slot_of(monkeypatch, tmp_path, [box("shop-app-blue", address=f"10.0.0.{n}") for n in range(3)], name="blue")
    next_one = slot_of(monkeypatch, tmp_path, [])
    next_one.others = (live,)
    assert next_one._scaled("r1") == 3


def test_what_a_person_brought_up_can_be_started_in_any_slot(tmp_path, monkeypatch):
    said = Standing({"service": {}}, {"KEY": "of the file", "MODE": "x"})
    found = [box("app", Env=["KEY=as it was started"]), box("lb")]
    assert slot_of(monkeypatch, tmp_path, found, name="base", defined=lambda: said).standing() == Standing(
        {"service": {}}, {"KEY": "as it was started", "MODE": "x"}, None, "sha256:app"
    )

    def broken():
        raise SlotError("no such file")

    kept = slot_of(monkeypatch, tmp_path, found, name="base", defined=broken).standing()
    assert kept == Standing({}, {}, None, "sha256:app")


# Starts a container as Compose does: by a child of docker. Both say who they are.
STARTING = """#!/bin/sh
[ "$1" = compose ] && { "$0" child & echo $$ >%(place)s/docker; wait; exit; }
echo $$ >%(place)s/compose
exec sleep 300
"""
WORKER = """
import shutil, subprocess, sys
from types import SimpleNamespace
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose import _docker

def run(argv, **_more):
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr

find = lambda name, opt_dirs=(): sys.argv[1] if name == "docker" else shutil.which(name)
_docker(SimpleNamespace(get_bin_path=find, run_command=run))("compose", "up", limit=60)
"""


def pid_in(file):
    return int(file.read_text()) if file.exists() and file.read_text().strip() else 0


def lives(pid):
    """Return whether a process is there; one that only waits to be seen off is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not shutil.which("setpriv"), reason="a host without setpriv")
def test_a_start_ends_with_the_worker_that_is_killed_in_it(tmp_path):
    docker, places = tmp_path / "docker.sh", [tmp_path / "docker", tmp_path / "compose"]
    docker.write_text(STARTING % {"place": tmp_path})
    docker.chmod(0o700)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(docker)], env=environment)
    end = time.monotonic() + 30
    while not all(pid_in(place) for place in places) and time.monotonic() < end:
        time.sleep(0.05)
    pids = [pid_in(place) for place in places]
    assert all(map(lives, pids)), pids
    worker.kill()
    worker.wait()
    while any(map(lives, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    left = [pid for pid in pids if lives(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
