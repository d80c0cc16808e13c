# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install what the make targets need: Debian packages as root, and a virtual environment in the cache. Quick the second time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runbook-ops"
REQUIREMENTS = ROOT / "requirements" / "test.txt"
OLDEST = (3, 11)
# Program that shows that a package is there, or a path for what is no program: the Debian package.
PACKAGES = {
    "podman": "podman",
    "runc": "runc",
    "iptables": "iptables",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "git": "git",
    "/usr/lib/postgresql": "postgresql",
    "pgbackrest": "pgbackrest",
    "zstd": "zstd",
    "age": "age",
    "gpg": "gnupg",
    "chromium-headless-shell": "chromium-headless-shell",  # looks at reports as people do
}
SERVERS = Path("/usr/lib/postgresql")
# A server that the package would start: the tests start private ones.
NO_SERVERS = ("/etc/postgresql-common/createcluster.d", "create_main_cluster = false\n")


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def is_there(sign: str) -> bool:
    return Path(sign).exists() if sign.startswith("/") else shutil.which(sign) is not None


def missing_packages() -> list[str]:
    """Return the Debian packages that are missing on this machine."""
    engine = os.environ.get("RUNBOOK_OPS_ENGINE", "podman")
    signs = PACKAGES if engine == "podman" else {"git": "git", "ssh": "openssh-client", "mmdebstrap": "mmdebstrap"}
    missing = [package for sign, package in signs.items() if not is_there(sign)]
    servers = [path.parent.parent for path in SERVERS.glob("[0-9]*/bin/initdb")] if engine == "podman" else []
    if servers:  # the tests start the newest
        newest = max(servers, key=lambda path: int(path.name))
        missing += [] if (newest / "bin" / "pg_repack").exists() else [f"postgresql-{newest.name}-repack"]
    try:
        __import__("ensurepip")
    except ImportError:
        missing.append("python3-venv")
    return missing


def install_packages(missing: Sequence[str]) -> None:
    """Install the ``missing`` Debian packages.

    :raises SystemExit: this is not root, or not Debian: one line names what is missing.
    """
    if os.geteuid() or not shutil.which("apt-get"):
        sys.exit(f"setup: missing here: {' '.join(missing)}. As root on Debian: apt-get install {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    directory, text = NO_SERVERS
    Path(directory).mkdir(parents=True, exist_ok=True)
    (Path(directory) / "runbook-ops.conf").write_text(text, encoding="ascii")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log = CACHE / "apt.log"
    with log.open("w", encoding="utf-8") as output:
        for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *missing]):
            done = subprocess.run(["apt-get", *command], env=environment, stdout=output, stderr=output, check=False)
            if done.returncode:
                sys.exit(f"setup: apt-get {command[0]} failed, see {log}")


def make_environment() -> None:
    """Bring the virtual environment up to the pinned requirements, where it is not."""
    environment = CACHE / "venv"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = environment / "requirements.sha256"
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    say(f"making the virtual environment {environment} (about half a minute)")
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted, encoding="ascii")


def main() -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"setup: Python {'.'.join(map(str, OLDEST))} or newer is needed, this is {sys.version.split()[0]}")
    started = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    for _round in range(2):  # which pg_repack is wanted shows once a PostgreSQL is there
        missing = missing_packages()
        if missing:
            install_packages(missing)
    make_environment()
    say(f"ready after {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
