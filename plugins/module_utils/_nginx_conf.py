# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of nginx, with the place of every word, so that one can be replaced. Private to this collection.

nginx prints what it reads (``nginx -T``) without saying where in a file a word begins, and a library that parses its language
would have to be installed on every host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# A word ends at a blank, ';' or '{'; '${name}' belongs to it. Quoted ones end at their quote. As in ngx_conf_read_token().
TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)
    |   (?P<mark>[;{}])
    |   (?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |   (?P<plain>(?:\\.|\$\{[^}\s]*\}|[^\s;{}"'\\\#])(?:\\.|\$\{[^}\s]*\}|[^\s;{\\])*)""",
    re.VERBOSE | re.DOTALL,
)
DEEPEST = 30  # includes within includes; nginx itself has no limit and ends by its stack
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class NginxError(Exception):
    """A configuration that cannot be understood, or an nginx that does not do as told; the message is one line."""


@dataclass(frozen=True)
class Word:
    """One argument, or the name, of a directive."""

    text: str  # without quotes
    start: int  # where it begins in its file, in characters, its quote left out
    end: int
    line: int


@dataclass(frozen=True)
class Directive:
    """One directive, and what stands in its block."""

    file: str
    name: Word
    arguments: tuple[Word, ...]
    end: int  # behind its ';' or '}'
    opened: int | None = None  # behind its '{'
    block: list[Directive] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.name.line}"

    def texts(self) -> list[str]:
        return [word.text for word in self.arguments]


Read = Callable[[str], str]
Expand = Callable[[str], "list[str]"]


def load(path: str, *, read: Read, expand: Expand) -> list[Directive]:
    """Return the directives of the file ``path``; what it includes stands in its place.

    :param read: returns the text of a file
    :param expand: returns the files of a pattern, relative to nginx's own directory, in nginx's order
    :raises NginxError: there is something that is not understood, and where.
    """
    return _included(_parse(read(path), path), read, expand, 0)


def walk(
    directives: list[Directive], above: tuple[Directive, ...] = ()
) -> Iterator[tuple[Directive, tuple[Directive, ...]]]:
    """Yield every directive with the blocks that it stands in, the outermost first."""
    for directive in directives:
        yield directive, above
        yield from walk(directive.block, (*above, directive))


def _included(directives: list[Directive], read: Read, expand: Expand, depth: int) -> list[Directive]:
    found = []
    for directive in directives:
        if directive.name.text == "include" and len(directive.arguments) == 1:
            if depth >= DEEPEST:
                raise NginxError(
                    f"{directive.place}: {DEEPEST} includes within each other; does a file include itself?"
                )
            for path in expand(directive.arguments[0].text):
                found += _included(_parse(read(path), path), read, expand, depth + 1)
            found.append(directive)  # it is asked later which files it would take
        else:
            inner = _included(directive.block, read, expand, depth)
            found.append(
                Directive(directive.file, directive.name, directive.arguments, directive.end, directive.opened, inner)
            )
    return found


def _parse(text: str, file: str) -> list[Directive]:
    """Return the directives of one file.

    :raises NginxError: a block or a directive does not end, or there is one of Lua.
    """
    stack: list[tuple[list[Word], int, list[Directive]]] = []
    found: list[Directive] = []
    words: list[Word] = []
    for kind, word in _tokens(text, file):
        if kind == "word":
            words.append(word)
        elif kind == "{":
            if not words:
                raise NginxError(f"{file}:{word.line}: a block without a name")
            if words[0].text.endswith("_by_lua_block"):
                raise NginxError(
                    f"{file}:{word.line}: {words[0].text} holds Lua, which is not read here: move it into a file"
                )
            stack.append((words, word.end, found))
            found, words = [], []
        elif kind == ";":
            if not words:
                raise NginxError(f"{file}:{word.line}: a ';' without a directive")
            found.append(Directive(file, words[0], tuple(words[1:]), word.end))
            words = []
        else:
            if words or not stack:
                raise NginxError(
                    f"{file}:{word.line}: a '}}' that is not expected: a ';' or a '{{' before it is missing"
                )
            names, opened, outer = stack.pop()
            outer.append(Directive(file, names[0], tuple(names[1:]), word.end, opened, found))
            found = outer
    if words:
        raise NginxError(f"{file}:{words[0].line}: {words[0].text} does not end with a ';'")
    if stack:
        raise NginxError(f"{file}:{stack[-1][0][0].line}: the block {stack[-1][0][0].text} does not end")
    return found


def _tokens(text: str, file: str) -> Iterator[tuple[str, Word]]:
    place, line = 0, 1
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise NginxError(f"{file}:{line}: a quote that does not end, or a lonely backslash")
        found = match.group()
        if match.lastgroup == "mark":
            yield found, Word(found, match.start(), match.end(), line)
        elif match.lastgroup == "quoted":
            yield "word", Word(ESCAPED.sub(r"\1", found[1:-1]), match.start() + 1, match.end() - 1, line)
        elif match.lastgroup == "plain":
            yield "word", Word(found, match.start(), match.end(), line)
        line += found.count("\n")
        place = match.end()
