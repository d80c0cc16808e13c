# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a server load a certificate that it has not loaded: tested first, and only where it is needed. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _nginx_host
from ansible_collections.runbook.ops.plugins.module_utils._certbot_served import Look
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import read_conf

UNSURE_SECONDS = 2.0  # workers started so soon after the file changed may have read the old one

Program = Callable[[str], Command]


class ReloadError(Exception):
    """A server was not told, or did not do it; it serves what it served."""


class Nginx(NamedTuple):
    """The nginx of this host."""

    program: Program
    config: str
    drain_seconds: float

    @property
    def name(self) -> str:
        return "nginx"

    def master(self) -> int:
        """Return its process.

        :raises NginxError: there is none.
        """
        try:
            directives = read_conf(self.config).directives
        except NginxError:
            directives = []  # nginx itself says what is wrong with it when it is asked
        return _nginx_host.master_of(directives)

    def runs(self) -> bool:
        """Return whether there is one that could be reloaded."""
        try:
            return self.master() > 0
        except NginxError:
            return False

    def may_help(self, seen: Sequence[Look], *, unsure: float = UNSURE_SECONDS) -> bool:
        """Return whether a reload can change what is served: not where its workers are younger than the files."""
        newest = max((one.changed_at for one in seen), default=0.0)
        return not self.runs() or not _nginx_host.has_taken(self.master(), newest + unsure)

    def reload(self) -> str:
        """Test, reload, wait until only new workers take connections, and return what became of the old ones.

        :raises ReloadError: nginx refuses its configuration, or does not take it.
        """
        try:
            broken = _nginx_host.nginx_test(self.program("nginx"), self.config)()
            if broken:
                raise ReloadError(f"nginx -t: {broken}; nginx was not told, and serves what it served")
            old = _nginx_host.reload(self.master())
        except (NginxError, CommandError) as exc:
            raise ReloadError(str(exc)) from exc
        left = _nginx_host.drain(old, seconds=self.drain_seconds)
        return (
            f"{len(left)} of {len(old)} old workers still finish what they have" if left else "all old workers are gone"
        )


class Other(NamedTuple):
    """Any other server, by its commands."""

    program: Program
    test: Sequence[str]
    command: Sequence[str]

    @property
    def name(self) -> str:
        return " ".join(self.command)

    def may_help(self, _seen: Sequence[Look]) -> bool:
        """Return whether a reload can change what is served: nothing is known that says otherwise."""
        return True

    def reload(self) -> str:
        """Test where there is a test, and reload.

        :raises ReloadError: one of the commands fails.
        """
        for argv in filter(None, (self.test, self.command)):
            try:
                self.program(argv[0])(*argv[1:])
            except CommandError as exc:
                raise ReloadError(f"{' '.join(argv)}: {exc}; it serves what it served") from exc
        return "reloaded"


def needs_reload(server: Nginx | Other, seen: Sequence[Look], *, expected: Sequence[str]) -> str | None:
    """Return why a server has to load its certificates, None where it has them.

    :param expected: names of those that would be others by now, were this not a prediction
    """
    coming = [one.name for one in seen if one.name in expected]
    if coming:
        return f"{', '.join(coming)} would be new"
    stale = [one.name for one in seen if one.others]
    if stale and server.may_help(seen):
        return f"{', '.join(stale)} on disk is not what is served"
    blind = [one for one in seen if not one.asked and one.on_disk]
    if blind and isinstance(server, Nginx) and server.runs() and server.may_help(blind, unsure=0):
        return f"{', '.join(one.name for one in blind)} is newer than nginx's workers"
    return None


def server_of(
    test: Sequence[str], command: Sequence[str], nginx: Nginx, members: Sequence[Mapping[str, Any]]
) -> Nginx | Other:
    """Return the server that serves ``members``.

    :raises ReloadError: it has a test and no way to reload.
    """
    if test and not command:
        raise ReloadError(f"{members[0]['name']} has a test_command and no reload_command: say both, or none for nginx")
    return Other(nginx.program, test, command) if command else nginx
