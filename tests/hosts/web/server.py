# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What setting a server up has in common from system to system. Runs inside a new host, as root."""

from __future__ import annotations

import os
import pwd
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ACME_DIRECTORY = "https://127.0.0.1:14000/dir"
ACME_ROOT = "https://127.0.0.1:15000/roots/0"


def run(*argv: str, user: str | None = None, text: str | None = None, **environment: str) -> str:
    """Run a program, as ``user`` if given, and return what it printed; a failure ends the creation of the host."""
    prefix = ["runuser", "--user", user, "--"] if user else []
    home = pwd.getpwnam(user).pw_dir if user else "/root"
    done = subprocess.run(
        [*prefix, *argv],
        input=text,
        stdin=None if text is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", **environment},
    )
    if done.returncode:
        sys.exit(f"{' '.join(argv[:4])} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def applications(user: str, *start: str, **environment: str) -> None:
    """Start applications under PM2, and let systemd bring them back after a reboot: its unit runs them from now on."""
    pm2, home = "/usr/local/bin/pm2", pwd.getpwnam(user).pw_dir
    run(pm2, "start", *start, user=user, **environment)
    run(pm2, "save", user=user)
    run(pm2, "kill", user=user)
    run(pm2, "startup", "systemd", "-u", user, "--hp", home, PM2_HOME=f"{home}/.pm2")
    run("systemctl", "start", f"pm2-{user}")


def certificate(domain: str, site: Path) -> None:
    """Get a real certificate from an ACME server on this host, trust its root, and let nginx serve ``site`` with it."""
    run("systemctl", "start", "pebble", "nginx")
    root = fetch_acme_root()
    Path("/usr/local/share/ca-certificates/acme-test-root.crt").write_text(root, encoding="ascii")
    with ThreadPoolExecutor() as pool:
        trusted = pool.submit(run, "update-ca-certificates")
        run("certbot", "certonly", "--webroot", "--webroot-path=/var/www/acme", f"--domain={domain}", "--non-interactive",
            "--agree-tos", f"--email=admin@{domain}", f"--server={ACME_DIRECTORY}",
            REQUESTS_CA_BUNDLE="/etc/pebble/certificate.pem")  # fmt: skip
        trusted.result()
    run("systemctl", "stop", "pebble")
    shutil.copy(site, "/etc/nginx/conf.d/")
    run("nginx", "-t")
    run("systemctl", "reload", "nginx")


def fetch_acme_root() -> str:
    """Return the root certificate of the ACME server, waiting until it is up."""
    trust = ssl.create_default_context(cafile="/etc/pebble/certificate.pem")
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(ACME_ROOT, timeout=5, context=trust) as answer:
                return answer.read().decode("ascii")
        except urllib.error.URLError as exc:
            if time.monotonic() > deadline:
                sys.exit(f"the ACME server at {ACME_ROOT} does not answer: {exc.reason}")
            time.sleep(0.1)


def wait_for(url: str, answer: bytes = b"") -> None:
    """Return when ``url`` answers with ``answer`` in it; TLS counts only with a certificate that this host trusts."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as said:  # noqa: S310  # the hosts' own URLs
                if answer in said.read():
                    return
            reason = "it says something else"
        except (OSError, urllib.error.URLError) as exc:
            reason = str(exc)
        if time.monotonic() > deadline:
            sys.exit(f"{url} does not answer: {reason}")
        time.sleep(0.1)
