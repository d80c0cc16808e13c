# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a reboot is pending. Private to this collection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._apt import judge_reboot, newest_kernel

SECTION = "Updates"
OPTIONS: dict[str, Any] = {}


def measure(options: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001  # every probe is asked the same way
    """Return whether packages ask for a reboot, which, and the running and the newest installed kernel."""
    return look(Path("/"), os.uname().release)


def look(root: Path, running: str) -> dict[str, Any]:
    """Return the same of the host whose files are below ``root``."""
    flag, listed = root / "run/reboot-required", root / "run/reboot-required.pkgs"
    packages = listed.read_text(encoding="utf-8", errors="replace").split("\n") if listed.is_file() else []
    kernels = [path.name[len("vmlinuz-") :] for path in (root / "boot").glob("vmlinuz-*")]
    # A container runs the kernel of its host, which none of its own packages can replace.
    contained = (root / "run/systemd/container").exists() or (root / "run/.containerenv").exists()
    return {
        "required": flag.exists(),
        "packages": sorted({package.strip() for package in packages} - {""}),
        "running_kernel": running,
        "newest_kernel": None if contained else newest_kernel(running, kernels),
    }


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    return [judge_reboot(measured, section=options["section"])]
