# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of deploys for a system at Vercel, from a real repository, over HTTP, against a stub of the documented API.

The stub's deployments answer too. How Vercel itself answers it cannot show.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from ansible_collections.runbook.ops.plugins.module_utils import _release_work as work
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import Place
from ansible_collections.runbook.ops.plugins.module_utils._slot import Standing
from pg_cluster import Cluster
from restore_module import make_backup

ROOT = Path(__file__).parents[2]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
TOKEN = "token-that-nobody-may-see"
FIRST = "0" * 40


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Shop:
    """A project at Vercel with a version in production, its repository, and the machine that deploys it."""

    def __init__(self, root: Path) -> None:
        self.root, self.state = root, root / "state"
        self.tree, self.bare = root / "tree", root / "shop.git"
        self.api, self.public = free_port(), free_port()
        git(root, "init", "-q", "--bare", str(self.bare))
        git(root, "clone", "-q", str(self.bare), str(self.tree))
        self.commit = self.tag("v1.0.0")
        (root / "ansible.cfg").write_text("")  # not this machine's own
        self.describe(self.variables())

    def describe(self, variables: dict[str, Any]) -> None:
        (self.root / "hosts.json").write_text(json.dumps({"all": {"hosts": {"shop-vercel": variables}}}))

    def tag(self, name: str) -> str:
        """Push a commit that the stub takes for a good version: what one is like it tells by the first letter."""
        for number in range(1000):
            git(self.tree, "commit", "-q", "--allow-empty", "-m", f"{name} {number}")
            commit = git(self.tree, "rev-parse", "HEAD")
            if commit[0] not in "bcde0":
                break
        git(self.tree, "tag", name)
        git(self.tree, "push", "-q", "origin", "HEAD:main", name)
        return commit

    def variables(self) -> dict[str, Any]:
        production = f"http://127.0.0.1:{self.public}"
        service = {
            "name": "app",
            "manager": "vercel",
            "vercel": {"project": "shop", "token": "{{ token }}", "api": f"http://127.0.0.1:{self.api}"},
            "source": {"repository": f"file://{self.bare}"},
            "health": {"url": f"{production}/health"},
            "deploy": {
                "strategy": "vercel",
                "url": f"{production}/health",
                "version": {"url": f"{production}/api/version", "json": "commit"},
                "smoke": [{"request": "/api/tasks"}],
                "start_timeout": "2s",
                "stable": "0s",
            },
        }
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "token": TOKEN,
            "change_directory": f"{self.state}/change",
            "record_directory": f"{self.state}/runs",
            "deploy_directory": f"{self.state}/deploy",
            "rollback_directory": f"{self.state}/deploy",
            "ops_system": {"name": "shop", "url": f"{production}/"},
            "ops_deployment": {
                "watch": "1s",
                "hotfix_watch": "3s",
                "watch_requests": 3,
                "rollback_slowdown_percent": 100000,
            },
            "ops_maintenance_mode": {"variable": "MAINTENANCE_MODE", "environment": "production"},
            "ops_services": [service],
        }

    def run(self, playbook: str, *arguments: str, kill_at: str = "", **variables: str) -> tuple[int, str]:
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(self.root / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.root / "remote"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_STDOUT_CALLBACK": "runbook.ops.runbook",
            "ANSIBLE_NOCOLOR": "1",
            "RUNBOOK_OPS_KILL_AT": kill_at,
        }
        extra = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        command = [str(ANSIBLE), f"runbook.ops.{playbook}", "-i", str(self.root / "hosts.json"), *extra, *arguments]
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        said = " ".join((done.stdout + done.stderr).split())
        assert TOKEN not in said
        return done.returncode, said

    def users_get(self, path: str = "/api/version") -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.public}{path}", timeout=5) as response:
                return response.status, json.load(response)["commit"]
        except urllib.error.HTTPError as exc:
            return exc.code, json.load(exc)["commit"]

    def stub(self, **wish: Any) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api}/stub", data=json.dumps(wish).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310  # the stub
            pass


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=where, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    found = Shop(tmp_path)
    program = str(ROOT / "tests" / "stubs" / "vercel" / "vercel.py")
    options = [
        "--sites",
        f"--port={found.api}",
        f"--production={found.public}",
        f"--token={TOKEN}",
        f"--commit={FIRST}",
    ]
    # Killed below: the limit is for a test that was killed itself, and longer than all its runs may take.
    running = subprocess.Popen([sys.executable, program, *options, "--seconds=7200"])
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                found.stub()
                break
            except OSError:
                assert time.monotonic() < deadline, "the stub does not listen"
                time.sleep(0.1)
        yield found
    finally:
        running.kill()
        running.wait()


