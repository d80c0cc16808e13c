# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which metrics an expression of Prometheus reads. Private to this collection."""

from __future__ import annotations

import re

TEXT = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`""")
CHOICE = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")  # labels and times
LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.IGNORECASE)
NUMBER = re.compile(r"(?<![\w:.])\.?\d[\w.]*")
NAME = re.compile(r"(?<![\w:$.])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()")
WORDS = ("and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right")
NUMBERS = ("inf", "nan", "atan2")


def metric_names(expression: str) -> list[str]:
    """Return the names of the metrics in ``expression``, each once."""
    bare = LABELS.sub(" ", CHOICE.sub(" ", TEXT.sub('""', expression)))
    found = NAME.findall(NUMBER.sub(" ", bare))
    return list(dict.fromkeys(name for name in found if name.lower() not in (*WORDS, *NUMBERS)))
