# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What recoveries on a host from nothing have in common: storage that both hosts reach, and all that one could leave behind."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from ._matrix import HOSTS, ROOT

LOGIN = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"  # moto believes it
KEYS = {"access_key": "AKIADRILLS", "secret_key": "only-for/these+drills"}
BUCKET = "drills"
# All that a drill could leave: packages, accounts, files where systems keep theirs, names, rules, units.
TRACES = r"""
dpkg-query -W -f '${Package} ${Status}\n'
cut -d: -f1 /etc/passwd /etc/group
find /home /root /srv /usr/local /var/lib/runbook-ops /var/lib/postgresql /etc/nginx /etc/letsencrypt /etc/systemd/system \
  -not -path '*/.cache*' -not -path '*/.ansible*' -not -path '/root/.npm/*' 2>/dev/null | sort
cat /etc/hosts
"""


def on(host: str, script: str) -> str:
    """Run a script on a host as root and return what it printed."""
    command = [sys.executable, str(HOSTS), "ssh", host, "sudo", "bash", "-s"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"on {host}: {done.stderr}"
    return done.stdout


def up(host: str, *options: str) -> str:
    """Bring a host up and return the inventory that says where it is."""
    subprocess.run([sys.executable, str(HOSTS), "up", *options, host], check=True)
    told = subprocess.run([sys.executable, str(HOSTS), "inventory", host], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def copy_images(source: str, target: str, *names: str) -> None:
    """Load images of one host into the Docker of another: there is no registry."""
    reach = [sys.executable, str(HOSTS), "ssh"]
    with subprocess.Popen([*reach, source, "sudo", "docker", "save", *names], stdout=subprocess.PIPE) as saved:
        subprocess.run([*reach, target, "docker", "load", "--quiet"], stdin=saved.stdout, check=True, timeout=300)


@contextlib.contextmanager
def object_storage(host: str) -> Iterator[str]:
    """Have a bucket where every host reaches it, on this machine at the address by which ``host`` leaves its own; its URL."""
    place = ROOT / "tests" / "campaign" / "storage.py"
    specification = importlib.util.spec_from_file_location("campaign_storage", place)
    assert specification and specification.loader
    campaign = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(campaign)
    address = on(host, "ip -4 route show default").split()[2]
    with socket.socket() as free:
        free.bind((address, 0))
        port = free.getsockname()[1]
    moto = [str(campaign.moto_server()), "--host", address, "--port", str(port)]
    server = subprocess.Popen(moto, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(600):
            try:
                socket.create_connection((address, port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        url = f"http://{address}:{port}"
        asked = urllib.request.Request(f"{url}/{BUCKET}", method="PUT", headers={"Authorization": LOGIN})  # noqa: S310  # our own
        urllib.request.urlopen(asked, timeout=30).close()  # noqa: S310  # our own
        yield url
    finally:
        server.kill()
        server.wait()
