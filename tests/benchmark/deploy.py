# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users notice of a deploy: with ``pm2 restart``, ``pm2 reload``, the steps of a runbook by hand, and the collection's playbook.

Run it by hand, with Ansible on the path: ``python3 tests/benchmark/deploy.py [--host demo-plugspace] [--deploys 3] [--ways ours]``. The same
small application runs under PM2 of an account of its own behind nginx; the users of tests/load ask through nginx, on the host itself, while
one version after the other is deployed. A way without a line in the table has failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "versions"))
from versions import numbered, stream

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ROOT / "tests" / "hosts" / "hosts.py"

USER, PORT, STANDBY, FRONT = "bench", 5100, 5101, 8180
HOME = f"/home/{USER}"
SITE = f"""
server {{
  listen 127.0.0.1:{FRONT};
  access_log /var/log/nginx/bench.log;
  location / {{
    proxy_pass http://127.0.0.1:PORT;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $bench_upgrade;
  }}
}}
map $http_upgrade $bench_upgrade {{ default upgrade; '' ''; }}
"""
SITE_FILE = "/etc/nginx/conf.d/bench.conf"
# An account, the versions, the first of them running, and nginx in front of it.
BEGIN = f"""
set -eu
useradd --create-home --shell /bin/bash {USER}
runuser -u {USER} -- bash -euc 'cd; git init -q --bare -b main versions.git; git -C versions.git fast-import --force --quiet
  git clone -q versions.git shop; git -C shop checkout -q 1.0.0; cd shop; git rev-parse HEAD >REVISION
  PORT={PORT} pm2 start -s server.js --name shop OPTIONS; pm2 save -s' <<'END'
STREAM
END
cat >{SITE_FILE} <<'END'
{SITE.replace("PORT", str(PORT))}
END
nginx -t -q
systemctl reload nginx
for n in $(seq 100); do ! curl -sfo /dev/null http://127.0.0.1:{FRONT}/api/v1/health || break; sleep 0.1; done
"""
END = f"""
rm -f {SITE_FILE} /etc/nginx/conf.d/runbook-ops-shop.conf
systemctl reload nginx
systemctl stop 'runbook-ops-live-shop-*' 2>/dev/null
rm -rf /var/lib/runbook-ops/deploy/shop /run/runbook-ops/deploy/shop /etc/tmpfiles.d/runbook-ops-live-shop* /etc/systemd/system/runbook-ops-live-shop*
rm -rf /etc/systemd/system/*.wants/runbook-ops-live-shop* /etc/nginx/runbook-ops/shop* /var/lib/runbook-ops/nginx/shop.* /var/log/nginx/bench.log /root/load.*
systemctl daemon-reload
! id {USER} >/dev/null 2>&1 || {{ runuser -u {USER} -- pm2 kill -s; pkill -KILL -u {USER}; userdel --remove {USER}; }} 2>/dev/null
true
"""
AS_USER = f"runuser -u {USER} -- bash -euc"
UPDATE = f"cd {HOME}/shop; git checkout -q VERSION; git rev-parse HEAD >REVISION"
# A runbook's steps for a deployment without downtime, in its order.
BY_HAND = f"""
set -eu
{AS_USER} '{UPDATE}; PORT={STANDBY} pm2 start -s server.js --name shop-new'
sleep 10
curl -sf http://localhost:{STANDBY}/api/v1/health >/dev/null
sed -i 's,proxy_pass .*,proxy_pass http://127.0.0.1:{STANDBY};,' {SITE_FILE}
nginx -t -q
systemctl reload nginx
{AS_USER} 'pm2 stop -s shop; pm2 delete -s shop; pm2 restart -s shop-new --name shop; pm2 save -s'
"""
NGINX = {
    "name": "nginx",
    "manager": "systemd",
    "on_change": "reload",
    "validate": ["nginx", "-t"],
    "config": ["/etc/nginx"],
}
SERVICES = [
    NGINX,
    {
        "name": "shop",
        "manager": "pm2",
        "user": USER,
        "path": f"{HOME}/shop",
        "entry_point": "server.js",
        "port": PORT,
        "standby_name": "shop-new",
        "standby_port": STANDBY,
        "source": {"repository": f"file://{HOME}/versions.git", "branch": "main"},
        "health": {"url": "http://localhost:{port}/api/v1/health", "json": {"status": "ok"}},
        "deploy": {
            "strategy": "blue_green",
            "proxy": "nginx",
            "url": f"http://127.0.0.1:{FRONT}/api/v1/health",
            "version": {"url": "http://localhost:{port}/api/v1/version", "json": "commit"},
            "smoke": [{"request": "/api/v1/slow?seconds=0"}],
            "start_timeout": "15s",
        },
    },
]


