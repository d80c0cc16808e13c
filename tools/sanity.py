# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test sanity`` on a copy of what is shipped: it insists on a path that ends in ansible_collections/runbook/ops."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "runbook-ops" / "sanity"
SHIPPED = ("plugins/", "roles/", "playbooks/", "meta/", "changelogs/", "galaxy.yml", "README.md", "COPYING")
# What ansible-test downloads in order to put pip into its virtual environments; the package index serves as well.
BOOTSTRAP = """\
import subprocess, sys
# In a process of its own: it has pip forget its configuration, with the certificates that the index may need.
subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"])
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "pip=={version}"])
"""


def copy_tree() -> Path:
    """Return a fresh copy of the files that are shipped and that git tracks or would track, as a git repository of its own."""
    copy = CACHE / "ansible_collections" / "runbook" / "ops"
    shutil.rmtree(copy, ignore_errors=True)
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        source = ROOT / name
        if not name.startswith(SHIPPED) or not source.exists():
            continue
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    return copy


def sanity(copy: Path, arguments: list[str]) -> tuple[int, str]:
    """Return exit code and output of one run, which is shown as it comes."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["ansible-test", "sanity", "--color", "no", "--python", version, *arguments]
    lines = []
    with subprocess.Popen(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101  # a fact about Popen that the type checker cannot know
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def main() -> int:
    copy = copy_tree()
    code, output = sanity(copy, sys.argv[1:])
    wanted = re.search(r"manually downloaded and saved to: (\S*get_pip_(\d+)_(\d+)(?:_(\d+))?\.py)", output)
    if code == 0 or not wanted:
        return code
    script = Path(wanted[1])
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(BOOTSTRAP.format(version=".".join(filter(None, wanted.groups()[1:]))), encoding="utf-8")
    print(f"Put a bootstrap script for pip at {script}; again.", flush=True)
    return sanity(copy, sys.argv[1:])[0]


if __name__ == "__main__":
    sys.exit(main())
