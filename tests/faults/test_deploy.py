# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys on a real server, with users who ask all the time: good ones, one that is bad, one whose controller is killed, and the way back."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "versions"))
from versions import numbered, stream

from ._deploys import ANSWER, AS_BEFORE, REPOSITORY, USER, VERSION
from ._kill import kill_at
from .conftest import Host, Outcome

QUICK = {"ops_deployment": {"watch": "5s", "hotfix_watch": "3s", "rollback_slowdown_percent": 2000}}
COMMIT = "runuser -u owlivion -- git -C /home/owlivion/versions.git rev-parse {}"


@pytest.fixture(scope="module")
def versions(host: Host) -> Iterator[Host]:
    made = stream(numbered(["good", "throws-after-a-while", "good"]), "owlivion-sync-server")
    host(REPOSITORY.replace("STREAM", made))
    yield host
    host(AS_BEFORE, check=False)


def deploy(host: Host, version: str) -> Outcome:
    return host.play("deploy", "-e", f"deploy_version={version}", variables=QUICK)


def serves(host: Host) -> str:
    """Return the commit that users get."""
    return str(json.loads(host(VERSION))["commit"])


def test_nobody_notices_deploys_bad_versions_killed_controllers_and_the_way_back(versions: Host) -> None:
    host = versions
    commits = {name: host(COMMIT.format(f"{name}^{{commit}}")).strip() for name in ("1.0.0", "1.1.0", "1.2.0")}
    host(USER)

    done = deploy(host, "1.0.0")
    assert done.code == 0, done.text
    assert serves(host) == commits["1.0.0"]

    failed = deploy(host, "1.1.0")
    assert failed.code != 0
    assert "serves as before" in failed.text
    assert "broken on purpose" in failed.text
    assert serves(host) == commits["1.0.0"]

    variables = ["-e", json.dumps(QUICK), "-e", "deploy_version=1.2.0"]
    kill_at([*host.command("deploy"), *variables], "switch | Send the requests", after_seconds=4)
    again = deploy(host, "1.2.0")
    assert again.code == 0, again.text
    assert serves(host) == commits["1.2.0"]

    back = host.play("rollback", variables=QUICK)
    assert back.code == 0, back.text
    assert serves(host) == commits["1.0.0"]
    first = re.findall(r"adopted-[0-9a-f]+", host("ls /var/lib/runbook-ops/deploy/owlivion-sync-server/releases"))[0]
    home = host.play("rollback", "-e", f"rollback_version={first}", variables=QUICK)
    assert home.code == 0, home.text

    asked, wrong, _ = host(f"rm /root/user.asks; {ANSWER}").split(maxsplit=2)
    assert int(asked) > 100
    assert int(wrong) == 0, host("cat /root/user.says")
