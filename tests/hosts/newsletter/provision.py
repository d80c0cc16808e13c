# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a server of the newsletter application up as it is after some weeks of service. Runs once, as root, inside a new host."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import pwd
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloud.steps import load_images, settings, variables
from web.server import certificate, run, wait_for

SHARE = Path("/usr/local/share/newsletter")
PROJECT = Path("/home/deploy/newsletter")
BUCKETS = Path("/srv/outside/buckets")
DOMAIN = "newsletter.example.com"
COMPOSE = ("docker", "compose", "--project-directory", str(PROJECT))


def application(now: dt.datetime) -> None:
    """Fill the database, back it up, start the application on it, and give its workers something to do."""
    key, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
    settings(
        PROJECT,
        {
            "POSTGRES_PASSWORD": secrets.token_urlsafe(18),
            "R2_BUCKET_NAME": "newsletter-assets",
            "R2_ACCOUNT_ID": "your-account-id",
            "R2_ACCESS_KEY_ID": key,
            "R2_SECRET_ACCESS_KEY": secret,
            "RESEND_API_KEY": f"re_{secrets.token_hex(12)}",
        },
    )
    variables(
        vault_newsletter_aws_access_key=key,
        vault_newsletter_aws_secret_key=secret,
        vault_newsletter_r2_access_key=key,
        vault_newsletter_r2_secret_key=secret,
    )
    load_images("your-registry/newsletter:v1.0.0")
    run(*COMPOSE, "up", "--detach", "--wait", "postgres", "redis")
    client = ("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=newsletter")
    run(*COMPOSE, "exec", "-T", "postgres", *client, text=(SHARE / "schema.sql").read_text(encoding="utf-8"))
    backups(now)
    run(*COMPOSE, "up", "--detach", "--wait")
    run(*COMPOSE, "exec", "-T", "--env", "WORKERS=2", "newsletter-app", "node", "seed.js")


def backups(now: dt.datetime) -> None:
    """Write one real dump where and when a job of each night would have put it, and the newest into the bucket."""
    dump = gzip.compress(run(*COMPOSE, "exec", "-T", "postgres", "pg_dump", "--username=newsletter").encode())
    owner = pwd.getpwnam("deploy")
    directory = PROJECT / "backups"
    directory.mkdir(mode=0o700)
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    night = now.replace(hour=2, minute=0, second=23, microsecond=0)
    ends = [night - dt.timedelta(days=days) for days in range(31)]
    done = []
    for end in sorted(end for end in ends if end < now):
        file = directory / f"backup_{end:%Y%m%d}.sql.gz"
        file.write_bytes(dump)
        file.chmod(0o600)
        os.chown(file, owner.pw_uid, owner.pw_gid)
        os.utime(file, (end.timestamp(), end.timestamp()))
        done.append(f"{end:%Y-%m-%dT%H:%M:%S}.000Z INFO {file.name} written, {len(dump)} bytes\n")
    log = Path("/var/log/newsletter/backup.log")
    log.write_text("".join(done), encoding="utf-8")
    os.chown(log, owner.pw_uid, owner.pw_gid)
    stored = BUCKETS / "backup-bucket"
    stored.mkdir(parents=True)
    shutil.copy2(max(directory.iterdir()), stored)
    for bucket in ("newsletter-assets", "newsletter-assets-backup"):
        (BUCKETS / bucket).mkdir()
        (BUCKETS / bucket / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>\n", encoding="utf-8")
    # What the object storage holds counts from its start: it keeps all in memory.
    run("systemctl", "restart", "outside-s3")


def logs(now: dt.datetime) -> None:
    """Write what the application would have logged in the last days."""
    directory = PROJECT / "logs"
    directory.mkdir()
    directory.chmod(0o777)  # the application writes as the user of its container
    lines = [
        f"{now - dt.timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}.000Z INFO 40 mails sent\n" for hours in range(72, 0, -1)
    ]
    (directory / "app.log").write_text("".join(lines), encoding="utf-8")
    (directory / "app.log").chmod(0o666)


def main() -> None:
    now = dt.datetime.now(dt.timezone.utc)
    logs(now)
    with ThreadPoolExecutor() as pool:
        for part in [pool.submit(application, now), pool.submit(certificate, DOMAIN, SHARE / "newsletter.conf")]:
            part.result()
    wait_for(f"https://{DOMAIN}/api/health", b'"ok"')


if __name__ == "__main__":
    main()
