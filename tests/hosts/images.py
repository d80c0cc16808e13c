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


# Which image another is built on.
BELOW = {
    "controller": "base",
    "drill": "base",
    "drill_docker": "base",
    "web": "base",
    "owlivion": "web",
    "plugspace": "web",
    "docker": "web",
    "cloud": "docker",
    "newsletter": "cloud",
    "mediasearch": "cloud",
    "lifeplatform": "cloud",
    "orchard_web": "web",
    "orchard_store": "web",
}
TREES = {"base": PACKAGES, "box": ("ca-certificates",)}  # what is made from packages, not on another image
# What runs in containers on a host with Docker, by the names that Compose files use.
BOXES = {"box-postgres": "postgres:17", "box-redis": "redis:8", "box-app": "demo-app:1"}


@dataclass(frozen=True)
class Image:
    """One image: the directory of its Containerfile, and what it is built on (None: the bare Debian)."""

    kind: str
    suite: str

    @property
    def context(self) -> Path:
        return HERE / self.kind

    @property
    def below(self) -> Image | None:
        if self.kind in TREES:
            return None
        return Image("box" if self.kind in BOXES else BELOW[self.kind], self.suite)

    @property
    def boxes(self) -> dict[Image, str]:
        """Return the images that come as files with this one, each with its name there."""
        return {Image(kind, self.suite): name for kind, name in BOXES.items()} if self.kind == "docker" else {}

    @property
    def runs_docker(self) -> bool:
        """Return whether a Docker engine runs in the hosts of this image."""
        return self.kind in ("docker", "drill_docker") or (self.below is not None and self.below.runs_docker)

    @property
    def fingerprint(self) -> str:
        """Return the hash of all that goes into the image."""
        digest = hashlib.sha256()
        if self.below is None:
            digest.update("\0".join([*TREES[self.kind], *TREE_OPTIONS, self.suite]).encode())
        else:
            digest.update("".join([self.below.fingerprint, *(box.fingerprint for box in self.boxes)]).encode())
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
        if engine.has_image(image.tag):
            return image.tag
        below = ensure(image.below, engine, workplace) if image.below else ""
        log = workplace.logs / f"build-{image.kind}-{image.suite}.log"
        say(f"image {image.kind} ({SUITES[image.suite]}): building, once; details in {log}")
        started = time.monotonic()
        if image.below is None:
            _build_tree(image, engine, log)
        else:
            _build_on(image, below, engine, workplace, log)
        say(f"image {image.kind} ({SUITES[image.suite]}): ready after {time.monotonic() - started:.0f} s")
        prune_older(image, engine)
        return image.tag


def _build_on(image: Image, below: str, engine: Engine, workplace: Workplace, log: Path) -> None:
    """Build ``image`` on the image ``below``, with its boxes in one file, so that what they share is in it once."""
    arguments = {"BASE": below, "SUITE": image.suite}
    if not image.boxes:
        engine.build(image.tag, image.context, arguments, log)
        return
    boxes = {name: ensure(box, engine, workplace) for box, name in image.boxes.items()}
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}-") as scratch:
        context = Path(scratch)
        shutil.copytree(image.context, context, dirs_exist_ok=True)
        engine.save(boxes, context / "boxes.tar")
        engine.build(image.tag, context, arguments, log)


def _build_tree(image: Image, engine: Engine, log: Path) -> None:
    """Make the Debian tree from packages: no image registry can be counted on."""
    if shutil.which("mmdebstrap") is None:
        raise HostsError("mmdebstrap is not installed: run 'make setup'")
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}-") as scratch:
        context = Path(scratch)
        argv = [
            "mmdebstrap",
            *TREE_OPTIONS,
            f"--include={','.join(TREES[image.kind])}",
            image.suite,
            str(context / "tree.tar"),
        ]
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
    trees = [f"/{kind}:" for kind in TREES]
    names = sorted(engine.images(), key=lambda name: any(tree in name for tree in trees))
    for name in names:
        engine("rmi", name, check=False, timeout=120)
    return len(names)
