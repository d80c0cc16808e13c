# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of a restore tells: the plan, and what a killed one had left stopped. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg_restore import Restore, Seen
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_describe import describe
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_downtime import named
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import JournalError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError, Step
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_words import lines, stays
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import one_line


def left_stopped(restore: Restore, seen: Seen, state: str, *, check_mode: bool) -> str:
    """Start the writers that a killed run has left stopped, where what is asked for is refused; return what to say of them."""
    names = ", ".join(one["name"] for one in named(seen.entry))
    if not names:
        return ""
    if check_mode:
        way = "restored" if state == "reverted" else "reverted"
        return f"still stopped by a run that was killed: {names}; restore_state={way} starts them"
    try:
        restore.start_left(seen)
    except (RestoreError, JournalError) as exc:
        return one_line(exc)
    return f"what a run that was killed had stopped was started: {names}"


def tell(
    restore: Restore, params: dict[str, Any], seen: Seen, source: Source | None, steps: list[Step]
) -> dict[str, Any]:
    """Return the plan, for programs and for people."""
    place = params["login_host"] or params["login_unix_socket"] or "the local socket"
    where = (
        f"container {restore.target.container}" if restore.target.inside else f"{place}, port {params['login_port']}"
    )
    plan = describe(
        source,
        server=seen.server,
        live=seen.live,
        entry=seen.entry,
        rows_now=seen.rows_now,
        database=params["database"],
        where=where,
        reason=params["accept_unproven"],
        now=restore.now(),
    )
    plan["stays"] = stays(
        seen.entry,
        params["database"],
        keep_days=params["keep_days"],
        proof_needed=restore.options.proof_needed,
        now=restore.now(),
        steps=steps,
    )
    writers = [one["name"] for one in seen.writers]
    said = lines(plan, steps, writers)
    done = [line.partition(" ")[2].strip() for line in said if line.startswith("step ") and steps]
    return {
        "actions": done,
        "plan": plan,
        "lines": said,
        "writers": writers,
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in done)},
    }
