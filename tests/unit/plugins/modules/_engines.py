# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the modules share that install an engine: a directory that stands for a host, and its programs."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError


class Programs:
    """Stands for systemctl, systemd-analyze and Python, and can be told to fail at a call."""

    def __init__(self, root):
        self.root, self.calls, self.fail = root, [], None
        (root / "etc/cron.d").mkdir(parents=True)

    def __call__(self, program):
        name = "python" if Path(program).name.startswith("python") else program
        return lambda *arguments: self.run(name, *arguments)

    def run(self, program, *arguments):
        self.calls.append(" ".join((program, *arguments[:1])))
        if self.fail == self.calls[-1]:
            raise CommandError(f"{self.fail} failed (1): told to")
        return self.answer(*arguments) or ""

    @property
    def acted(self):
        return [call for call in self.calls if call != "systemctl show"]


def tree(host):
    """Return the files and links of ``host``."""
    return {
        str(path.relative_to(host.root)): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in host.root.rglob("*")
        if path.is_symlink() or path.is_file()
    }
