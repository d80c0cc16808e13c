# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a PostgreSQL database performs: slow statements, sizes and growth, cache, indexes. Private to this collection.

Counters are compared with what they stood at in an earlier look, so that figures are those of a period, not of all times.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _performance_database
from ansible_collections.runbook.ops.plugins.module_utils import _slow_statements as slow
from ansible_collections.runbook.ops.plugins.module_utils._performance_sql import FACTS
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._psql_session import PLACE, ask

SECTION = "Performance"
OPTIONS = {
    **PLACE,
    "tables": Option("list", "tables whose sizes are checks of their own", []),
    "slow_seconds": Option("limits", "time of a statement, on average and of one that runs now", limits(1)),
    "least_calls": Option("int", "a statement that was called less often is told of, not judged", 5),
    "number": Option("int", "how many statements and tables are told of", 5),
    "hit_percent": Option("limits", "blocks that were found in memory; below it", limits(None)),
    "large_rows": Option("int", "a table of so many rows should not be read whole again and again", 10_000),
    "before": Option("dict", "the counters of an earlier look"),
    "before_at": Option("float", "when that was, in seconds since 1970"),
}
APPLICATION = "runbook.ops performance"
judge = _performance_database.judge
OWN_STATEMENTS = 3  # they may be among those with most time, and are left out


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the facts, what each statement cost since the look before, the texts of those told of, and ``counters``."""
    end = time.monotonic() + options["timeout_seconds"]

    def question(script: str) -> Any:
        left = max(0.5, end - time.monotonic())
        return json.loads(ask(options, script, timeout_seconds=left, application=APPLICATION))

    facts = question(FACTS)
    before = options["before"] or {}
    told: dict[str, Any] = {"counts": None, "reset": None, "statements": [], "texts": {}, "refused": None}
    if facts["extension"] and facts["loaded"]:
        try:
            told.update(_statements(facts, before, options, question))
        except ProbeError as exc:  # sizes and caches are known all the same
            told["refused"] = str(exc)
    return {"facts": facts, **told, "counters": {"at": facts["at"], **_counters(facts), "statements": told["counts"]}}


def _statements(
    facts: dict[str, Any], before: dict[str, Any], options: dict[str, Any], question: Any
) -> dict[str, Any]:
    extension = facts["extension"]
    found = question(slow.counters_sql(extension["schema"], extension["columns"], info=extension["info"]))
    reset = (found["reset"] or {}).get("at")
    counts = slow.counts_of(found["counts"])
    old = before.get("statements") if before and not (reset and reset > before.get("at", 0)) else None
    statements = slow.spent(counts, old)
    chosen = slow.picked(statements, options["number"] + OWN_STATEMENTS, options["least_calls"])
    texts = question(slow.texts_sql(extension["schema"], [one.identity for one in chosen])) if chosen else {}
    own = {identity for identity, text in texts.items() if slow.OWN in text}
    return {
        "counts": counts,
        "reset": reset,
        "compared": old is not None,
        "dropped": (found["reset"] or {}).get("dropped"),
        "hidden": sum(not row[0] for row in found["counts"]),
        "statements": [one for one in statements if one.identity not in own],
        "texts": {identity: slow.normalise(text) for identity, text in texts.items()},
    }


def _counters(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the next look is compared with."""
    return {
        "bytes": facts["bytes"],
        "statistics": facts["statistics"],
        "tables": {
            **{one["name"]: [one["bytes"], one["whole"], one["by_index"]] for one in facts["tables"]},
            **{name: [size, 0, 0] for name, size in facts["partitioned"].items()},
        },
        "indexes": {one["name"]: one["scans"] for one in facts["indexes"]},
    }
