# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""psql on this host, or within the container that the server runs in. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, Psql, is_root, reach
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import LONGEST_SECONDS, PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, run_pipeline


class PsqlWithin:
    """psql in a container, in the shape of :class:`_command.Command`."""

    def __init__(self, target: PgTarget) -> None:
        self._target = target

    def __call__(self, *arguments: str, stdin: str | None = None, accept: Sequence[int] = (0,)) -> str:
        """Return what psql printed.

        :raises CommandError: it failed, or the container does not run.
        """
        try:
            stage = self._target.stage("psql", *arguments, reads=True)._replace(accept=accept)
            return run_pipeline([stage], source=(stdin or "").encode(), timeout_seconds=LONGEST_SECONDS).text
        except PgError as exc:
            raise CommandError(str(exc)) from exc
        except PipelineError as exc:
            raise CommandError(str(exc), **({"stderr": exc.stderr} if exc.stderr else {})) from exc


def open_psql(module: Any) -> Psql:
    """Return the server that the options of ``module`` reach.

    :raises CommandError: psql is not installed here.
    """
    params = module.params
    if params["container"] or params["service"]:
        return Psql(PsqlWithin(PgTarget.from_params(params)), {})
    account, environment, parts = reach(params, is_root=is_root())
    return Psql(Command(module, "psql", user=account, environment=environment), parts)
