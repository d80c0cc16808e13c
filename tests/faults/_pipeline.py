# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipeline on this machine: a bare repository, a hook that deploys what is pushed to it, and a server that hosts fetch it from."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._matrix import ROOT
from .conftest import LIMIT_SECONDS

ENTRY = [sys.executable, "-m", "ansible_collections.runbook.ops.plugins.plugin_utils.ci"]
SURROUNDINGS = {"PYTHONPATH": str(ROOT / "collections"), "NO_COLOR": "1"}
# As a small server of one's own does it: git calls this after each push, with what was pushed on its input.
HOOK = """#!/bin/sh
unset $(git rev-parse --local-env-vars)
while read -r before commit name; do
    [ "$name" = refs/heads/main ] || continue
    cd {root} && {entry} -e "deploy_version=$commit" --result {result}
    echo $? >{code}
done
"""


class Pipeline:
    """What deploys, and what it says of it."""

    def __init__(self, place: Path, inventories: Sequence[str], variables: dict[str, Any]) -> None:
        self.bare, self.tree = place / "origin.git", place / "tree.git"
        self._result, self._code, self._variables = place / "result.json", place / "code", place / "variables.json"
        self._variables.write_text(json.dumps(variables))
        self._inventories = [word for one in inventories for word in ("-i", one)]
        self._git("init", "-q", "--bare", "-b", "main", str(self.bare))
        self._git("init", "-q", "--bare", "-b", "main", str(self.tree))
        places = {
            "root": shlex.quote(str(ROOT)),
            "result": shlex.quote(str(self._result)),
            "code": shlex.quote(str(self._code)),
        }
        hook = self.bare / "hooks" / "post-receive"
        hook.write_text(HOOK.format(entry=shlex.join(self._command("deploy")), **places))
        hook.chmod(0o755)

    def write(self, stream: str) -> None:
        """Make the versions, with their tags, where a developer works."""
        self._git("-C", str(self.tree), "fast-import", "--force", "--quiet", input=stream)

    def commit(self, version: str) -> str:
        return self._git("-C", str(self.tree), "rev-parse", f"{version}^{{commit}}").strip()

    def push(self, version: str) -> dict[str, Any]:
        """Push a version, and return what the pipeline said of it."""
        for old in (self._result, self._code):
            old.unlink(missing_ok=True)
        self._git(
            "-C", str(self.tree), "push", "-q", "--force", str(self.bare), f"{version}^{{commit}}:refs/heads/main"
        )
        return self._said(int(self._code.read_text()))

    def offer(self, *versions: str) -> None:
        """Push the tags of versions, which deploys nothing."""
        self._git("-C", str(self.tree), "push", "-q", str(self.bare), *(f"refs/tags/{one}" for one in versions))

    def run(self, playbook: str, *options: str) -> dict[str, Any]:
        """Have the pipeline run by hand, and return what it said."""
        self._result.unlink(missing_ok=True)
        command = [*self._command(playbook), *options, "--result", str(self._result)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | SURROUNDINGS,
            stdout=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return self._said(done.returncode)

    def does(self, playbook: str, *options: str) -> None:
        """Have the pipeline run by hand what must go well."""
        said = self.run(playbook, *options)
        assert said["code"] == 0, said

    @contextmanager
    def served(self, address: str) -> Iterator[str]:
        """Have hosts fetch from it meanwhile, and yield its URL."""
        with socket.socket() as free:
            free.bind((address, 0))
            port = free.getsockname()[1]
        command = ["git", "daemon", "--export-all", f"--base-path={self.bare.parent}", f"--listen={address}"]
        with subprocess.Popen([*command, f"--port={port}", "--reuseaddr"]) as daemon:
            try:
                for _try in range(100):
                    with socket.socket() as line:
                        if line.connect_ex((address, port)) == 0:
                            break
                    time.sleep(0.05)
                yield f"git://{address}:{port}/{self.bare.name}"
            finally:
                daemon.terminate()

    def _command(self, playbook: str) -> list[str]:
        return [*ENTRY, playbook, *self._inventories, "-e", f"@{self._variables}"]

    def _said(self, code: int) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._result.read_text())
        assert said["code"] == code
        return said

    @staticmethod
    def _git(*arguments: str, input: str | None = None) -> str:  # as subprocess calls it
        done = subprocess.run(
            ["git", *arguments],
            input=input,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
            env=os.environ | SURROUNDINGS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
