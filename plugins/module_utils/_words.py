# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word that was probably meant. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the word of ``known`` that is most like ``word``, None where none is like it."""
    import difflib  # noqa: PLC0415  # 3 ms that only who made a mistake has to pay

    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)
