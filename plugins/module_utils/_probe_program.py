# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes' door to other programs: without Ansible, within the probe's time. Private to this collection."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError

# A service manager or cron may start us with hardly any PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Done(NamedTuple):
    """What a program said."""

    code: int
    out: str
    err: str


def run_program(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    user: str | None = None,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run ``argv`` without a shell, as ``user`` where we are root, and return exit code and output.

    :raises ProbeError: the program is not installed, took too long, or the account does not exist.
    """
    surroundings = {"PATH": PATH, "LC_ALL": "C", "HOME": "/", **(environment or {})}
    account: dict[str, Any] = {}
    if user and os.geteuid() == 0:
        # Not runuser: that opens a session, which costs more than the question and fills the journal every few minutes.
        account = account_of(user)
        surroundings["HOME"] = account.pop("home")
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            env=surroundings,
            cwd="/",
            timeout=timeout_seconds,
            check=False,
            **account,
        )
    except FileNotFoundError:
        raise ProbeError(f"{argv[0]} is not installed on this host", "install it, or leave this probe out") from None
    except subprocess.TimeoutExpired:
        raise ProbeError(f"{argv[0]} gave no answer within {timeout_seconds:g} s", "run it by hand") from None
    return Done(done.returncode, done.stdout, done.stderr)


def last_line(text: str) -> str:
    """Return the last line of ``text`` that says something."""
    return (text.strip() or "it said nothing").splitlines()[-1].strip()


def account_of(user: str) -> dict[str, Any]:
    """Return what makes ``subprocess`` become ``user``, and ``home``.

    :raises ProbeError: there is no such account.
    """
    import pwd  # noqa: PLC0415  # only who changes the account needs it

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ProbeError(f"there is no account {user!r} on this host", "correct the account's name") from None
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups, "home": entry.pw_dir}
