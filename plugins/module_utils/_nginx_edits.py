# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of nginx's files word by word: everything else in them stays as it is. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import Word


class Edits:
    """What is put in the place of what, by file."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._edits: dict[str, list[tuple[int, int, str]]] = {}
        self.new: dict[str, str] = {}

    def put(self, file: str, span: tuple[int, int], text: str) -> None:
        edit = (*span, text)
        if edit not in self._edits.setdefault(file, []):  # a file may be included twice
            self._edits[file].append(edit)

    def covers(self, file: str, word: Word) -> bool:
        return any(start <= word.end and word.start <= end for start, end, _text in self._edits.get(file, ()))

    def files(self) -> dict[str, str | None]:
        """Return the new texts."""
        made: dict[str, str | None] = dict(self.new)
        for file, edits in self._edits.items():
            made[file] = _apply(self._texts[file], edits)
        return made


def _apply(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text
