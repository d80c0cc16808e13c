# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys that are cut off on a real server while users ask; a small part of tests/campaign/deploy_kills.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from ._deploys import ANSWER, REPOSITORY, STATE, USER, VERSION, kept
from ._kill import cut, stopping_at
from ._matrix import ROOT
from .conftest import LIMIT_SECONDS, Host

sys.path.insert(0, str(ROOT / "tests" / "versions"))
from versions import KINDS, stream

# Ten runs of a playbook: a minute on a machine that has nothing else to do.
pytestmark = pytest.mark.skipif(
    "RUNBOOK_DEPLOY_KILLS" not in os.environ, reason="takes a minute: set RUNBOOK_DEPLOY_KILLS"
)
# The first release brings the only migration, which is applied already.
QUICK = {
    "ops_deployment": {"watch": "3s", "rollback_slowdown_percent": 2000},
    "database_migration_baseline": "all",
}
GOOD = KINDS["good"]._replace(files={"deployment/migrations/001_begin.sql": "CREATE TABLE users (id integer);\n"})
LEFT = """
cd /var/lib/runbook-ops
[ ! -e deploy/owlivion-sync-server/journal.json ] || echo journal
grep -q '"owner": null' change/lock.json || echo lock
grep -q '"next": null' deploy/owlivion-sync-server/live.json || echo switch
"""


@pytest.fixture(scope="module")
def four(host: Host) -> Iterator[Host]:
    made = stream([(f"1.{number}.0", GOOD) for number in range(4)], "owlivion-sync-server")
    with kept(host, REPOSITORY.replace("STREAM", made)):
        yield host


def begin(host: Host, version: str, *, stop_at: str = "nowhere") -> subprocess.Popen[str]:
    """Begin a deploy in a session of its own; what it starts on the host stops at that point."""
    given = {**QUICK, "deploy_version": version, **stopping_at(stop_at)}
    return subprocess.Popen(
        [*host.command("deploy"), "-e", json.dumps(given)],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def serves(host: Host) -> str:
    return str(json.loads(host(VERSION))["version"])


def owner(host: Host) -> str:
    return str(json.loads(host("cat /var/lib/runbook-ops/change/lock.json"))["owner"])


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    said, _none = run.communicate(timeout=LIMIT_SECONDS)
    return run.returncode, said


def test_users_notice_nothing_of_runs_that_are_cut_off_and_the_next_one_needs_no_hand(four: Host) -> None:
    host = four
    host(USER)
    assert host.play("deploy", "-e", "deploy_version=1.0.0", variables=QUICK).code == 0

    # The whole tree is killed in the midst of the switch. Then two controllers begin at once: one of them does it.
    killed = begin(host, "1.1.0", stop_at="live:linked")
    cut(host, "live:linked", "none")
    os.killpg(killed.pid, signal.SIGKILL)
    cut(host, "live:linked", "tree")
    assert serves(host) in ("1.0.0", "1.1.0")
    both = {version: begin(host, version) for version in ("1.1.0", "1.2.0")}
    told = {version: ended(run) for version, run in both.items()}
    assert sorted(code == 0 for code, _said in told.values()) == [False, True], told
    done, refused = sorted(told, key=lambda version: told[version][0])
    assert "changes this host since" in told[refused][1]
    assert serves(host) == done

    # The connection is lost after the switch: the module goes on, and the next run takes over from it.
    lost = begin(host, "1.3.0", stop_at="deploy:switched")
    cut(host, "deploy:switched", "session")
    assert ended(lost)[0] != 0
    assert host.play("deploy", "-e", "deploy_version=1.3.0", variables=QUICK).code == 0
    assert serves(host) == "1.3.0"

    # A controller and its module are stopped for so long that another run takes over, and then go on.
    sleeping = begin(host, "1.0.0", stop_at="deploy:before-switching")
    cut(host, "deploy:before-switching", "none")
    os.kill(sleeping.pid, signal.SIGSTOP)
    taken = host.play("rollback", "-e", f"change_break={owner(host)}", variables=QUICK)
    assert taken.code == 0, taken.text
    assert serves(host) == "1.3.0"
    os.kill(sleeping.pid, signal.SIGCONT)
    code, said = ended(sleeping)
    assert code != 0
    time.sleep(1)
    assert serves(host) == "1.3.0", said
    assert host(LEFT) == ""

    first = host(f"basename $(ls {STATE}/releases/adopted-*.json) .json").strip()
    assert host.play("rollback", "-e", f"rollback_version={first}", variables=QUICK).code == 0
    asked, wrong, _ = host(f"rm /root/user.asks; {ANSWER}").split(maxsplit=2)
    assert int(asked) > 100
    assert int(wrong) == 0, host("cat /root/user.says")
