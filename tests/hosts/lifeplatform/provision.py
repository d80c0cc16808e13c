# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a server of the life management platform up as after some weeks of service. Runs once, as root, inside a new host."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import os
import secrets
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloud.steps import load_images, settings, storage_keys, variables
from web.server import certificate, run, wait_for

SHARE = Path("/usr/local/share/lifeplatform")
PROJECT = Path("/srv/lifeplatform")
BUCKET = Path("/srv/outside/buckets/backups")
DOMAIN = "your-domain.com"
COMPOSE = ("docker", "compose", "--file", str(PROJECT / "docker-compose.prod.yml"))
# As Prisma's own migration engine makes it.
PRISMA_TABLE = """\
CREATE TABLE _prisma_migrations (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
);
"""


def psql(sql: str, *, user: str = "lifeplatform", database: str = "production_db") -> None:
    """Run SQL from stdin inside the container, stopping at the first error."""
    client = ("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--username={user}", f"--dbname={database}")
    run(*COMPOSE, "exec", "-T", "database", *client, text=sql)


def application(now: dt.datetime) -> None:
    """Make the database by its migrations, fill it, back it up, and start the application on it."""
    password = secrets.token_urlsafe(18)
    access_key, secret_key = secrets.token_hex(10), secrets.token_urlsafe(30)
    variables(
        vault_lifeplatform_aws_access_key=access_key,
        vault_lifeplatform_aws_secret_key=secret_key,
        vault_lifeplatform_database_password=password,
    )
    storage_keys(access_key, secret_key)
    settings(
        PROJECT,
        {
            "POSTGRES_PASSWORD": secrets.token_urlsafe(18),
            "DATABASE_URL": f"postgresql://lifeplatform:{password}@database/production_db",
            "REDIS_URL": "redis://redis:6379",
            "NEXTAUTH_SECRET": secrets.token_urlsafe(32),
            "ENCRYPTION_KEY": secrets.token_urlsafe(32),
        },
    )
    load_images("your-registry/app:v1.2.3", "your-registry/app:previous-tag")
    run(*COMPOSE, "up", "--detach", "--wait", "database", "redis")
    psql(f"CREATE ROLE lifeplatform LOGIN PASSWORD '{password}';", user="postgres", database="postgres")
    psql("CREATE DATABASE production_db OWNER lifeplatform;", user="postgres", database="postgres")
    psql(PRISMA_TABLE + "".join(map(applied, sorted((PROJECT / "prisma/migrations").glob("*/migration.sql")))))
    psql((SHARE / "data.sql").read_text(encoding="utf-8"))
    with ThreadPoolExecutor() as pool:
        saved = pool.submit(backups, now)
        run(*COMPOSE, "up", "--detach", "--wait")
        saved.result()


def applied(file: Path) -> str:
    """Return the SQL that applies a migration and says so in Prisma's table: the checksum is that of its file."""
    checksum, name = hashlib.sha256(file.read_bytes()).hexdigest(), file.parent.name
    values = f"'{uuid.uuid4()}', '{checksum}', now(), '{name}', 1"
    columns = "id, checksum, finished_at, migration_name, applied_steps_count"
    record = f"INSERT INTO _prisma_migrations ({columns}) VALUES ({values});\n"  # noqa: S608  # our own files' names
    return file.read_text(encoding="utf-8") + record


def backups(now: dt.datetime) -> None:
    """Write one real dump where and when the schedule would have put it, and copies of the newest into the bucket."""
    command = [*COMPOSE, "exec", "-T", "database", "pg_dump", "--username=postgres", "production_db"]
    plain = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=True, timeout=60).stdout
    dump = gzip.compress(plain, compresslevel=6)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    ends = [midnight - dt.timedelta(days=days) + dt.timedelta(hours=2, seconds=5) for days in range(31)]
    ends = [end for end in ends if end < now][:30]
    BUCKET.mkdir(parents=True)
    BUCKET.with_name("backups.versioned").touch()
    for end in ends:
        file = Path(f"/backups/backup-{end:%Y%m%d-%H%M%S}.sql.gz")
        file.write_bytes(dump)
        os.utime(file, (end.timestamp(), end.timestamp()))
        if end in ends[:3]:
            (BUCKET / file.name).write_bytes(dump)
    (BUCKET / "latest.sql.gz").write_bytes(dump)
    # What the object storage holds counts from its start: it keeps all in memory.
    run("systemctl", "restart", "outside-s3")


def main() -> None:
    now = dt.datetime.now(dt.timezone.utc)
    with ThreadPoolExecutor() as pool:
        for part in [pool.submit(application, now), pool.submit(certificate, DOMAIN, SHARE / "lifeplatform.conf")]:
            part.result()
    wait_for(f"https://{DOMAIN}/health")


if __name__ == "__main__":
    main()
