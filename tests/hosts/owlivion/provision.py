# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a server of Owlivion Mail up as it is after some months of service. Runs once, as root, inside a new host."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import pwd
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from web.server import applications, certificate, run, wait_for

SHARE = Path("/usr/local/share/owlivion")
APPLICATION = Path("/home/owlivion/owlivion-mail/owlivion-sync-server")
DOMAIN = "owlivion.com"
HEALTHY = b'{"status":"ok"}'
BACKUP_LOG = Path("/var/log/owlivion-backup.log")
CRON_TABLE = f"""\
# m h dom mon dow command
0 2 * * * {APPLICATION}/deployment/backup.sh
0 3 * * 0 {APPLICATION}/deployment/full-backup.sh
*/5 * * * * {APPLICATION}/deployment/healthcheck.sh
"""


def psql(sql: str, *, user: str = "owlivion", database: str = "owlivion_sync") -> None:
    """Run SQL from stdin as the role of the same name, stopping at the first error."""
    run("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={database}", user=user, text=sql)


def database(now: dt.datetime) -> None:
    """Create the database, back it up as it was, then let it grow unkempt, and start the application on it."""
    password = secrets.token_urlsafe(18)
    run("systemctl", "start", "postgresql")
    psql(f"CREATE ROLE owlivion LOGIN PASSWORD '{password}';", user="postgres", database="postgres")
    psql("CREATE DATABASE owlivion_sync OWNER owlivion;", user="postgres", database="postgres")
    psql("CREATE EXTENSION pg_stat_statements;", user="postgres")
    psql((APPLICATION / "deployment" / "schema.sql").read_text(encoding="utf-8"))
    backups(now)
    psql((SHARE / "bloat.sql").read_text(encoding="utf-8"))
    application(f"postgres://owlivion:{password}@127.0.0.1/owlivion_sync")


def application(database_url: str) -> None:
    """Start the application under PM2."""
    applications("owlivion", str(APPLICATION / "server.js"), "--name", "owlivion-sync-server", "--cwd", str(APPLICATION),
                 "--time", DATABASE_URL=database_url, PORT="3000")  # fmt: skip
    wait_for("http://127.0.0.1:3000/api/v1/health", HEALTHY)


def nights(now: dt.datetime) -> Iterator[tuple[str, dt.datetime]]:
    """Yield kind and start of the backups of the last weeks: nightly at 02:00, on Sundays at 03:00."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for days in range(70):
        day = midnight - dt.timedelta(days=days)
        if days < 30:
            yield "daily", day + dt.timedelta(hours=2)
        if day.isoweekday() == 7:
            yield "weekly", day + dt.timedelta(hours=3)


def backups(now: dt.datetime) -> None:
    """Write one real dump, put it where and when the schedule would have put it, and log each as its script does."""
    dump = gzip.compress(run("pg_dump", "owlivion_sync", user="owlivion").encode(), compresslevel=6)
    owner = pwd.getpwnam("owlivion")
    lines = []
    for kind, start in nights(now):
        end = start + dt.timedelta(seconds=41)
        if end > now:
            continue
        file = Path(f"/backups/{kind}/backup_{start:%Y%m%d_%H%M%S}.sql.gz")
        file.write_bytes(dump)
        os.chown(file, owner.pw_uid, owner.pw_gid)
        os.utime(file, (end.timestamp(), end.timestamp()))
        lines.append(f"{end:%Y-%m-%d %H:%M:%S} {kind} backup completed: {file} ({len(dump)} bytes)\n")
    BACKUP_LOG.write_text("".join(sorted(lines)), encoding="utf-8")
    os.chown(BACKUP_LOG, owner.pw_uid, owner.pw_gid)


def logs(now: dt.datetime) -> None:
    """Write what the firewall and the SSH server would have logged in the last two days."""
    firewall, authentication = [], []
    for step in range(96, 0, -1):
        at = now - dt.timedelta(minutes=30 * step)
        stamp, source, port = f"{at:%b} {at.day:2} {at:%H:%M:%S} owlivion", f"198.51.100.{step % 40 + 1}", 40000 + step
        firewall.append(
            f"{stamp} kernel: [{step}.000000] [UFW BLOCK] IN=eth0 OUT= SRC={source} DST=31.97.216.36 LEN=40 TTL=245"
            f" PROTO=TCP SPT={port} DPT={(23, 3389, 5900)[step % 3]} WINDOW=1024 SYN\n"
        )
        if step % 4 == 0:
            name = ("root", "invalid user admin", "invalid user test")[step % 3]
            authentication.append(f"{stamp} sshd[{port}]: Failed password for {name} from {source} port {port} ssh2\n")
        if step % 24 == 0:
            key = "ED25519 SHA256:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
            authentication.append(
                f"{stamp} sshd[{port}]: Accepted publickey for owlivion from 192.0.2.7 port {port} ssh2: {key}\n"
                f"{stamp} sudo: owlivion : TTY=pts/0 ; PWD=/home/owlivion ; USER=root ; COMMAND=/usr/sbin/nginx -t\n"
            )
    for name, lines in (("ufw", firewall), ("auth", authentication)):
        path = Path(f"/var/log/{name}.log")
        path.write_text("".join(lines), encoding="utf-8")
        path.chmod(0o640)


def main() -> None:
    now = dt.datetime.now(dt.timezone.utc)
    with ThreadPoolExecutor() as pool:
        parts = [
            pool.submit(database, now),
            pool.submit(certificate, DOMAIN, SHARE / "owlivion.conf"),
            pool.submit(logs, now),
        ]
        run("crontab", "-", user="owlivion", text=CRON_TABLE)
        for part in parts:
            part.result()
    wait_for(f"https://{DOMAIN}/api/v1/health", HEALTHY)


if __name__ == "__main__":
    main()
