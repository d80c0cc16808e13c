# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a script of PostgreSQL's SQL apart into its statements. Private to this collection.

The rules are those of https://www.postgresql.org/docs/current/sql-syntax-lexical.html, as psql applies them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PIECE = re.compile(
    r"""(?P<blank>\s+|--[^\n]*)
    |(?P<comment>/\*)
    |(?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[uU]&|[bBxXnN])?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)
    |(?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
    |(?P<number>\d[\w.]*)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
COMMENT_EDGE = re.compile(r"/\*|\*/")


class SqlError(Exception):
    """A script that is not understood; the message names the line."""


class Statement(NamedTuple):
    """One statement."""

    line: int  # where it begins, counted from 1
    words: tuple[
        str, ...
    ]  # keywords and names in capitals, "Quoted Names" as they are, strings as '', marks such as ( and .
    text: str  # as it was written, without the semicolon

    @property
    def plain(self) -> str:
        """The words with one blank between them."""
        return " ".join(self.words)


def split(script: str) -> list[Statement]:
    """Return the statements of ``script``, in order, without comments before them.

    :raises SqlError: a quote or a comment does not end; or there is a command of psql, or data for COPY.
    """
    found: list[Statement] = []
    words: list[str] = []
    at, begin, body = 0, 0, 0  # body: how deep within BEGIN ATOMIC … END, whose semicolons end nothing
    while at < len(script):
        piece, end = _next(script, at)
        if not piece:
            at = end
            continue
        if not words:
            begin = at
        if piece == ";" and not body:
            _add(found, script, begin, at, words)
            words = []
        else:
            if piece == "\\" or (piece == "STDIN" and words[:1] == ["COPY"]):
                what = "a command of psql" if piece == "\\" else "COPY FROM STDIN"
                raise SqlError(f"line {_line(script, at)} is {what}: write statements of SQL only")
            body += _step(piece, words, body)
            words.append(piece)
        at = end
    _add(found, script, begin, len(script), words)
    return found


def _next(script: str, at: int) -> tuple[str, int]:
    """Return the word at ``at``, empty for what does not count, and where it ends."""
    met = PIECE.match(script, at)
    kind = met.lastgroup if met else None
    if not met or kind == "blank":
        return "", met.end() if met else len(script)
    text = met[0]
    if kind == "comment":
        return "", after_comment(script, at)
    if kind == "dollar":
        close = script.find(text, met.end())
        if close < 0:
            raise SqlError(f"line {_line(script, at)}: the quote {text} does not end")
        return "''", close + len(text)
    if kind == "mark" and text in "'\"":
        raise SqlError(f"line {_line(script, at)}: the quote {text} does not end")
    shown = {"string": "''", "word": text.upper()}.get(str(kind), text)
    return shown, met.end()


def after_comment(script: str, at: int) -> int:
    """Return where the comment ends that begins at ``at``; comments nest."""
    depth = 0
    for edge in COMMENT_EDGE.finditer(script, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise SqlError(f"line {_line(script, at)}: the comment does not end")


def _step(piece: str, words: list[str], body: int) -> int:
    """Return by how much ``piece`` changes the depth within the body of a function that is written in SQL."""
    if piece == "ATOMIC" and words[-1:] == ["BEGIN"]:
        return 1
    if body and piece in ("CASE", "END"):
        return 1 if piece == "CASE" else -1
    return 0


def _add(found: list[Statement], script: str, begin: int, end: int, words: list[str]) -> None:
    if words:
        found.append(Statement(_line(script, begin), tuple(words), script[begin:end].strip()))


def _line(script: str, at: int) -> int:
    return script.count("\n", 0, at) + 1
