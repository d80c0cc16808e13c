# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the first host of the orchard up: two applications that use what the second has. Runs once, as root, inside a new host."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from web.server import applications, certificate, run, wait_for

APPLICATION = Path("/srv/orchard")
DOMAIN = "orchard.example"
STORE = "store.orchard.example"
# What the other host says that the vault holds; both hosts have the same one.
PEERS = Path("/etc/host-peers.json")
VARIABLES = Path("/etc/host-variables.json")


def environment(known: dict[str, str]) -> None:
    """Write the file that holds the secrets of the applications."""
    settings = {
        "DATABASE_URL": f"postgres://picker:{known['vault_orchard_picker_password']}@{STORE}:5477/harvest",
        "REDIS_URL": f"redis://:{known['vault_orchard_baskets_password']}@{STORE}:6390",
    }
    path = APPLICATION / ".env"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="ascii")
    shutil.chown(path, "pomona", "pomona")


def main() -> None:
    known = json.loads(PEERS.read_text(encoding="ascii"))["variables"]
    VARIABLES.touch(mode=0o600)
    VARIABLES.write_text(json.dumps(known), encoding="ascii")
    environment(known)
    with ThreadPoolExecutor() as pool:
        front = pool.submit(certificate, DOMAIN, Path("/usr/local/share/orchard_web/orchard.conf"))
        applications("pomona", str(APPLICATION / "ecosystem.config.js"))
        front.result()
    run("systemctl", "enable", "nginx")
    wait_for(f"https://{DOMAIN}/ready", b'"reachable"')
    wait_for(f"https://{DOMAIN}/courier/alive", b'"awake":true')


if __name__ == "__main__":
    main()
