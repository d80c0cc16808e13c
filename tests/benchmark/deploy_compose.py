# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users notice of a deploy through Compose: with ``docker compose up -d``, as a runbook has it, and with the collection's playbook.

Run it by hand, with Ansible on the path: ``python3 tests/benchmark/deploy_compose.py [--host demo-newsletter] [--deploys 3]``. It is the benchmark
of deploy.py beside it, users and application included, on a host with Docker, nginx and an image that holds Node. Each version is built there
from its commit, by either way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[0] / "versions")]
import deploy  # noqa: E402  # found only now
from versions import Version, numbered, stream  # noqa: E402

PLACE, PORT, STANDBY, FRONT = "/srv/bench", 5100, 5101, deploy.FRONT
DOCKERFILE = """FROM demo-app:1
COPY . /shop
WORKDIR /shop
CMD ["node", "server.js"]
"""
COMPOSE = f"""name: bench
services:
  shop:
    build: .
    image: bench-shop
    pull_policy: never
    restart: unless-stopped
    environment: {{PORT: '3000', HOST: '0.0.0.0'}}
    ports: ['127.0.0.1:{PORT}:3000']
"""
FILES = {"Dockerfile": DOCKERFILE, "docker-compose.yml": COMPOSE}
UPDATE = f"cd {PLACE}; git checkout -q VERSION; git rev-parse HEAD >REVISION"
UP = "docker compose --progress quiet build -q >/dev/null 2>&1; docker compose --progress quiet up --detach"
# A machine that is busy with other things answers late, and then Debian's 768 connections of nginx are too few for the users.
BEGIN = f"""
set -eu
git init -q --bare -b main {PLACE}.git; git -C {PLACE}.git fast-import --force --quiet <<'END'
STREAM
END
git clone -q {PLACE}.git {PLACE}
{UPDATE.replace("VERSION", "1.0.0")}
{UP}
cat >{deploy.SITE_FILE} <<'END'
{deploy.SITE.replace("PORT", str(PORT))}
END
sed -i 's/worker_connections 768/worker_connections 8192/' /etc/nginx/nginx.conf
nginx -t -q
systemctl start nginx
systemctl reload nginx
for n in $(seq 100); do ! curl -sfo /dev/null http://127.0.0.1:{FRONT}/api/v1/health || break; sleep 0.1; done
"""
# What deploy.py puts back, for a service whose manager is Docker.
END = f"""
for project in bench bench-shop-blue bench-shop-green; do
  docker ps -aq --filter label=com.docker.compose.project=$project | xargs -r docker rm -f >/dev/null
done
docker network rm bench_default >/dev/null 2>&1
docker images -q --filter reference='runbook-ops/shop' --filter reference=bench-shop | sort -u | xargs -r docker rmi -f >/dev/null
rm -rf {PLACE} {PLACE}.git {PLACE}.releases
sed -i 's/worker_connections 8192/worker_connections 768/' /etc/nginx/nginx.conf
{deploy.END}
"""
SHOP: dict[str, Any] = {
    "name": "shop",
    "manager": "compose",
    "path": PLACE,
    "port": PORT,
    "standby_port": STANDBY,
    "source": {"repository": f"file://{PLACE}.git", "branch": "main"},
    "health": {"url": "http://localhost:{port}/api/v1/health", "json": {"status": "ok"}},
    "deploy": {
        "strategy": "blue_green",
        "proxy": "nginx",
        "url": f"http://127.0.0.1:{FRONT}/api/v1/health",
        "version": {"url": "http://localhost:{port}/api/v1/version", "json": "commit"},
        "smoke": [{"request": "/api/v1/slow?seconds=0"}],
        "start_timeout": "2m",
    },
}


class Bench(deploy.Bench):
    """A host with the application in a project of Compose, one container of it."""

    def begin(self, options: str, kinds: Sequence[str]) -> str:
        del options
        versions = [(number, _boxed(version)) for number, version in numbered(kinds)]
        return BEGIN.replace("STREAM", stream(versions))

    def end(self) -> str:
        return END

    def services(self) -> list[dict[str, Any]]:
        return [deploy.NGINX, SHOP]


def _boxed(version: Version) -> Version:
    """Return a version with what makes an image of it."""
    return version._replace(files={**FILES, **version.files})


WAYS = {
    "up": ("`docker compose build` and `up -d`", "", deploy.scripted(f"set -eu; {UPDATE}; {UP}"), True),
    "ours": ("runbook.ops, Compose", "", deploy.ours, True),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="demo-newsletter", help="test host, as tests/hosts/hosts.py knows it")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--deploys", type=int, default=3, help="how many of each way")
    parser.add_argument("--rate", type=float, default=60, help="requests a second, a third of each kind")
    parser.add_argument("--slow", type=int, default=2, help="users whose requests take three seconds")
    parser.add_argument("--websockets", type=int, default=5)
    parser.add_argument("--watch", default="5s", help="how long ours watches a release")
    parser.add_argument("--slowdown", type=int, default=2000, help="percent that ends a deploy of ours")
    options = parser.parse_args(argv)
    deploy.WAYS.update(WAYS)
    print(f"| {' | '.join(deploy.COLUMNS)} |\n|{' --- |' * len(deploy.COLUMNS)}", flush=True)
    for way in options.ways:
        for title, told in deploy.measure(Bench(options.host, options), way):
            print(f"| {' | '.join(deploy.row(title, told))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
