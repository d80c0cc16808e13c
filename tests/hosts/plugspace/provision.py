# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a server of Plugspace.io up as it is after some weeks of service. Runs once, as root, inside a new host."""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from web.server import applications, certificate, run, wait_for

SHARE = Path("/usr/local/share/plugspace")
APPLICATION = Path("/home/plugspace/plugspace")
BACKUPS = Path("/home/plugspace/backups")
BACKUP_LOG = Path("/var/log/plugspace/backup.log")
DOMAIN = "plugspace.io"
HEALTHY = b'"status":"ok"'
# What an inventory takes from its vault: whoever brings the host up lays these over the placeholders.
VARIABLES = Path("/etc/host-variables.json")


def database(passwords: dict[str, str]) -> None:
    """Create users and data while the server asks nobody, then start it as it runs from now on."""
    argv = ["runuser", "--user", "mongodb", "--", "/usr/bin/mongod", "--noauth"]
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, cwd="/")
    try:
        run(str(SHARE / "fill"), text=json.dumps(passwords))
    finally:
        server.terminate()
        server.wait(timeout=20)
    run("systemctl", "enable", "--now", "mongod")


def cache(password: str) -> None:
    """Give Redis its password."""
    with Path("/etc/redis/redis.conf").open("a", encoding="ascii") as handle:
        handle.write(f"requirepass {password}\n")
    run("systemctl", "restart", "redis-server")


def environment(mongodb: str, redis: str) -> None:
    """Write the file that holds the secrets of the applications."""
    path = APPLICATION / ".env"
    uri = f"mongodb://plugspace_app:{mongodb}@127.0.0.1:27017/plugspace?authSource=admin&replicaSet=rs0"
    settings = {"MONGODB_URI": uri, "REDIS_PASSWORD": redis, "JWT_SECRET": secrets.token_urlsafe(24)}
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="ascii")
    path.chmod(0o600)
    shutil.chown(path, "plugspace", "plugspace")


def backups(now: dt.datetime) -> None:
    """Take a real backup, and put it where and when the schedule would have put those of the last seven nights."""
    run("/usr/local/bin/backup.sh", user="plugspace")
    (taken,) = BACKUPS.iterdir()
    line = BACKUP_LOG.read_text(encoding="utf-8").partition(" backup completed")[2]
    midnight, lines = now.replace(hour=0, minute=0, second=0, microsecond=0), []
    nights = (midnight - dt.timedelta(days=days, hours=-2) for days in range(8))
    for night in [night for night in nights if night < now][:7]:
        copy, end = BACKUPS / f"{night:%Y%m%d_%H%M%S}", night + dt.timedelta(seconds=4)
        run("cp", "--archive", str(taken), str(copy))
        manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
        (copy / "manifest.json").write_text(json.dumps({**manifest, "timestamp": copy.name}, indent=2) + "\n", "utf-8")
        for path in [*copy.rglob("*"), copy]:
            os.utime(path, (end.timestamp(), end.timestamp()))
        lines.append(f"{end:%Y-%m-%d %H:%M:%S} backup completed{line.replace(taken.name, copy.name)}")
    BACKUP_LOG.write_text("".join(sorted(lines)), encoding="utf-8")
    shutil.rmtree(taken)
    run("crontab", "-", user="plugspace", text="# m h dom mon dow command\n0 2 * * * /usr/local/bin/backup.sh\n")


def firewall() -> None:
    """Let in what Plugspace.io serves, and nothing else."""
    for port in ("2222/tcp", "80/tcp", "443/tcp"):
        run("ufw", "allow", port)
    run("ufw", "--force", "enable")
    run("systemctl", "restart", "fail2ban")


def proxy() -> None:
    """Get the certificate, and tell Prometheus when it expires."""
    certificate(DOMAIN, SHARE / "plugspace.conf")
    run("/etc/letsencrypt/renewal-hooks/deploy/certificate-metric")


def wait_for_targets(number: int) -> None:
    """Return when Prometheus has reached all it looks at."""
    deadline = time.monotonic() + 30
    while True:
        targets = json.loads(run("curl", "--silent", "--fail", "http://127.0.0.1:9090/api/v1/targets"))["data"]
        if [target["health"] for target in targets["activeTargets"]] == ["up"] * number:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"Prometheus does not reach its targets: {targets['activeTargets']}")
        time.sleep(0.2)


def main() -> None:
    now = dt.datetime.now(dt.timezone.utc)
    admin, mongodb, redis = (secrets.token_urlsafe(18) for _ in range(3))
    VARIABLES.write_text(
        json.dumps({"vault_plugspace_mongodb_admin_password": admin, "vault_plugspace_redis_password": redis}),
        encoding="ascii",
    )
    VARIABLES.chmod(0o600)
    environment(mongodb, redis)
    with ThreadPoolExecutor() as pool:
        front = [pool.submit(proxy), pool.submit(firewall)]
        for part in [pool.submit(database, {"admin": admin, "plugspace_app": mongodb}), pool.submit(cache, redis)]:
            part.result()
        front.append(pool.submit(backups, now))
        applications("plugspace", str(APPLICATION / "ecosystem.config.js"))
        for part in front:
            part.result()
    wait_for("http://127.0.0.1:4001/health", HEALTHY)
    wait_for(f"https://{DOMAIN}/api/health", HEALTHY)
    wait_for_targets(3)
    wait_for("http://127.0.0.1:9093/api/v2/alerts", b"Watchdog")


if __name__ == "__main__":
    main()
