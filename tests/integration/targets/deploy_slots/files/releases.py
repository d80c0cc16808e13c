# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release of each kind in a directory: ``releases.py [--images] <directory> <kind> ...``. A kind's commit is its SHA-1.

With ``--images`` an image of each is built too, and what names them is printed as JSON.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

images = sys.argv[1] == "--images"
directory, *kinds = sys.argv[1 + images :]
made = {}
for kind in kinds:
    commit = hashlib.sha1(kind.encode()).hexdigest()  # noqa: S324  (a name, no secret)
    release = Path(directory, commit[:12])
    release.mkdir()
    shutil.copy(Path(directory, "server.js"), release)
    (release / "kind.json").write_text(json.dumps({"commit": commit, "kind": kind}))
    (release / "REVISION").write_text(commit + "\n")
    if images:
        named = ["--tag", "runbook-slots:adopted"] if kind == "adopted" else []
        build = [
            "docker",
            "build",
            "--quiet",
            "--label",
            "runbook-slots",
            *named,
            "--file",
            f"{directory}/Containerfile",
            str(release),
        ]
        made[kind] = subprocess.run(build, check=True, capture_output=True, text=True).stdout.strip()
if images:
    sys.stdout.write(json.dumps(made))
