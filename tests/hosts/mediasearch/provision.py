# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a server of AI Media Search up as it is after some weeks of service. Runs once, as root, inside a new host."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloud.steps import load_images, settings, storage_keys, variables
from web.server import certificate, run, wait_for

SHARE = Path("/usr/local/share/mediasearch")
PROJECT = Path("/srv/ai-media-search")
BUCKETS = Path("/srv/outside/buckets")
DOMAIN = "yourdomain.com"
COMPOSE = ("docker", "compose", "--project-directory", str(PROJECT))


def psql(sql: str, *, user: str = "mediasearch", database: str = "mediasearch") -> None:
    """Run SQL from stdin inside the container, stopping at the first error."""
    client = ("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--username={user}", f"--dbname={database}")
    run("docker", "exec", "--interactive", "postgres", *client, text=sql)


def application(now: dt.datetime) -> None:
    """Fill the database, back it up, and start the application on it."""
    password = secrets.token_urlsafe(18)
    access_key, secret_key, token = secrets.token_hex(10), secrets.token_urlsafe(30), secrets.token_urlsafe(18)
    variables(
        vault_mediasearch_admin_token=token,
        vault_mediasearch_aws_access_key=access_key,
        vault_mediasearch_aws_secret_key=secret_key,
    )
    storage_keys(access_key, secret_key)
    settings(
        PROJECT,
        {
            "DB_NAME": "mediasearch",
            "DB_USER": "mediasearch",
            "DB_PASSWORD": password,
            "POSTGRES_PASSWORD": secrets.token_urlsafe(18),
            "ADMIN_TOKEN": token,
            "STRIPE_SECRET_KEY": f"sk_test_{secrets.token_hex(12)}",
            "AWS_S3_BUCKET_NAME": "your-media-bucket",
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
        },
    )
    load_images("ai-media-search:latest")
    run(*COMPOSE, "up", "--detach", "--wait", "postgres", "redis")
    psql(f"CREATE ROLE mediasearch LOGIN PASSWORD '{password}';", user="postgres", database="postgres")
    psql("CREATE DATABASE mediasearch OWNER mediasearch;", user="postgres", database="postgres")
    psql("CREATE EXTENSION pg_stat_statements;", user="postgres")
    psql((SHARE / "schema.sql").read_text(encoding="utf-8"))
    with ThreadPoolExecutor() as pool:
        saved = pool.submit(backups, now)
        run(*COMPOSE, "up", "--detach", "--wait")
        run(*COMPOSE, "exec", "-T", "api", "node", "seed.js")
        saved.result()


def backups(now: dt.datetime) -> None:
    """Write one real dump where and when the schedule would have put it, and copies of the newest into the buckets."""
    dump = SHARE / "dump"
    command = ["docker", "exec", "postgres", "pg_dump", "--username=postgres", "--format=custom", "mediasearch"]
    with dump.open("wb") as output:
        subprocess.run(command, stdout=output, stdin=subprocess.DEVNULL, check=True, timeout=60)
    latest = now.replace(hour=now.hour - now.hour % 6, minute=0, second=7, microsecond=0)
    ends = [latest - dt.timedelta(hours=6 * step) for step in range(60) if latest - dt.timedelta(hours=6 * step) < now]
    for end in ends:
        file = Path(f"/backups/backup-{end:%Y%m%d-%H%M%S}.dump")
        shutil.copyfile(dump, file)
        os.utime(file, (end.timestamp(), end.timestamp()))
        if end in ends[:4]:
            copy(file, BUCKETS / "your-backup-bucket" / "postgres" / file.name)
    for number in range(1, 6):
        picture = SHARE / f"picture-{number}.jpg"
        picture.write_bytes(b"\xff\xd8\xff\xe0" + secrets.token_bytes(20_000))
        copy(picture, BUCKETS / "your-media-bucket" / picture.name)
        copy(picture, BUCKETS / "your-backup-bucket" / "media" / picture.name)
        picture.unlink()
    dump.unlink()
    # What the object storage holds counts from its start: it keeps all in memory.
    run("systemctl", "restart", "outside-s3")


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def logs(now: dt.datetime) -> None:
    """Write what the host and the application would have logged in the last days."""
    directory = PROJECT / "logs"
    directory.mkdir(exist_ok=True)
    shutil.chown(directory, "deploy", "deploy")
    for days in (1, 2):
        day = now - dt.timedelta(days=days)
        lines = [f"{day:%Y-%m-%d}T{hour:02}:10:00.000Z INFO 40 searches in the last hour\n" for hour in range(24)]
        (directory / f"api-{day:%Y-%m-%d}.log").write_text("".join(lines), encoding="utf-8")
    (directory / f"auth-{now:%Y-%m-%d}.log").write_text(
        f"{now:%Y-%m-%d}T00:05:00.000Z INFO login of user 12\n", encoding="utf-8"
    )
    stamp = f"{now:%b} {now.day:2} {now:%H:%M:%S} mediasearch"
    for name, line in (
        ("syslog", f"{stamp} systemd[1]: Started docker.service - Docker Application Container Engine.\n"),
        ("auth.log", f"{stamp} sudo: deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/docker ps\n"),
    ):
        path = Path("/var/log") / name
        path.write_text(line, encoding="utf-8")
        path.chmod(0o640)
    (PROJECT / "backup-log.txt").write_text(f"Backup completed at {now:%a %b} {now.day:2} {now:%H:%M:%S UTC %Y}\n")


def main() -> None:
    now = dt.datetime.now(dt.timezone.utc)
    logs(now)
    with ThreadPoolExecutor() as pool:
        for part in [pool.submit(application, now), pool.submit(certificate, DOMAIN, SHARE / "mediasearch.conf")]:
            part.result()
    wait_for("http://localhost:3000/api/health")
    wait_for(f"https://{DOMAIN}/api/health")


if __name__ == "__main__":
    main()
