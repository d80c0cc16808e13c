# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one commit out of a Git repository, as an account that may read it. Private to this collection.

A bare mirror lies beside the releases, so that only what is new is fetched and a commit that was fetched once needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from copy import copy
from functools import partial
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._account import Account, acting_as, run
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._release import BUILD, ReleaseError
from ansible_collections.runbook.ops.plugins.module_utils._release_source import (
    COMMIT,
    Wanted,
    check_repository,
    check_version,
    explain,
    resolve,
)

MIRROR = ".git-mirror"
SPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
SSH = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15"
# No questions, no program named by an address, nobody's hooks.
ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "LC_ALL": "C"}
SETTINGS = ("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false")


class Repository:
    """A repository somewhere, and its mirror here."""

    def __init__(self, account: Account, url: str, releases: str, *, seconds: float) -> None:
        """:raises ReleaseError: ``url`` is not safe to hand to Git."""
        self._account, self._url, self._seconds = account, check_repository(url), seconds
        # Another service may keep its releases in the same directory.
        self.mirror = str(Path(releases, f"{MIRROR}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"))
        self._ssh = ""

    def resolve(self, version: str) -> Wanted:
        """Return which commit ``version`` stands for now; nothing is written.

        :raises ReleaseError: there is none, or the repository cannot be read.
        """
        check_version(version)
        if COMMIT.match(version):
            return Wanted(version, "commit", version)
        wanted = resolve(version, self._git("ls-remote", self._url, cwd="/"))
        return wanted if wanted.commit or not self._mirrored() else self._complete(wanted)

    def fetch(self, wanted: Wanted) -> Wanted:
        """Have the commit that is ``wanted`` in the mirror, and return it in full.

        :raises ReleaseError: the repository does not have it.
        """
        if wanted.commit is None or not self.has(wanted.commit):
            try:
                self._fetch()
            except ReleaseError:
                if not self._mirrored():
                    raise
                # It is not the mirror's fault where the server does not answer: then what was fetched once must stay.
                self._git("ls-remote", "--heads", self._url, cwd="/")
                self._fetch_anew()
        wanted = wanted if wanted.commit else self._complete(wanted)
        if wanted.commit is None or not self.has(wanted.commit):
            raise ReleaseError(f"the repository has no commit {wanted.ref}: was it pushed?")
        return wanted

    def has(self, commit: str) -> bool:
        """Return whether ``commit`` is in the mirror, with all that belongs to it."""
        return self._mirrored() and self._ends_well("cat-file", "-e", f"{commit}^{{tree}}")

    def export(self, commit: str, directory: str) -> None:
        """Write the files of ``commit`` to ``directory``, which is empty.

        :raises ReleaseError: it has submodules, or cannot be written.
        """
        tree = self._git("ls-tree", "-r", "--full-tree", commit)
        module = next((line.split("\t", 1)[1] for line in tree.splitlines() if line.startswith("160000 ")), None)
        if module:
            raise ReleaseError(
                f"{module} is a submodule, which is not fetched: make it a package, or deploy an artefact"
            )
        index = {"GIT_INDEX_FILE": f"{directory}/.index.partial", BUILD: directory}
        self._git("read-tree", commit, more=index)
        reached("release:read")
        self._git("checkout-index", "--all", "--force", tree=directory, more=index)
        acting_as(self._account, lambda: Path(index["GIT_INDEX_FILE"]).unlink())

    def _fetch(self) -> None:
        if not self._mirrored():
            self._git("init", "--quiet", "--bare", self.mirror, cwd="/")
        reached("release:mirror")
        self._git("fetch", "--quiet", "--prune", "--no-auto-gc", self._url, *SPECS)

    def _fetch_anew(self) -> None:
        """Make the mirror anew, for a fetch that was killed may have left locks, or half of it. Until then the old one stays."""
        fresh = copy(self)
        fresh.mirror = f"{self.mirror}.new"
        remove = partial(shutil.rmtree, ignore_errors=True)
        acting_as(self._account, lambda: remove(fresh.mirror))
        try:
            fresh._fetch()
        except ReleaseError:
            acting_as(self._account, lambda: remove(fresh.mirror))
            raise
        acting_as(self._account, lambda: remove(self.mirror))
        acting_as(self._account, lambda: os.rename(fresh.mirror, self.mirror))  # noqa: PTH104  # must return None

    def _complete(self, wanted: Wanted) -> Wanted:
        with suppress(ReleaseError):
            found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted.ref}^{{commit}}")
            found = found.strip().rpartition("\n")[2]
            if COMMIT.match(found) and found.startswith(wanted.ref):
                return wanted._replace(commit=found)
        return wanted

    def _mirrored(self) -> bool:
        return (Path(self.mirror) / "HEAD").is_file()

    def _ends_well(self, *arguments: str) -> bool:
        with suppress(ReleaseError):
            self._git(*arguments)
            return True
        return False

    def _git(
        self, *arguments: str, cwd: str | None = None, tree: str | None = None, more: dict[str, str] | None = None
    ) -> str:
        if not self._ssh:
            ended = run(
                self._account, ["git", "config", "--get", "core.sshCommand"], cwd="/", environment={}, seconds=10
            )
            self._ssh = f"{ended.output.strip() if ended.code == 0 else 'ssh'} {SSH}"
        which = [] if cwd else [f"--git-dir={self.mirror}", *([f"--work-tree={tree}"] if tree else [])]
        environment = {**ENVIRONMENT, "GIT_SSH_COMMAND": self._ssh, **(more or {})}
        command = ["git", *SETTINGS, *which, *arguments]
        place = cwd or tree or self.mirror
        ended = run(self._account, command, cwd=place, environment=environment, seconds=self._seconds, most=None)
        if ended.code is None:
            raise ReleaseError(
                f"git {arguments[0]} did not end in {self._seconds:.0f} s: look at the network and the server"
            )
        if ended.code:
            raise ReleaseError(explain(arguments[0], ended.output))
        return ended.output
