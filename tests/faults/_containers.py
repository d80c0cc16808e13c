# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose applications Compose runs: playbooks against it, and the way back to how it was before anything was deployed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from ._matrix import HOSTS, ROOT
from .conftest import Outcome

QUICK = {"ops_deployment": {"targets": ["docker"], "watch": "3s", "rollback_slowdown_percent": 2000}}
# Of what a deploy makes: the slots of SERVICE in PROJECT, nginx's connections, the state.
AS_BEFORE = """
rm -rf /etc/nginx && mv /root/nginx.before /etc/nginx && systemctl reload nginx
systemctl stop 'runbook-ops-live-*' 2>/dev/null
rm -rf /var/lib/runbook-ops/deploy /run/runbook-ops/deploy /etc/tmpfiles.d/runbook-ops-live* /etc/systemd/system/runbook-ops-live*
rm -rf /etc/systemd/system/*.wants/runbook-ops-live*; systemctl daemon-reload
for slot in blue green; do
  docker ps -aq --filter label=com.docker.compose.project=PROJECT-SERVICE-$slot | xargs -r docker rm -f
  docker network ls -q --filter label=com.docker.compose.project=PROJECT-SERVICE-$slot | xargs -r docker network rm
done
docker compose --progress quiet --file FILE up --detach --wait
"""


@dataclass(frozen=True)
class Host:
    name: str
    inventory: str

    @classmethod
    def up(cls, name: str) -> Host:
        subprocess.run([sys.executable, str(HOSTS), "up", name], check=True)
        asked = [sys.executable, str(HOSTS), "inventory", name]
        return cls(name, subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())

    def __call__(self, script: str, *, check: bool = True) -> str:
        command = [sys.executable, str(HOSTS), "ssh", self.name, "sudo", "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=300, check=False)
        if check and done.returncode:
            raise AssertionError(f"on {self.name}: {done.stderr}")
        return done.stdout

    def command(self, playbook: str, *options: str) -> list[str]:
        where = ["-i", f"inventories/{self.name.removeprefix('demo-')}", "-i", self.inventory]
        return ["ansible-playbook", f"playbooks/{playbook}.yml", *where, "-e", json.dumps(QUICK), *options]

    def play(self, playbook: str, *options: str) -> Outcome:
        done = subprocess.run(
            self.command(playbook, *options),
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def asked(self, domain: str, path: str) -> str:
        """Return what users get."""
        return self(f"curl -sk --resolve {domain}:443:127.0.0.1 https://{domain}{path}")

    def connections(self, project: str, service: str) -> dict[str, int]:
        """Return how many connections each container of a service has taken since it was started."""
        label = (
            f"--filter label=com.docker.compose.project={project} --filter label=com.docker.compose.service={service}"
        )
        taken = "awk '/^Tcp:/ && $6 ~ /[0-9]/ {print $7}' /proc/$(docker inspect -f '{{.State.Pid}}' $name)/net/snmp"
        told = self(f"for name in $(docker ps {label} --format '{{{{.Names}}}}'); do echo $name $({taken}); done")
        return {name: int(number) for name, number in (line.split() for line in told.splitlines())}


def as_before(project: str, service: str, file: str) -> str:
    return AS_BEFORE.replace("PROJECT", project).replace("SERVICE", service).replace("FILE", file)
