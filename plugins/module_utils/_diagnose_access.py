# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks a web server for what, and how it answers, minute by minute. Private to this collection."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, table
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_logs import read_since
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

MOST_OF_ACCESS = 8_000_000  # it is counted, not handed on
SHOWN = 15
ACCESS = re.compile(r'^(\S+) .*?\[([^\]]+)\] "(?:(\w+) )?([^ "?]*)[^"]*" (\d{3}) ')


def access(options: dict[str, Any]) -> Found:
    """Collect who asked a web server for what, and how it answered, minute by minute."""
    text, cut = read_since(options["path"], float(options["since"]), MOST_OF_ACCESS)
    minutes: dict[str, Counter[str]] = {}
    remotes: Counter[str] = Counter()
    failing: Counter[tuple[str, str]] = Counter()
    count = 0
    for line in text.splitlines():
        met = ACCESS.match(line)
        if not met:
            continue
        count += 1
        minutes.setdefault(met[2][:17], Counter())[f"{met[5][0]}xx"] += 1
        remotes[met[1]] += 1
        if met[5][0] == "5" or met[5] in ("408", "429", "499"):
            failing[met[5], f"{met[3] or '?'} {met[4]}"] += 1
    classes = ("2xx", "3xx", "4xx", "5xx")
    rows = [[minute, *(counts[one] for one in classes)] for minute, counts in list(minutes.items())[-60:]]
    failed = sum(counts["5xx"] for counts in minutes.values())
    note = (
        f"{count} requests from {len(remotes)} addresses, {failed} failed ({100 * failed / count:.1f} %)"
        if count
        else "no request"
    )
    parts = [note, "By minute\n" + table(["minute", *classes], rows), "Most active\n" + table(["remote", "requests"], remotes.most_common(SHOWN)),
             "Failing\n" + table(["status", "request", "times"], [(*key, n) for key, n in failing.most_common(SHOWN)])]  # fmt: skip
    return Found(
        "\n\n".join(parts), note=note + (f", of the last {human_size(MOST_OF_ACCESS)} only" if cut else ""), cut=cut
    )
