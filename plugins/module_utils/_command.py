# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to other programs. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and cursor movement that some tools print even into a pipe


class CommandError(Exception):
    """A program is missing, or ended with an exit code that was not expected."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class Command:
    """One program, run by argument list, without a shell, as ``user`` and inside ``within``."""

    def __init__(
        self,
        module: Any,
        program: str,
        *,
        user: str | None = None,
        within: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        """Look for ``program`` and prepare to run it.

        :param module: the ``AnsibleModule`` that runs
        :param user: the account to run as; None is the module's own. Needs root where it differs
        :param within: what goes before the program: ``["docker", "exec", "-i", "db"]`` runs it in that container
        :param environment: variables to add; the place for secrets, which never go into the arguments
        :raises CommandError: ``program`` is not installed here.
        """
        self._run = module.run_command
        self._environment = {"LC_ALL": "C", **(environment or {})}
        path = program if within else module.get_bin_path(program, opt_dirs=["/usr/local/bin", "/usr/sbin", "/sbin"])
        if path is None:
            raise CommandError(f"{program} is not installed on this host: install it, or put it on the PATH")
        become = ["runuser", "-u", user, "--"] if user else []
        self._prefix = [*become, *within, path]
        self.program = program

    def __call__(self, *arguments: str, stdin: str | None = None, accept: Sequence[int] = (0,)) -> str:
        """Return what the program printed.

        :raises CommandError: the exit code is not in ``accept``; the message holds the last line of stderr.
        """
        code, out, err = self._run(
            [*self._prefix, *arguments],
            data=stdin,
            binary_data=True,
            environ_update=self._environment,
            cwd="/",
        )
        out, err = ESCAPES.sub("", out), ESCAPES.sub("", err)
        if code not in accept:
            said = (err.strip() or out.strip() or "it said nothing").splitlines()[-1]
            verb = arguments[0] if arguments else ""
            raise CommandError(f"{self.program} {verb}".rstrip() + f" failed ({code}): {said}", rc=code, stderr=err)
        return out
