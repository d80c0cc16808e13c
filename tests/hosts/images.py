# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, named after a hash of what they are made from: one that exists is never built again."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from engine import PREFIX, Engine, HostsError
from workplace import Workplace, say

HERE = Path(__file__).parent
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
PACKAGES = (
    "ca-certificates",
    "cron",
    "curl",
    "dbus",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)
# What a host does not need, and what must not be the same on two hosts.
TREE_OPTIONS = (
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--aptopt=Acquire::Languages none",
    "--customize-hook=rm -f $1/etc/ssh/ssh_host_*",
    "--customize-hook=truncate -s 0 $1/etc/machine-id",
)


@dataclass(frozen=True)
class Image:
    """One image: the directory of its Containerfile, and what it is built on (None: the bare Debian)."""

    kind: str
    suite: str
    on: str = "base"

    @property
    def context(self) -> Path:
        return HERE / self.kind

    @property
    def below(self) -> Image | None:
        return None if self.kind == "base" else Image(self.on, self.suite)

    @property
    def runs_docker(self) -> bool:
        """Return whether a Docker engine runs in the hosts of this image."""
        return self.kind == "docker" or (self.below is not None and self.below.runs_docker)

    @property
    def fingerprint(self) -> str:
        """Return the hash of all that goes into the image."""
        digest = hashlib.sha256()
        if self.below is None:
            digest.update("\0".join([*PACKAGES, *TREE_OPTIONS, self.suite]).encode())
        else:
            digest.update(self.below.fingerprint.encode())
        for path in sorted(path for path in self.context.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(self.context)}\0{path.stat().st_mode & 0o111:o}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]

    @property
    def family(self) -> str:
        return f"localhost/{PREFIX}/{self.kind}:{self.suite}-"

    @property
    def tag(self) -> str:
        return self.family + self.fingerprint


def ensure(image: Image, engine: Engine, workplace: Workplace) -> str:
    """Return the tag of ``image``, built first (with what is below it) where it does not exist yet."""
    with workplace.lock(f"image-{image.kind}-{image.suite}"):
        if image.tag in engine.images():
            return image.tag
        below = ensure(image.below, engine, workplace) if image.below else ""
        log = workplace.logs / f"build-{image.kind}-{image.suite}.log"
        say(f"image {image.kind} ({SUITES[image.suite]}): building, once; details in {log}")
        started = time.monotonic()
        if image.below is None:
            _build_base(image, engine, log)
        else:
            engine.build(image.tag, image.context, {"BASE": below, "SUITE": image.suite}, log)
        say(f"image {image.kind} ({SUITES[image.suite]}): ready after {time.monotonic() - started:.0f} s")
        prune_older(image, engine)
        return image.tag


def _build_base(image: Image, engine: Engine, log: Path) -> None:
    """Make the Debian tree from packages: no image registry can be counted on."""
    if shutil.which("mmdebstrap") is None:
        raise HostsError("mmdebstrap is not installed: run 'make setup'")
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}-") as scratch:
        context = Path(scratch)
        argv = ["mmdebstrap", *TREE_OPTIONS, f"--include={','.join(PACKAGES)}", image.suite, str(context / "tree.tar")]
        with log.open("w", encoding="utf-8") as output:
            failed = subprocess.run(argv, stdout=output, stderr=output, check=False, timeout=900).returncode
        if failed:
            tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
            raise HostsError(f"mmdebstrap failed, the end of {log}:\n{tail}")
        shutil.copytree(image.context, context, dirs_exist_ok=True)
        engine.build(image.tag, context, {}, log)


def prune_older(image: Image, engine: Engine) -> None:
    """Remove what earlier states of the tree left; an image that a host still runs on stays."""
    for name in list(engine.images()):
        if name.startswith(image.family) and name != image.tag:
            engine("rmi", name, check=False, timeout=120)


def remove_all(engine: Engine) -> int:
    """Remove every image of ours and return how many there were."""
    names = sorted(engine.images(), key=lambda name: "/base:" in name)
    for name in names:
        engine("rmi", name, check=False, timeout=120)
    return len(names)
