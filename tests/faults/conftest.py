# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Owlivion host that runs, the playbooks to try on it, and a look at everything that they could change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ROOT / "tests" / "hosts" / "hosts.py"
LIMIT_SECONDS = 1800  # of a call that hangs; on a machine that does other things too, a run takes minutes

# All that a refused run must leave alone, read in one go on the host.
FINGERPRINT = r"""
set -eu
systemctl show -P MainPID -P ActiveEnterTimestampMonotonic nginx 'postgresql@*.service'
runuser -u owlivion -- cat /home/owlivion/.pm2/pids/owlivion-sync-server-0.pid || true
find /backups /etc/nginx /etc/letsencrypt /var/lib/runbook-ops/releases -type f -printf '%p %s %T@\n' 2>/dev/null | sort
runuser -u postgres -- psql -XqAt -d owlivion_sync -c \
  "SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1" \
  2>/dev/null || echo 'the database does not answer'
"""


@dataclass(frozen=True)
class Outcome:
    """What an ansible-playbook run came to."""

    code: int
    text: str

    def table(self, heading: str) -> set[tuple[str, str]]:
        """Return thing and action of each row of the console's table of changes below ``heading``."""
        _before, found, rest = self.text.partition(f"\n  {heading}\n")
        rows = rest.split("\n\n")[0].splitlines() if found else []
        return {(cells[0], cells[1]) for row in rows if len(cells := re.split(r"\s{2,}", row.strip("●○ "))) > 1}

    def lines_with(self, *words: str) -> list[str]:
        return [line for line in self.text.splitlines() if all(word in line for word in words)]


@dataclass(frozen=True)
class Host:
    """One Owlivion host and the ways to reach it."""

    name: str
    inventory: Path

    def __call__(self, script: str, *, check: bool = True) -> str:
        """Run a shell script on the host as root and return its output."""
        command = [sys.executable, str(HOSTS), "ssh", self.name, "sudo", "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        if check and done.returncode:
            raise AssertionError(f"on {self.name}: {done.stderr}")
        return done.stdout

    def fingerprint(self) -> str:
        return self(FINGERPRINT)

    def command(self, playbook: str) -> list[str]:
        """Return the command that runs a playbook against the host, through the inventory that users copy."""
        return [
            "ansible-playbook",
            f"playbooks/{playbook}.yml",
            "-i",
            "inventories/owlivion",
            "-i",
            str(self.inventory),
        ]

    def play(self, playbook: str, *options: str, variables: dict[str, Any] | None = None) -> Outcome:
        """Run a playbook to its end."""
        extra = ["-e", json.dumps(variables)] if variables else []
        done = subprocess.run(
            [*self.command(playbook), *extra, *options],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def sql(self, sql: str, database: str = "owlivion_sync") -> str:
        """Return what ``sql`` prints in a database of the host."""
        return self(f"runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 -d {database} <<'END'\n{sql}\nEND").strip()

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the runs on this host, the oldest first."""
        return [json.loads(line) for line in self("cat /var/lib/runbook-ops/runs/*.json").splitlines()]


@pytest.fixture(scope="session", params=os.environ.get("RUNBOOK_TEST_HOSTS", "owlivion-12").split())
def host(request: pytest.FixtureRequest) -> Host:
    """Return a host that is up and healthy; RUNBOOK_TEST_HOSTS names those to use."""
    subprocess.run([sys.executable, str(HOSTS), "up", request.param], check=True)
    inventory = subprocess.run(
        [sys.executable, str(HOSTS), "inventory", request.param], check=True, capture_output=True, text=True
    ).stdout.strip()
    return Host(request.param, Path(inventory))


@pytest.fixture
def untouched(host: Host) -> Iterator[None]:
    """Fail the test when anything on the host is other than before."""
    before = host.fingerprint()
    yield
    assert host.fingerprint() == before