def test_a_system_at_vercel_is_deployed_gone_back_from_and_put_into_maintenance(shop: Shop) -> None:
    code, said = shop.run("deploy", "--check", "--diff", deploy_version="v1.0.0")
    assert code == 0, said
    assert shop.commit[:12] in said
    assert "made live" in said
    assert shop.users_get() == (200, FIRST)

    # Killed as Vercel is leading the domains to it: one of both serves, whole, and the next run ends it.
    code, said = shop.run("deploy", kill_at="vercel:ordered", deploy_version="v1.0.0")
    assert code != 0, said
    assert shop.users_get() in [(200, FIRST), (200, shop.commit)]
    assert (shop.state / "deploy" / "app" / "journal.json").exists()
    code, said = shop.run("deploy", deploy_version="v1.0.0")
    assert code == 0, said
    assert "was cut off" in said
    assert shop.users_get() == (200, shop.commit)

    # A hotfix has to show what every release has to, and is watched for its own time.
    code, said = shop.run("deploy", deploy_version="d" * 40, deploy_hotfix="true")
    assert code == 2, said
    assert "which serves as before" in said
    assert "what is pushed is built, and not served" in said
    assert shop.users_get() == (200, shop.commit)

    code, said = shop.run("deploy", "-vvv", deploy_version="f" * 40, deploy_until="staged")
    assert code == 0, said
    assert shop.users_get() == (200, shop.commit)
    code, said = shop.run("promote", "-vvv", deploy_hotfix="true")
    assert code == 0, said
    assert float(re.findall(r'"?watch"?: (\d+\.\d+)', said)[-1]) >= 3
    assert shop.users_get() == (200, "f" * 40)

    code, said = shop.run("rollback", "-e", "rollback_reason='the login is broken'")
    assert code == 0, said
    assert "Deploy a release that is good" in said
    assert shop.users_get() == (200, shop.commit)

    code, said = shop.run("deploy", deploy_version="f" * 40, token="another-token")
    assert code == 2, said
    assert "Vercel refused the token" in said
    assert shop.users_get() == (200, shop.commit)

    code, said = shop.run("maintenance_mode", maintenance_mode_state="shown")
    assert code == 0, said
    assert shop.users_get("/")[0] == 503
    code, said = shop.run("maintenance_mode", maintenance_mode_state="ready")
    assert code == 0, said
    assert shop.users_get("/") == (200, shop.commit)


def fetched(shop: Shop, version: str, migration: dict[str, str] | None) -> dict[str, Any]:
    """Return what the module release says of ``version`` of a service at Vercel."""
    deploy = {"kind": "git", "build": [], "build_timeout_seconds": 60, "environment_file": None, "migration": migration}
    service = {
        "name": "app",
        "manager": "vercel",
        "source": {"repository": f"file://{shop.bare}", "subdirectory": ".", "migrations": "migrations"},
        "deploy": {**deploy, "releases": str(shop.root / "releases") if migration else None, "keep": 1},
    }
    paths = DeployPaths("app", str(shop.state / "deploy"))
    paths.make()
    place = Place(service, paths, Fence("", 0, ""), "run", lambda _directory: Standing({}, {}))
    found: dict[str, Any] = work.make(place, version, check_mode=False)["release"]
    return found


def test_the_sources_are_fetched_where_migrations_run_and_are_not_built(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    (shop.tree / "migrations").mkdir()
    (shop.tree / "migrations" / "1_first.sql").write_text("SELECT 1;")
    (shop.tree / "package.json").write_text('{"name": "shop", "scripts": {"build": "false"}}')
    git(shop.tree, "add", ".")
    commit = shop.tag("v1.1.0")
    assert fetched(shop, "v1.1.0", None) == {"id": None, "commit": commit, "ref": "v1.1.0", "path": None}
    assert fetched(shop, "a" * 40, None)["commit"] == "a" * 40
    with pytest.raises(ReleaseError, match="cut short"):
        fetched(shop, commit[:9], None)
    release = fetched(shop, "v1.1.0", {"kind": "sql", "database": "shop"})
    assert release["commit"] == commit
    assert (Path(release["path"]) / "migrations" / "1_first.sql").exists()


def test_migrations_come_first_and_only_after_a_proven_backup(shop: Shop) -> None:
    cluster = Cluster(settings={"listen_addresses": "'127.0.0.1'"})
    cluster.port = free_port()
    (shop.tree / "migrations").mkdir()
    (shop.tree / "migrations" / "1_first.sql").write_text("CREATE TABLE users (id int);")
    git(shop.tree, "add", ".")
    commit = shop.tag("v1.1.0")
    described = shop.variables()
    (service,) = described["ops_services"]
    service["source"]["migrations"] = "migrations"
    service["deploy"].update(migration={"kind": "sql", "database": "shop"}, releases=str(shop.root / "releases"))
    place = {"host": "127.0.0.1", "port": cluster.port, "user": "app", "owner": "app"}
    described["ops_databases"] = [{"engine": "postgresql", "name": "shop", **place}]
    backups = {"name": "shop", "made_by": "collection", "databases": ["shop"], "directory": str(shop.root / "backups")}
    described["ops_backups"] = [{**backups, "pattern": "backup-*.sql.gz", "max_age": "26h", "keep": {"last": 7}}]
    shop.describe(described)
    with cluster:
        cluster.sql("CREATE ROLE app LOGIN")
        cluster.sql("CREATE DATABASE shop OWNER app")
        code, said = shop.run("deploy", deploy_version="v1.1.0")
        assert code == 2, said
        assert "backup" in said
        assert shop.users_get() == (200, FIRST)
        make_backup(cluster, "shop", shop.root / "backups")
        code, said = shop.run("deploy", deploy_version="v1.1.0")
        assert code == 0, said
        assert cluster.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'users'", "shop") == "app"
    assert shop.users_get() == (200, commit)
