# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the second host of the orchard up: data, passwords, a backup. Runs once, as root, inside a new host."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from web.server import run

# What an inventory takes from its vault: whoever brings the host up lays these over the placeholders.
VARIABLES = Path("/etc/host-variables.json")


def psql(sql: str, database: str) -> None:
    """Run SQL from stdin, stopping at the first error."""
    argv = ("psql", "--no-psqlrc", "--quiet", "--port=5477", "--set=ON_ERROR_STOP=1", f"--dbname={database}")
    run(*argv, user="postgres", text=sql)


def database(password: str) -> None:
    """Create the role that the shop logs in as, its database, and the first backup."""
    run("systemctl", "start", "postgresql")
    psql(f"CREATE ROLE picker LOGIN PASSWORD '{password}';", "postgres")
    psql("CREATE DATABASE harvest OWNER picker;", "postgres")
    rows = "INSERT INTO crates (apple) SELECT 'Boskoop' FROM generate_series(1, 5000);"
    psql(f"SET ROLE picker; CREATE TABLE crates (id serial PRIMARY KEY, apple text NOT NULL); {rows}", "harvest")
    run("harvest-backup", user="postgres")
    run("crontab", "-", user="postgres", text="# m h dom mon dow command\n30 1 * * * /usr/local/bin/harvest-backup\n")


def main() -> None:
    picker, baskets = (secrets.token_urlsafe(18) for _ in range(2))
    VARIABLES.touch(mode=0o600)
    VARIABLES.write_text(
        json.dumps({"vault_orchard_picker_password": picker, "vault_orchard_baskets_password": baskets}),
        encoding="ascii",
    )
    with Path("/etc/redis/redis.conf").open("a", encoding="ascii") as handle:
        handle.write(f"requirepass {baskets}\n")
    run("systemctl", "restart", "redis-server")
    database(picker)


if __name__ == "__main__":
    main()
