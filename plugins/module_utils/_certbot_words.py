# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot's words mean: it has no output made for machines. Private to this collection.

As certbot 2.1 and 4.0 say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LOCKED = "Another instance of Certbot is already running"
PROBLEM = re.compile(r"^\s*(?:Domain|Identifier):\s*(\S+)\s*\n\s*Type:\s*(\S+)\s*\n\s*Detail:\s*([^\n]+)", re.MULTILINE)
WITH_ERROR = re.compile(r"Failed to renew certificate \S+ with error: ([^\n]+)")
BROKEN = re.compile(r"Renewal configuration file \S+ is broken\.")
HOOK = re.compile(
    r"(?:Hook '([^']+)' reported error code (\d+)|Error output from ([\w-]+) command|([\w-]+) command \S+ returned error code (\d+))"
)
RULE = re.compile(r"^[-\s]*$")
ADVICE = ("Ask for help", "Saving debug log", "Hint:")
NOT_A_RATE = re.compile(r"(?i)too many|rate.?limit")


def is_locked(said: str) -> bool:
    """Return whether another certbot works at this moment."""
    return LOCKED in said


def reason_of(said: str, *, redact: Callable[[str], str], code: int) -> str:
    """Return in one line why a renewal failed: the authority's own words where there are some."""
    problems = [f"{name}: {kind}: {detail.strip()}" for name, kind, detail in PROBLEM.findall(said)]
    error = WITH_ERROR.search(said)
    if problems:
        reason = "; ".join(problems)
    elif BROKEN.search(said):
        reason = "its renewal file is broken, so certbot passes it over"
    elif error:
        reason = error[1]
    elif code in (124, 137):
        reason = "certbot did not end in time and was stopped"
    else:
        lines = [line.strip() for line in said.splitlines() if not RULE.match(line) and not line.startswith(ADVICE)]
        reason = lines[-1] if lines else "it said nothing"
    if NOT_A_RATE.search(reason):
        reason += "; trying again before then makes it worse"
    return redact(" ".join(reason.split()))[:600]


def failed_hooks(said: str) -> list[str]:
    """Return the hooks that failed; certbot itself ends well then."""
    return list(dict.fromkeys(met[1] or met[3] or met[4] for met in HOOK.finditer(said)))


def lines_of(said: str, *, redact: Callable[[str], str], most: int = 40) -> list[str]:
    """Return what certbot said, for people."""
    return [line.rstrip() for line in redact(said).splitlines() if not RULE.match(line)][-most:]
