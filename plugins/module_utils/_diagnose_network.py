# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, routes, listeners, names, and the versions of what runs. Private to this collection."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_program import output_of, read_program
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError


def network(options: dict[str, Any]) -> Found:
    """Collect addresses, routes, listeners, and whether names can be resolved."""
    parts = []
    for title, argv in (
        ("Addresses", ["ip", "-brief", "address"]),
        ("Routes", ["ip", "route"]),
        ("Listeners", ["ss", "-Htulpn"]),
    ):
        try:
            parts.append(f"{title}\n{output_of(argv, timeout_seconds=4)}")
        except ProbeError as exc:
            parts.append(f"{title}\n{exc}")
    resolver = Path("/etc/resolv.conf")
    parts.append(f"Resolver\n{resolver.read_text(errors='replace')[:2000] if resolver.exists() else 'none'}")
    names = [_resolved(name) for name in options.get("names") or []]
    bad = [line for line in names if "not resolved" in line]
    return Found("\n\n".join([*parts, "Names\n" + "\n".join(names)]), note="; ".join(bad) or "names are resolved")


def _resolved(name: str) -> str:
    began = time.monotonic()
    try:
        addresses = sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None)})
    except OSError as exc:
        return f"{name} is not resolved: {exc.strerror or exc}"
    return f"{name}: {', '.join(addresses)} in {time.monotonic() - began:.2f} s"


def versions(_options: dict[str, Any]) -> Found:
    """Collect the versions of what a system is made of."""
    release = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text()))
    kernel_release = os.uname()
    lines = [release.get("PRETTY_NAME", "?"), f"Linux {kernel_release.release} {kernel_release.machine}"]
    # Also what is installed from elsewhere than packages.
    for argv in (["node", "--version"], ["docker", "--version"], ["psql", "--version"], ["python3", "--version"]):
        try:
            lines.append(f"{argv[0]}: {output_of(argv, timeout_seconds=3).strip()}")
        except ProbeError:
            continue
    wanted = "postgresql* nginx* redis* nodejs* docker* containerd* mongodb* openssl libssl* systemd openssh-server linux-image*"
    packages = read_program(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n", *wanted.split()])
    lines += sorted(line[4:] for line in packages.text.splitlines() if line.startswith("ii "))
    return Found("\n".join(lines), note=lines[0])
