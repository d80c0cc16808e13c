# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What setting up a server with Docker and things outside has in common. Runs inside a new host, as root."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

from web.server import run

# What an inventory takes from its vault: whoever brings the host up lays these over the placeholders.
VARIABLES = Path("/etc/host-variables.json")


def load_images(*names: str) -> None:
    """Load the images that the host came with, and give the application's these ``names`` too."""
    run("docker", "load", "--quiet", "--input", "/usr/local/share/docker/boxes.tar")
    for name in names:
        run("docker", "tag", "demo-app:1", name)


def settings(project: Path, lines: dict[str, str]) -> None:
    """Write what is secret in a Compose project beside its file."""
    owner = pwd.getpwnam("deploy")
    private(project / ".env", "".join(f"{key}={value}\n" for key, value in lines.items()))
    os.chown(project / ".env", owner.pw_uid, owner.pw_gid)


def storage_keys(key: str, secret: str) -> None:
    """Let backup jobs into the object storage: curl reads this file."""
    private(Path("/etc/backup-storage.conf"), f'user = "{key}:{secret}"\n')


def variables(**secrets: str) -> None:
    """Tell whoever brings the host up what the inventory takes from its vault."""
    private(VARIABLES, json.dumps(secrets))


def private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
