# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_db of community.postgresql, run as Ansible would, so that what it does can be shown beside ours."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

CACHE = Path.home() / ".cache" / "runbook-ops"
PACKAGE, VERSION = "ansible==12.3.0", "12.3.0"  # the package that carries the collections
DRIVER = "psycopg[binary]==3.2.13"
WANTED = "ansible_collections/community/postgresql/"
MODULE = "ansible_collections.community.postgresql.plugins.modules.postgresql_db"


def installed() -> Path:
    """Return where the collection is; it is taken out of the package, together with what it needs, where it is not there yet."""
    place = CACHE / f"community-postgresql-{VERSION}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "community-postgresql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            place.mkdir(exist_ok=True)
            pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
            with tempfile.TemporaryDirectory(dir=CACHE) as aside:
                subprocess.run([*pip, "download", "--no-deps", "--dest", aside, PACKAGE], check=True, timeout=600)
                with zipfile.ZipFile(next(Path(aside).glob("ansible-*.whl"))) as wheel:
                    wheel.extractall(place, [name for name in wheel.namelist() if name.startswith(WANTED)])
            subprocess.run([*pip, "install", "--upgrade", "--target", str(place), DRIVER], check=True, timeout=600)
            (place / "complete").touch()
    return place


def version() -> str:
    """Return the version of the collection."""
    manifest = installed() / WANTED / "MANIFEST.json"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])


def run(**options: Any) -> dict[str, Any]:
    """Return the result of the module."""
    arguments = {**options, "_ansible_remote_tmp": tempfile.gettempdir()}
    done = subprocess.run(
        [sys.executable, "-m", MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(installed())},
    )
    try:
        return dict(json.loads(done.stdout))
    except json.JSONDecodeError:
        raise RuntimeError(f"postgresql_db said no result: {done.stderr.strip() or done.stdout.strip()}") from None