class Bench:
    """A host with the application on it. Another manager than PM2 says in a class of its own what is different."""

    front = FRONT  # where nginx takes the requests of users
    service = "shop"
    log = "/var/log/nginx/bench.log"

    def __init__(self, host: str, options: argparse.Namespace, *, mode: str = "fork") -> None:
        """:param options: ``rate``, ``slow``, ``websockets`` and ``watch``; ``slow_seconds`` and ``requests`` where others than usual are wanted"""
        self.host, self.options, self.mode = host, options, mode

    def begin(self, options: str, kinds: Sequence[str]) -> str:
        """Return the script that has the first of these versions run, and all of them deployable as 1.0.0, 1.1.0 and so on."""
        return BEGIN.replace("OPTIONS", options).replace("STREAM", stream(numbered(kinds)))

    def end(self) -> str:
        """Return the script that puts the host back, whatever state it is in."""
        return END

    def services(self) -> list[dict[str, Any]]:
        """Return the description of the application and its proxy."""
        nginx, shop = SERVICES
        if self.mode == "cluster":
            shop = {**shop, "replicas": 2, "deploy": {**shop["deploy"], "mode": "cluster"}}
        return [nginx, shop]

    def __call__(self, script: str, *, check: bool = True) -> str:
        done = subprocess.run(self._ssh("bash", "-s"), input=script, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(f"on {self.host}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _ssh(self, *program: str) -> list[str]:
        return [sys.executable, str(HOSTS), "ssh", self.host, "sudo", *program]

    @contextmanager
    def application(self, options: str, kinds: Sequence[str]) -> Iterator[None]:
        """Have the first of these versions run, and all of them ready to be deployed."""
        self(self.end(), check=False)
        try:
            self(self.begin(options, kinds))
            self(f"cat >/root/load.py <<'END'\n{(ROOT / 'tests/load/load.py').read_text()}\nEND")
            yield
        finally:
            self(self.end(), check=False)

    def asked(self, deploy: Callable[[], None]) -> dict[str, Any]:
        """Deploy while users ask, and return what they saw."""
        self("rm -f /root/load.end")
        given, requests = self.options, getattr(self.options, "requests", 0)
        asks = ["--rate", given.rate, "--slow", given.slow, "--slow-seconds", getattr(given, "slow_seconds", 3)]
        asks += ["--websockets", given.websockets, "--requests", requests, "--seconds", 600 + 2 * requests / given.rate]
        program = ["python3", "/root/load.py", f"127.0.0.1:{self.front}", *map(str, asks), "--end", "/root/load.end"]
        users = subprocess.Popen(self._ssh(*program), stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(3)
            began = time.monotonic()
            deploy()
            took = time.monotonic() - began
            time.sleep(2)
        finally:
            self("touch /root/load.end")
            output = users.communicate(timeout=60 + 2 * requests / given.rate)[0]
        return {**json.loads(output), "took": took}

    def play(
        self, version: str, directory: Path, *options: str, playbook: str = "deploy"
    ) -> subprocess.CompletedProcess[str]:
        """Deploy with the collection, or run another playbook on the release of this version."""
        inventory = directory / "shop.yml"
        described = {
            "ops_system": {"name": "shop"},
            "ops_services": self.services(),
            "ops_deployment": {
                "watch": self.options.watch,
                "rollback_slowdown_percent": getattr(self.options, "slowdown", 50),
            },
        }
        inventory.write_text(json.dumps({"all": {"vars": described}}))
        asked = subprocess.run(
            [sys.executable, str(HOSTS), "inventory", self.host], capture_output=True, text=True, check=True
        )
        command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", asked.stdout.strip(), "-i", str(inventory)]
        return subprocess.run(
            [*command, "-e", f"{playbook}_version={version}", "-e", f"{playbook}_service={self.service}", *options],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )


def ours(bench: Bench, version: str, directory: Path) -> None:
    done = bench.play(version, directory)
    if done.returncode:
        raise SystemExit(f"the deploy of {version} failed:\n{done.stdout[-4000:]}{done.stderr[-1000:]}")


def scripted(script: str) -> Callable[[Bench, str, Path], None]:
    """Return a way that is a script on the host."""

    def deploy(bench: Bench, version: str, _directory: Path) -> None:
        bench(script.replace("VERSION", version))

    return deploy


# Title, options of `pm2 start`, how a version is deployed, and whether it can be done more than once without putting all back.
WAYS: dict[str, tuple[str, str, Callable[[Bench, str, Path], None], bool]] = {
    "restart": ("`pm2 restart`", "", scripted(f"{AS_USER} '{UPDATE}; pm2 restart -s shop'"), True),
    "reload": ("`pm2 reload`, fork", "", scripted(f"{AS_USER} '{UPDATE}; pm2 reload -s shop'"), True),
    "cluster": ("`pm2 reload`, cluster of 2", "-i 2", scripted(f"{AS_USER} '{UPDATE}; pm2 reload -s shop'"), True),
    "hand": ("a runbook's blue-green, by hand", "", scripted(BY_HAND), False),
    "ours": ("runbook.ops", "", ours, True),
}
COLUMNS = ("way", "deploys", "requests", "failed a deploy", "never ask twice", "ask twice", "new connections", "slow", "closed idle", "longest gap, s",
           "WebSockets cut off", "told to go", "p95, ms", "seconds", "load")  # fmt: skip


def row(title: str, told: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line of the table: sums of several deploys, and the longest gap of all."""

    def total(kind: str, key: str = "failed") -> int:
        return sum(one["kinds"].get(kind, {}).get(key, 0) for one in told)

    failed = sum(one["failed"] for one in told)
    cells: list[object] = [title, len(told), sum(one["requests"] for one in told), f"{failed / len(told):.1f}"]
    cells += [total("keep"), total("retry"), total("fresh"), total("slow"), total("keep", "closed_idle")]
    cells += [f"{max(one['gap'] for one in told):.2f}"]
    cells += [sum(one["websockets"].get(key, 0) for one in told) for key in ("cut_off", "told_to_go")]
    cells += [f"{1000 * max(one['p95'] or 0 for one in told):.0f}"]
    cells += [f"{max(one['took'] for one in told):.1f}", f"{max(one['load'] for one in told):.0f}"]
    return [str(cell) for cell in cells]


def measure(bench: Bench, way: str) -> list[tuple[str, list[dict[str, Any]]]]:
    title, options, deploy, repeated = WAYS[way]
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        kinds = ["good"] * (bench.options.deploys + 1)
        numbers = [f"1.{number}.0" for number in range(1, bench.options.deploys + 1)]
        if repeated:
            with bench.application(options, kinds):
                told += [bench.asked(lambda number=number: deploy(bench, number, place)) for number in numbers]  # type: ignore[misc]
        else:
            for number in numbers:
                with bench.application(options, kinds):
                    told.append(bench.asked(lambda number=number: deploy(bench, number, place)))  # type: ignore[misc]
    if way == "ours":  # the first one has nginx reload once, to take its configuration over
        return [(f"{title}, the first deploy", told[:1])] + [(f"{title}, each later one", told[1:])] * (len(told) > 1)
    return [(title, told)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--host", default="demo-plugspace", help="test host with PM2, nginx and git, as tests/hosts/hosts.py knows it"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--deploys", type=int, default=3, help="how many of each way")
    parser.add_argument("--rate", type=float, default=60, help="requests a second, a third of each kind")
    parser.add_argument("--slow", type=int, default=2, help="users whose requests take three seconds")
    parser.add_argument("--websockets", type=int, default=5)
    parser.add_argument("--watch", default="5s", help="how long ours watches a release")
    parser.add_argument("--json", type=Path, help="where to write all that was told")
    options = parser.parse_args(argv)
    bench = Bench(options.host, options)
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    kept: dict[str, list[dict[str, Any]]] = {}
    for way in options.ways:
        for title, told in measure(bench, way):
            kept[title] = told
            print(f"| {' | '.join(row(title, told))} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
