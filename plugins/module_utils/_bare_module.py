# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs programs where there is no Ansible: in an engine that a host runs by itself. Private to this collection."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


class BareModule:
    """The part of ``AnsibleModule`` that :class:`Command` and the managers need."""

    def get_bin_path(self, program: str, opt_dirs: Sequence[str] | None = None, **_more: Any) -> str | None:
        """Return the path of ``program``, None where it is not installed."""
        places = [os.environ.get("PATH", os.defpath), *(opt_dirs or ()), "/usr/sbin", "/sbin", "/usr/local/sbin"]
        return shutil.which(program, path=os.pathsep.join(places))

    def run_command(
        self,
        arguments: Sequence[str],
        data: str | None = None,
        environ_update: Mapping[str, str] | None = None,
        cwd: str | None = None,
        **_more: Any,
    ) -> tuple[int, str, str]:
        """Return exit code, output and error output of a program."""
        done = subprocess.run(
            list(arguments),
            input=None if data is None else data.encode(),
            stdin=subprocess.DEVNULL if data is None else None,
            env={**os.environ, **(environ_update or {})},
            cwd=cwd,
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def warn(self, message: str) -> None:
        """Say something that is not as it should be."""
        sys.stderr.write(f"warning: {message}\n")
